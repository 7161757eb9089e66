import pytest

from proxy_pkg.config.checks import loopback
from proxy_pkg.config.load import load
from proxy_pkg.errors import SettingsError

LOOPBACK = ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LocalHost", "::ffff:127.0.0.1"]
BEYOND = ["0.0.0.0", "::", "10.0.0.1", "example.org", "localhost.evil.org", "::ffff:10.0.0.1", "128.0.0.1"]


@pytest.mark.parametrize("host", LOOPBACK)
def test_loopback_needs_no_token(host: str) -> None:
    assert loopback(host)
    load({"HEADROOM_HOST": host})


@pytest.mark.parametrize("host", BEYOND)
def test_any_other_bind_needs_a_token_or_a_word(host: str) -> None:
    with pytest.raises(SettingsError, match=r"HEADROOM_PROXY_TOKEN.*HEADROOM_ALLOW_UNAUTHENTICATED_BIND=true"):
        load({"HEADROOM_HOST": host})
    assert load({"HEADROOM_HOST": host, "HEADROOM_PROXY_TOKEN": "0123456789abcdef"}).warnings == ()
    allowed = load({"HEADROOM_HOST": host, "HEADROOM_ALLOW_UNAUTHENTICATED_BIND": "yes"})
    assert "whoever can reach" in allowed.warnings[0]


def test_a_token_that_cannot_be_read_is_not_told_twice() -> None:
    with pytest.raises(SettingsError) as caught:
        load({"HEADROOM_HOST": "0.0.0.0", "HEADROOM_PROXY_TOKEN": "a b"})
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    ("name", "url", "better"),
    [
        ("OPENAI_TARGET_API_URL", "https://x.example/v1", "write https://x.example"),
        ("OPENAI_TARGET_API_URL", "https://x.example/openai/v1/", "write https://x.example/openai"),
        ("ANTHROPIC_TARGET_API_URL", "https://x.example/v1", "write https://x.example"),
        ("GEMINI_TARGET_API_URL", "https://x.example/v1beta", "write https://x.example"),
    ],
)
def test_a_doubled_version_stays_as_written_with_a_warning(name: str, url: str, better: str) -> None:
    loaded = load({name: url})
    assert getattr(loaded.settings, name.lower()) == url.rstrip("/")
    assert len(loaded.warnings) == 1 and loaded.warnings[0].endswith(better)


@pytest.mark.parametrize("url", ["https://x.example/v1x", "https://v1.example", "https://x.example/v1/proxy"])
def test_other_paths_are_no_doubled_version(url: str) -> None:
    assert load({"OPENAI_TARGET_API_URL": url}).warnings == ()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://localhost:8787"),
        ("127.0.0.1", "http://[::1]:8787/v1"),
        ("::1", "http://127.0.0.1:8787"),
        ("0.0.0.0", "http://127.0.0.1:8787"),
        ("127.0.0.1", "http://0.0.0.0:8787"),
        ("proxy.example", "http://Proxy.example:8787"),
    ],
)
def test_a_target_that_is_this_proxy_is_an_error(host: str, url: str) -> None:
    with pytest.raises(SettingsError, match="round in circles"):
        load({"HEADROOM_HOST": host, "HEADROOM_PROXY_TOKEN": "0123456789abcdef", "OPENAI_TARGET_API_URL": url})


def test_another_port_on_this_machine_is_a_fine_target() -> None:
    assert load({"OPENAI_TARGET_API_URL": "http://127.0.0.1:8788"}).warnings == ()


def test_a_body_larger_than_all_bodies_is_an_error() -> None:
    with pytest.raises(SettingsError, match="HEADROOM_BODY_BYTES_IN_FLIGHT_MAX 64MiB"):
        load({"HEADROOM_BODY_BYTES_IN_FLIGHT_MAX": "64MiB"})


@pytest.mark.parametrize(
    ("environ", "part"),
    [
        ({"HEADROOM_MAX_KEEPALIVE": "501"}, "HEADROOM_MAX_CONNECTIONS 500"),
        ({"HEADROOM_TOTAL_TIMEOUT_SECONDS": "20"}, "HEADROOM_FIRST_BYTE_TIMEOUT_SECONDS 600"),
        ({"HEADROOM_PROXY_TOKEN": "short"}, "can be guessed"),
    ],
)
def test_what_is_legal_but_unwanted_is_a_warning(environ: dict[str, str], part: str) -> None:
    (warning,) = load(environ).warnings
    assert part in warning
