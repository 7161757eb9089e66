import msgspec

from proxy_pkg.config.settings import ROWS


def test_each_value_and_where_it_came_from(proxyctl, monkeypatch) -> None:
    monkeypatch.setenv("HEADROOM_BACKLOG", "17")
    monkeypatch.setenv("HEADROOM_PROXY_TOKEN", "0123456789abcdef")
    result = proxyctl("config", "show", "--log-level", "debug")
    lines = {line.split()[0]: line.split(maxsplit=2)[1:] for line in result.stdout.splitlines()}
    assert set(lines) == set(ROWS) and result.exit_code == 0
    assert lines["backlog"] == ["17", "environment HEADROOM_BACKLOG"]
    assert lines["log_level"] == ["debug", "command line"]
    assert lines["body_bytes_max"] == ["128MiB", "default"]
    assert lines["proxy_token"] == ["(hidden)", "environment HEADROOM_PROXY_TOKEN"]


def test_json(proxyctl) -> None:
    document = msgspec.json.decode(proxyctl("config", "show", "--json").stdout)
    assert set(document["settings"]) == set(ROWS)
    assert document["settings"]["compression"] == {"value": "lossless", "source": "default", "unit": ""}
    assert document["settings"]["proxy_token"]["value"] == ""


def test_a_fault_is_told_and_the_rest_is_shown(proxyctl) -> None:
    result = proxyctl("config", "show", "--port", "x", "--backlog", "9")
    assert result.exit_code == 1 and "--port" in result.stderr
    assert "cannot be used" in next(line for line in result.stdout.splitlines() if line.startswith("port "))
    assert "command line" in next(line for line in result.stdout.splitlines() if line.startswith("backlog "))
