"""The configurations for nginx, HAProxy and Caddy: each is accepted, and passes on what comes."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect

from bench.processes import ROOT, Server, free_port, started
from proxy_pkg.config.load import load
from tests.fakes.client import Caller, ask, request_bytes
from tests.fakes.scripts import Script, begin, last_chunk, reply
from tests.fakes.upstream import Upstream, running
from tests.fakes.websocket import Sockets, echo
from tests.system.conftest import Start
from tests.system.own_answers import own_answers_only
from tests.system.patience import eventually

FRONTS = ROOT / "deploy/fronts"
EVENT = b'event: ping\ndata: {"type": "ping"}\n\n'
BODY = b'{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true}'
REQUEST = request_bytes("POST", "/v1/messages", (), BODY)
LOCAL_ALONE = ("/stats", "/stats/recent", "/metrics", "/health", "/v1/compress", "/%73tats", "/stats?x=1", "/stats/")

Commands = Callable[[str, str], tuple[list[str], list[str]]]
COMMANDS: dict[str, Commands] = {
    "nginx.conf": lambda binary, file: (
        [binary, "-t", "-e", "stderr", "-c", file],
        [binary, "-e", "stderr", "-c", file, "-g", "daemon off;"],
    ),
    "haproxy.cfg": lambda binary, file: ([binary, "-c", "-f", file], [binary, "-db", "-f", file]),
    "Caddyfile": lambda binary, file: (
        [binary, "validate", "--adapter", "caddyfile", "--config", file],
        [binary, "run", "--adapter", "caddyfile", "--config", file],
    ),
}
"""How each checks its file, and how it serves."""
PROGRAMS = {"nginx.conf": "nginx", "haproxy.cfg": "haproxy", "Caddyfile": "caddy"}


def program_for(name: str) -> str:
    found = shutil.which(PROGRAMS[name], path="/usr/sbin:/usr/bin:/usr/local/bin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{PROGRAMS[name]} is not installed (on Debian: apt-get install {PROGRAMS[name]})")
    return found


@pytest.fixture(scope="module", params=COMMANDS)
def binary(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The file's name and the program that reads it."""
    return request.param, program_for(request.param)


def placed(name: str, folder: Path, front: int, *backs: int, local: str = "127.0.0.1") -> str:
    """The file with other ports, for callers on another machine than `local`, and with its own files in `folder`."""
    text = (FRONTS / name).read_text()
    assert text.count("127.0.0.1:8787") == 1
    line = next(line for line in text.splitlines() if "127.0.0.1:8787" in line)
    text = text.replace(line, "\n".join(line.replace("8787", str(back)).replace("first", f"s{back}") for back in backs))
    if local != "127.0.0.1":
        text, count = re.subn(r"127\.0\.0\.0/8|allow 127\.0\.0\.1", lambda it: it[0].split("127")[0] + local, text)
        assert count == 1
    file = folder / name
    text = text.replace("inter 1s", "inter 100ms")
    file.write_text(text.replace(":8080", f":{front}").replace("/tmp/proxy_pkg-nginx", f"{folder}/nginx"))
    return str(file)


def test_the_file_is_accepted(binary: tuple[str, str], tmp_path: Path) -> None:
    name, program = binary
    check, _ = COMMANDS[name](program, placed(name, tmp_path, free_port(), free_port()))
    done = subprocess.run(check, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warn" not in done.stderr.lower(), done.stderr


def test_the_file_beside_compose_is_accepted_where_its_names_are_not_known_yet() -> None:
    check, _ = COMMANDS["haproxy.cfg"](program_for("haproxy.cfg"), str(ROOT / "deploy/docker/haproxy.cfg"))
    done = subprocess.run(check, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def front(binary: tuple[str, str], shared_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a front that serves, with the proxy behind it."""
    name, program = binary
    folder, port = tmp_path_factory.mktemp("front"), free_port()
    _, serve = COMMANDS[name](program, placed(name, folder, port, shared_server.port))
    with started(serve, port, folder / "log", "/readyz"):
        yield port


def test_events_pass_one_by_one_and_a_stream_ends_as_it_ended(front: int, upstream: Upstream) -> None:
    held = begin([EVENT], ("hold", "second"))
    upstream.play(Script((*held.steps, ("send", b"%x\r\n%b\r\n" % (len(EVENT), EVENT)), ("send", last_chunk()))))
    with Caller(front) as caller:
        caller.write(REQUEST)
        answer = caller.begin()
        assert (answer.status, caller.chunk()) == (200, EVENT), "while the upstream still holds the second"
        upstream.release("second")
        ended = caller.finish(answer)
        assert (ended.body, ended.complete) == (EVENT, True)


def test_a_cut_stream_is_not_made_whole(front: int, binary: tuple[str, str], upstream: Upstream) -> None:
    if binary[0] == "Caddyfile":
        pytest.skip("Caddy 2.6 ends every stream as if it were whole; its file says so")
    upstream.play(begin([EVENT], ("reset",)))
    with Caller(front) as caller:
        caller.write(REQUEST)
        assert not caller.finish(caller.begin()).complete


@pytest.mark.parametrize("leave", ["close", "reset"])
@pytest.mark.parametrize("moment", ["before the answer", "in the midst of a stream"])
def test_the_upstream_learns_that_the_client_left(moment: str, leave: str, front: int, upstream: Upstream) -> None:
    waits: tuple[str, str] = ("hold", "for ever")
    upstream.play(Script((waits,)) if moment == "before the answer" else begin([EVENT], waits))
    with Caller(front) as caller:
        caller.write(REQUEST)
        if moment == "before the answer":
            upstream.wait_until(lambda self: len(self.requests) == 1)
        else:
            caller.begin()
            assert caller.chunk() == EVENT
        caller.reset() if leave == "reset" else caller.socket.close()
        upstream.wait_until(lambda self: self.open_connections == 0)


def test_websockets_pass_with_their_close_codes(front: int, upstream: Upstream) -> None:
    sockets = Sockets(upstream, echo)
    with connect(f"ws://127.0.0.1:{front}/v1/responses") as client:
        for message in ("hello", b"\x00" * 70_000):
            client.send(message)
            assert client.recv(5) == message
        client.close(4001, "enough")
    eventually(lambda: sockets.opened[0].close == (4001, "enough"))


def test_many_clients_that_offer_h2c_get_their_own_answers(front: int, upstream: Upstream) -> None:
    own_answers_only(front, upstream)


@pytest.mark.parametrize("body", [BODY, None], ids=["with a body", "without"])
@pytest.mark.parametrize("offer", ["h2c", "TLS/1.0", "websocket, h2c"])
def test_no_upgrade_but_a_websockets_reaches_the_proxy(
    offer: str, body: bytes | None, binary: tuple[str, str], tmp_path: Path
) -> None:
    name, program = binary
    port = free_port()
    with running() as behind:
        _, serve = COMMANDS[name](program, placed(name, tmp_path, port, int(behind.url.rpartition(":")[2])))
        with started(serve, port, tmp_path / "log", "/readyz"), Caller(port) as caller:
            fields = [
                (b"connection", b"Upgrade, HTTP2-Settings"),
                (b"upgrade", offer.encode()),
                (b"http2-settings", b"AAMA"),
            ]
            answer = caller.ask("POST", "/v1/messages", fields, body)
            reached = [request for request in behind.requests if request.target == "/v1/messages"]
    if answer.status == 400:  # HAProxy refuses a WebSocket without a key by itself
        assert (name, offer, body, reached) == ("haproxy.cfg", "websocket, h2c", None, [])
        return
    assert [got.body for got in reached] == [body or b""]
    assert (reached[0].header("upgrade"), reached[0].header("http2-settings")) == ("", "")


def test_an_error_of_the_upstream_passes_once(front: int, upstream: Upstream) -> None:
    upstream.play(Script((("reset",),)), times=None)
    answer = ask(front, "POST", "/v1/messages", (), BODY)
    assert (answer.status, answer.header("x-headroom-error")) == (502, "upstream_failed")
    assert len(upstream.requests) == 1


def test_a_long_body_passes(front: int, upstream: Upstream) -> None:
    body = b'{"a":"' + b"x" * (12 << 20) + b'"}'
    assert ask(front, "POST", "/v1/messages", (), body).status == 200
    assert upstream.requests[-1].body == body


def test_callers_on_this_machine_may_look(front: int) -> None:
    with Caller(front) as caller:
        caller.write(b"GET /stats HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        assert caller.answer().status == 200


def test_what_answers_this_machine_alone_answers_nobody_else(
    binary: tuple[str, str], shared_server: Server, tmp_path: Path
) -> None:
    """Behind a front every caller looks local to the proxy, so the front has to tell them apart."""
    name, program = binary
    port = free_port()
    _, serve = COMMANDS[name](program, placed(name, tmp_path, port, shared_server.port, local="127.0.0.2"))
    with started(serve, port, tmp_path / "log", "/readyz"):
        for path in LOCAL_ALONE:
            assert ask(port, "POST" if path == "/v1/compress" else "GET", path).status == 403, path


def test_a_server_that_drains_gets_no_more_and_finishes_what_it_has(
    server: Start, upstream: Upstream, tmp_path: Path
) -> None:
    program = program_for("haproxy.cfg")
    first, second, port = server(), server(), free_port()
    upstream.answer = lambda _: reply()
    held = begin([EVENT], ("hold", "rest"))
    upstream.play(Script((*held.steps, ("send", last_chunk()))), times=2)
    _, serve = COMMANDS["haproxy.cfg"](program, placed("haproxy.cfg", tmp_path, port, first.port, second.port))
    with started(serve, port, tmp_path / "log", "/readyz"), Caller(port) as one, Caller(port) as other:
        answers = []
        for caller in (one, other):  # the least busy takes the next: one stream on each
            caller.write(REQUEST)
            answers.append(caller.begin())
        first.process.terminate()
        statuses = {ask(port, "POST", "/v1/messages", (), BODY).status for _ in range(40)}
        eventually(lambda: f"s{first.port} is DOWN" in (tmp_path / "log").read_text())
        assert statuses | {ask(port, "POST", "/v1/messages", (), BODY).status} == {200}
        assert first.process.poll() is None, "its stream is still open"
        upstream.release("rest")
        assert all(caller.finish(answer).complete for caller, answer in zip((one, other), answers, strict=True))
        assert first.process.wait(15) == 0


def test_fronts_wait_longer_than_the_proxy_and_close_idle_connections_first() -> None:
    settings = load({}).settings
    for name in COMMANDS:
        text = (FRONTS / name).read_text()
        assert "660s" in text
        assert "60s" in text
    assert settings.first_byte_timeout_seconds < 660
    assert settings.keepalive_seconds > 60
