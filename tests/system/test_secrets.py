"""Keys go where the client sent them and nowhere else: no log, no error, no figure shows one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.processes import Server, tree
from tests.fakes.client import Caller, ask
from tests.fakes.scripts import CLOSE_AFTER_BODY, CUT_SHORT, STALL_AFTER_BODY, reply
from tests.fakes.upstream import Upstream
from tests.system.patience import eventually

KEYS = tuple(f"canary{n}-5e1f0d6a".encode() for n in range(13))
HEADERS = (
    (b"authorization", b"Bearer " + KEYS[0]),
    (b"x-api-key", KEYS[1]),
    (b"x-goog-api-key", KEYS[2]),
    (b"cookie", KEYS[3]),
    (b"proxy-authorization", b"Basic " + KEYS[4]),
)
QUERY = "?key=" + KEYS[5].decode()
TOKEN = KEYS[6].decode() + "-as-long-as-a-token-should-be"
TARGETS = (
    "/v1/messages",
    "/v1/responses",
    "/v1beta/models/m:generateContent",
    "/v1/files",
    "/nowhere",
    "/v1beta/models/m:countTokens/../x",
    "/v1beta/models/m:generateContent%3Fkey=" + KEYS[8].decode(),
    "/v1/models;key=" + KEYS[9].decode(),
    "/v1/Bearer%20" + KEYS[10].decode(),
    "/sk-ant-api03-" + KEYS[11].decode() + "/v1/messages",
    "/u/https://user:" + KEYS[12].decode() + "@host/v1/messages",
)


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_key_shows_anywhere(form: str, server: Callable[..., Server], upstream: Upstream, tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text(f'proxy_token = "{TOKEN}"')
    running = server(
        ready_path="/livez",
        HEADROOM_CONFIG=str(config),
        HEADROOM_LOG_LEVEL="debug",
        HEADROOM_LOG_FORMAT=form,
        HEADROOM_FIRST_BYTE_TIMEOUT_SECONDS="0.3",
        HEADROOM_BODY_BYTES_MAX="4096",
    )
    upstream.answer = lambda _: reply()  # the default echoes
    entry = (b"x-headroom-token", TOKEN.encode())
    said: list[bytes] = []
    for target in TARGETS:
        for script in (CLOSE_AFTER_BODY, STALL_AFTER_BODY, CUT_SHORT):
            upstream.play(script)
            answer = ask(running.port, "POST", target + QUERY, (*HEADERS, entry), b'{"messages":[]}')
            said += [answer.head, answer.body]
            upstream.clear()
            upstream.answer = lambda _: reply()
        for headers in (HEADERS, (*HEADERS, (b"x-headroom-token", KEYS[7]))):
            answer = ask(running.port, "POST", target + QUERY, headers, b"{}")
            said += [answer.head, answer.body]
        said.append(ask(running.port, "POST", target + QUERY, (*HEADERS, entry), b"x" * 5000).head)
    with Caller(running.port) as caller:
        caller.write(b"BROKEN /" + QUERY.encode() + b"\r\nauthorization: " + KEYS[0] + b"\r\n\r\n")
        said.append(caller.answer().body)
    for path in ("/stats", "/stats/recent", "/metrics", "/health", "/readyz"):
        answer = ask(running.port, "GET", path + QUERY, (*HEADERS, entry))
        assert answer.status == 200
        said += [answer.head, answer.body]
    for pid in tree(running.master_pid):
        said += [Path(f"/proc/{pid}/{part}").read_bytes() for part in ("cmdline", "environ")]
    assert running.process.terminate() is None
    eventually(lambda: running.process.poll() is not None)
    said.append(running.log.read_bytes())
    assert b"/v1/messages" in said[-1]
    shown = [text for text in said if b"canary" in text]
    assert shown == []
