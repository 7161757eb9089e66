"""Whoever reads the log may stop: requests are served all the same, and the server ends when it is told to."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.processes import Server, free_port
from tests.fakes.client import Caller
from tests.fakes.scripts import reply
from tests.fakes.upstream import Upstream
from tests.system.patience import eventually

REQUESTS = 400


@pytest.mark.parametrize("reader", ["reads nothing", "is gone"])
def test_a_log_that_nobody_reads_stops_nothing(
    reader: str, server: Callable[..., Server], upstream: Upstream, tmp_path: Path
) -> None:
    upstream.answer = lambda _: reply()
    port = free_port()
    log = tmp_path / str(port) / "log"
    log.parent.mkdir()
    os.mkfifo(log)
    descriptor = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    running = server(HEADROOM_PORT=str(port))
    fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, 1 << 16)
    if reader == "is gone":
        os.close(descriptor)
    with Caller(port) as caller:
        statuses = [caller.ask("POST", "/v1/messages", (), b'{"messages":[]}').status for _ in range(REQUESTS)]
    assert statuses == [200] * REQUESTS
    running.process.terminate()
    eventually(lambda: running.process.poll() is not None)
    assert running.process.returncode == 0
    if reader == "reads nothing":
        os.close(descriptor)
