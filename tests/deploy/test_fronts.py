"""The configurations for nginx, HAProxy and Caddy: each is accepted, and passes streams on as they come."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.processes import ROOT, free_port, started
from proxy_pkg.config.load import load
from tests.fakes.client import Caller
from tests.fakes.scripts import Script, begin, last_chunk
from tests.fakes.upstream import Upstream
from tests.system.conftest import Start

FRONTS = ROOT / "deploy/fronts"
EVENT = b'event: ping\ndata: {"type": "ping"}\n\n'
BODY = b'{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true}'

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


@pytest.fixture(params=COMMANDS)
def binary(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The file's name and the program that reads it."""
    name = str(request.param)
    found = shutil.which(PROGRAMS[name], path="/usr/sbin:/usr/bin:/usr/local/bin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{PROGRAMS[name]} is not installed (on Debian: apt-get install {PROGRAMS[name]})")
    return name, found


@pytest.fixture
def port() -> int:
    return free_port()


def placed(name: str, folder: Path, front: int, back: int) -> str:
    """The file with other ports, and with its own files in `folder`."""
    text = (FRONTS / name).read_text()
    assert text.count("127.0.0.1:8787") == 1
    text = text.replace(":8080", f":{front}").replace("127.0.0.1:8787", f"127.0.0.1:{back}")
    file = folder / name
    file.write_text(text.replace("/tmp/proxy_pkg-nginx", f"{folder}/nginx"))
    return str(file)


def test_the_file_is_accepted(binary: tuple[str, str], port: int, tmp_path: Path) -> None:
    name, program = binary
    check, _ = COMMANDS[name](program, placed(name, tmp_path, port, free_port()))
    done = subprocess.run(check, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warn" not in done.stderr.lower(), done.stderr


@pytest.fixture
def front(binary: tuple[str, str], port: int, server: Start, tmp_path: Path) -> Iterator[int]:
    """The port of a front that serves, with the proxy behind it."""
    name, program = binary
    behind = server()
    _, serve = COMMANDS[name](program, placed(name, tmp_path, port, behind.port))
    with started(serve, port, tmp_path / "front.log", "/readyz"):
        yield port


def test_events_pass_one_by_one_and_a_stream_ends_as_it_ended(front: int, upstream: Upstream) -> None:
    held = begin([EVENT], ("hold", "second"))
    upstream.play(Script((*held.steps, ("send", b"%x\r\n%b\r\n" % (len(EVENT), EVENT)), ("send", last_chunk()))))
    with Caller(front) as caller:
        caller.write(request())
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
        caller.write(request())
        assert not caller.finish(caller.begin()).complete


def test_an_error_of_the_upstream_passes_once(front: int, upstream: Upstream) -> None:
    upstream.play(Script((("reset",),)), times=None)
    with Caller(front) as caller:
        answer = caller.ask("POST", "/v1/messages", (), BODY)
    assert (answer.status, answer.header("x-headroom-error")) == (502, "upstream_failed")
    assert len(upstream.requests) == 1


def test_a_long_body_passes(front: int, upstream: Upstream) -> None:
    body = b'{"a":"' + b"x" * (12 << 20) + b'"}'
    with Caller(front) as caller:
        assert caller.ask("POST", "/v1/messages", (), body).status == 200
    assert upstream.requests[-1].body == body


def request() -> bytes:
    head = f"POST /v1/messages HTTP/1.1\r\nhost: proxy.test\r\ncontent-length: {len(BODY)}\r\n\r\n"
    return head.encode() + BODY


def test_fronts_wait_longer_than_the_proxy_and_close_idle_connections_first() -> None:
    settings = load({}).settings
    for name in COMMANDS:
        text = (FRONTS / name).read_text()
        assert "660s" in text
        assert "60s" in text
    assert settings.first_byte_timeout_seconds < 660
    assert settings.keepalive_seconds > 60
