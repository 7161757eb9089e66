"""The image of the Dockerfile, built and run by `make check-image`: it takes most of a minute, so it stands apart."""

import os
import signal
from collections.abc import Iterator

import msgspec
import pytest

from bench.processes import ROOT, Server, children, free_port, started
from tests.deploy.dockerfile import Stage, stages
from tests.deploy.engine import Built, built, hindrance
from tests.fakes.client import Caller, ask, request_bytes
from tests.fakes.scripts import Script, begin, last_chunk
from tests.fakes.upstream import Upstream

DOCKERFILE = (ROOT / "deploy/docker/Dockerfile").read_text()
TOKEN = "a-token-of-some-length"
GIVEN = ((b"x-headroom-token", TOKEN.encode()),)
LIMIT_SECONDS = 30

pytestmark = pytest.mark.skipif(bool(hindrance()), reason=hindrance() or "it can")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    with built(DOCKERFILE, tmp_path_factory.mktemp("image")) as made:
        owner = made.seen("/run/proxy_pkg").stat()
        assert (owner.st_uid, owner.st_gid, owner.st_mode & 0o777) == (10001, 10001, 0o700), "a volume begins so"
        made.seal("/run/proxy_pkg")
        yield made


@pytest.fixture(scope="module")
def final() -> Stage:
    return stages(DOCKERFILE)[-1]


@pytest.fixture
def container(
    image: Built, final: Stage, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The command of the image as process 1, with a Redis that nobody is at."""
    port = free_port()
    names = {f"{name}_TARGET_API_URL": upstream.url for name in ("ANTHROPIC", "OPENAI", "GEMINI")}
    names |= {"HEADROOM_PORT": str(port), "HEADROOM_HOST": "127.0.0.1", "HEADROOM_PROXY_TOKEN": TOKEN}
    names |= {"HEADROOM_WORKERS": "2", "HEADROOM_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    log = tmp_path_factory.mktemp("container") / "log"
    with started(image.process_one(final.last("CMD").listed, **names), port, log, "/readyz", {**os.environ}) as server:
        yield server


def test_every_setting_works_in_it_and_what_is_not_set_is_not_imported(image: Built) -> None:
    told = image.run(
        [
            *("python", "-c"),
            "import sys, proxy_pkg.server.asgi\n"
            "print({'redis', 'opentelemetry'} & set(sys.modules))\n"
            "from proxy_pkg.config.extras import NEEDED, is_missing\n"
            "print([name for name in NEEDED if is_missing(name)])",
        ]
    )
    assert (told.stdout, told.stderr) == ("set()\n[]\n", "")


def test_it_lets_nobody_in_without_a_token(image: Built, final: Stage) -> None:
    done = image.run(final.last("CMD").listed)
    assert done.returncode == 1
    assert "HEADROOM_PROXY_TOKEN" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_serves_drains_and_writes_only_where_it_said(
    container: Server, image: Built, final: Stage, upstream: Upstream
) -> None:
    held = begin([b"data: 1\n\n"], ("hold", "rest"))
    upstream.play(Script((*held.steps, ("send", b"9\r\ndata: 2\n\n\r\n" + last_chunk()))))
    (master,) = children(container.process.pid)
    assert os.stat(f"/proc/{master}").st_uid == 10001
    check = image.run(final.last("HEALTHCHECK").listed, HEADROOM_PORT=str(container.port))
    assert (check.returncode, check.stderr) == (0, "")
    assert ask(container.port, "GET", "/stats").status == 403
    assert ask(container.port, "GET", "/stats", GIVEN).json()["workers"]["live"]
    with Caller(container.port) as caller:
        caller.write(request_bytes("POST", "/v1/messages", GIVEN, b'{"stream":true}'))
        answer = caller.begin()
        assert sorted(path.name for path in image.seen("/run/proxy_pkg").iterdir()) == ["state"]
        assert list(image.seen("/dev/shm").iterdir()) == []
        os.kill(master, signal.Signals[final.last("STOPSIGNAL").rest])
        upstream.release("rest")
        assert caller.finish(answer).complete
        assert answer.body == b"data: 1\n\ndata: 2\n\n"
    assert container.process.wait(LIMIT_SECONDS) == 0
    said = container.log.read_text()
    assert "Read-only" not in said
    assert "Traceback" not in said


def test_the_doctor_can_be_asked_in_it(image: Built) -> None:
    told = image.run(["proxyctl", "doctor", "--offline", "--json"], HEADROOM_PROXY_TOKEN=TOKEN)
    states = {found["subject"]: found["state"] for found in msgspec.json.decode(told.stdout)}
    assert (states["self-test"], states["configuration"]) == ("ok", "ok"), told.stdout


def test_the_check_fails_where_nothing_listens(image: Built, final: Stage) -> None:
    assert image.run(final.last("HEALTHCHECK").listed, HEADROOM_PORT=str(free_port())).returncode != 0
