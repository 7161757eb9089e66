"""Java's own HTTP client, which offers h2c beside every body, gets its own answers, through nginx too."""

import shutil
import subprocess
from pathlib import Path

import pytest

from bench.processes import ROOT, Server, free_port, started
from tests.deploy.test_fronts import COMMANDS, placed, program_for
from tests.fakes.scripts import reply
from tests.fakes.upstream import Upstream

PROGRAM = ROOT / "tests/agents/java/Offers.java"


def own_answers(port: int) -> str:
    java = shutil.which("java")
    if java is None:
        pytest.skip("java is not installed (on Debian: apt-get install default-jdk-headless)")
    command = [java, str(PROGRAM), f"http://127.0.0.1:{port}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if "jdk.compiler" in done.stderr:
        pytest.skip("this java runs no source files (on Debian: apt-get install default-jdk-headless)")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("through", ["nothing", "nginx.conf"])
def test_java_gets_the_answer_of_each_request(
    through: str, shared_server: Server, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.answer = lambda request: reply(body=request.body)
    if through == "nothing":
        assert own_answers(shared_server.port) == "50"
    else:
        port = free_port()
        _, serve = COMMANDS[through](program_for(through), placed(through, tmp_path, port, shared_server.port))
        with started(serve, port, tmp_path / "log", "/readyz"):
            assert own_answers(port) == "50"
    assert len(upstream.requests) == 50
    assert all("h2c" not in request.header("upgrade") for request in upstream.requests)
