import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_pkg.config.parsers import READERS, read, size_text
from proxy_pkg.config.settings import ROWS

GOOD = [
    ("port", "65535", 65535),
    ("port", 80, 80),
    ("port", "+80", 80),
    ("workers", "auto", "auto"),
    ("compression_shell_tools", " mcp__box__* , run ,", "mcp__box__*,run"),
    ("workers", "AUTO", "auto"),
    ("workers", 4, 4),
    ("connect_timeout_seconds", "2.5", 2.5),
    ("connect_timeout_seconds", 3, 3.0),
    ("total_timeout_seconds", "0", 0.0),
    ("access_log", "Off", False),
    ("access_log", "1", True),
    ("access_log", False, False),
    ("log_level", "WARNING", "warning"),
    ("log_level", "WARN", "warning"),
    ("body_bytes_max", "64MiB", 64 * 1024 * 1024),
    ("body_bytes_max", "10mb", 10_000_000),
    ("body_bytes_max", "512 KiB", 512 * 1024),
    ("body_bytes_max", "2048", 2048),
    ("body_bytes_max", 2048, 2048),
    ("host", "::1", "::1"),
    ("host", "[::1]", "::1"),
    ("host", "0.0.0.0", "0.0.0.0"),
    ("host", "proxy_1.internal", "proxy_1.internal"),
    ("openai_target_api_url", "HTTPS://api.example/", "https://api.example"),
    ("openai_target_api_url", "http://[::1]:9000/a/b//", "http://[::1]:9000/a/b"),
    ("openai_target_api_url", "http://host/projects/@me", "http://host/projects/@me"),
    ("dns_servers", "", ""),
    (
        "dns_servers",
        " 192.0.2.1, [::1]:5353 ,2001:db8::1,192.0.2.2:53",
        "192.0.2.1,[::1]:5353,2001:db8::1,192.0.2.2:53",
    ),
    ("state_dir", "/var/lib/x/", "/var/lib/x"),
    ("state_dir", "/", "/"),
    ("proxy_token", "a!b~", "a!b~"),
    ("redis_url", "redis://cache", "redis://cache"),
    (
        "redis_url",
        "rediss://u:p%40@[::1]:6380/2?ssl_ca_certs=/ca.pem",
        "rediss://u:p%40@[::1]:6380/2?ssl_ca_certs=/ca.pem",
    ),
    ("redis_url", "valkey+sentinel://a:1,b/main", "valkey+sentinel://a:1,b/main"),
    ("redis_url", "redis+cluster://a,b:7000", "redis+cluster://a,b:7000"),
    ("redis_url", "unix:///run/redis.sock", "unix:///run/redis.sock"),
    ("redis_key_prefix", "team-1:", "team-1:"),
]
BAD = [
    ("port", ["", "0", "65536", "80.0", "8 0", "0x50", "1e3", "1_000", "８０", "9" * 5000, True, 80.0, None, [80]]),
    ("workers", ["0", "257", "automatic", "-1", 1.5]),
    ("connect_timeout_seconds", ["0", "nan", "inf", "1e3", "5s", "1.", ".5", math.nan, math.inf, 10**400, False]),
    ("access_log", ["", "2", "y", "tru", 2, 1.0, None]),
    ("log_level", ["trace", "", 1, None, "info,debug"]),
    ("body_bytes_max", ["64M", "1.5GiB", "-1", "1 000", "MiB", "1TiB", "64MiBB", "5GiB", 1.5, True]),
    ("host", ["127.0.0.1:80", "::g", "256.1.1.1", "127.1", "0x7f000001", "a b", "unix:/x", "-a", "a" * 254, "ä.de"]),
    (
        "openai_target_api_url",
        [
            "api.openai.com",
            "ftp://h",
            "http://",
            "http:///path",
            "http://h:0",
            "http://h:65536",
            "http://h:",
            "http://h:8x",
            "http://u:p@h",
            "http://@h",
            "http://h/?",
            "http://h?x=1",
            "http://h/#",
            "http://h/a b",
            "http://h/%zz",
            "http://h/../x",
            "http://h\\x",
            "http://[::1",
            "http://[x]",
            "http://1.2.3",
            "http://h\n",
            "//h",
            5,
        ],
    ),
    ("dns_servers", ["dns.example", "1.2.3", "1.2.3.4:0", "1.2.3.4:70000", "::1:53:x", "[::1", "1.2.3.4 5.6.7.8"]),
    ("state_dir", ["relative", "~/x", "/a\nb", "/a\x00b", "/a\udcff", "/" + "a" * 5000, 7]),
    (
        "redis_url",
        ["cache:6379", "http://cache", "redis://", "redis://a:0", "redis://a,:1", "redis://a b", "unix://", 6379],
    ),
    ("compression_file_tools", ["two words", "a," * 65, "a\nb", 5]),
    ("redis_key_prefix", ["a b", "{a}", "ä", "x" * 65, 5]),
    ("proxy_token", ["a b", "ä", "a\r\nX: y", "\t", 12345]),
]


@pytest.mark.parametrize(("name", "raw", "value"), GOOD)
def test_reads(name: str, raw: object, value: object) -> None:
    found = read(ROWS[name], raw)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(("name", "raw"), [(name, raw) for name, raws in BAD for raw in raws])
def test_refuses_with_a_reason(name: str, raw: object) -> None:
    with pytest.raises(ValueError, match=r"[a-z]"):
        read(ROWS[name], raw)


@pytest.mark.parametrize("name", ["proxy_token", "openai_target_api_url", "port", "host"])
def test_a_reason_never_repeats_the_value(name: str) -> None:
    with pytest.raises(ValueError) as caught:
        read(ROWS[name], "http://cana ry:canary@canary/\x07")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
@given(raw=st.text() | st.integers() | st.floats() | st.booleans() | st.none() | st.lists(st.integers(), max_size=2))
def test_any_value_is_read_or_refused_and_nothing_else(row, raw) -> None:
    try:
        value = read(row, raw)
    except ValueError:
        return
    assert read(row, value) == value, "what was read reads as itself"


@given(st.integers(min_value=1024, max_value=2**32))
def test_sizes_are_written_as_they_are_read(number: int) -> None:
    assert READERS["size"](ROWS["body_bytes_max"], size_text(number)) == number
