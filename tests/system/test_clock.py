"""The time of day jumps by hours and by decades: no request fails, no worker is lost, limits stay what they were."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.processes import Server
from tests.fakes.client import Answer, Caller, ask
from tests.fakes.scripts import Script, begin, last_chunk, reply
from tests.fakes.upstream import Upstream
from tests.system.conftest import Start
from tests.system.patience import eventually, stats

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
pytestmark = pytest.mark.skipif(FAKETIME is None, reason="libfaketime is missing (on Debian: apt-get install faketime)")
JUMPS = ("+2h", "-2h", "@1970-01-01 00:00:30", "@2107-01-01 00:00:00")
EVENT = b"event: ping\ndata: {}\n\n"
BODY = b'{"model":"claude-sonnet-4-5","messages":[]}'
USAGE = b'{"model":"claude-haiku-4-5","usage":{"input_tokens":1000000,"output_tokens":0}}'
DOLLARS_EACH = 1
RPM = 3
SLEEPS_AS_ASKED = """
import select, time
time.sleep = lambda seconds: select.select((), (), (), seconds)
"""
"""libfaketime moves the end of Python's sleep, a moment of the monotonic clock, by the hours of the jump."""
Clock = Callable[[str], None]


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Sets the time of day of all servers that are started after it; monotonic clocks go on as they do."""
    said = tmp_path / "time"
    (tmp_path / "sitecustomize.py").write_text(SLEEPS_AS_ASKED)
    environment = {
        "PYTHONPATH": str(tmp_path),
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(said),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # Python's threads wait for each other on this clock too
        "NO_FAKE_STAT": "1",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def jump(to: str) -> None:
        fresh = said.with_suffix(".new")
        fresh.write_text(to)
        fresh.replace(said)

    jump("+0")
    return jump


def asked(server: Server, key: bytes) -> Answer:
    return ask(server.port, "POST", "/v1/messages", ((b"x-api-key", key),), BODY)


def looks(server: Server, times: int) -> None:
    """Return when the master has looked at its workers so often: it waits for signals in between."""

    def waits() -> int:
        found = re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status.read_text(), re.MULTILINE)
        assert found
        return int(found[1])

    def has_looked() -> bool:
        os.kill(server.master_pid, signal.SIGCHLD)
        return waits() >= before + times

    status = Path(f"/proc/{server.master_pid}/status")
    before = waits()
    eventually(has_looked)


def test_no_worker_is_lost_no_request_fails_and_rates_stay_spent(
    clock: Clock, server: Start, upstream: Upstream
) -> None:
    held = begin([EVENT], ("hold", "end"))
    upstream.play(Script((*held.steps, ("send", last_chunk()))), times=None, path="/v1/chat/completions")
    running = server(HEADROOM_RPM=str(RPM), HEADROOM_CALLER_CONCURRENCY="2", HEADROOM_WORKER_TIMEOUT_SECONDS="2")
    workers = set(running.worker_pids)
    with Caller(running.port) as streaming:
        streaming.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
        answer = streaming.begin()
        for number, jump in enumerate(JUMPS):
            key = b"caller-%d" % number
            assert [asked(running, key).status for _ in range(RPM + 1)] == [200] * RPM + [429]
            clock(jump)
            assert asked(running, key).status == 429, jump
            assert asked(running, key + b"-later").status == 200, jump
            eventually(lambda: stats(running)["requests"]["in_flight"] == 1)
            assert ask(running.port, "GET", "/stats/recent").status == 200
            looks(running, 4)
            assert set(running.worker_pids) == workers, jump
        upstream.release("end")
        assert streaming.finish(answer).complete
    assert "Traceback" not in running.log.read_text()


@pytest.mark.parametrize("jump", ["+2h", "-2h"])
def test_a_stop_waits_for_what_is_open_however_the_clock_jumps(
    jump: str, clock: Clock, server: Start, upstream: Upstream
) -> None:
    held = begin([EVENT], ("hold", "end"))
    upstream.play(Script((*held.steps, ("send", last_chunk()))))
    running = server(HEADROOM_WORKERS="1")
    with Caller(running.port) as streaming:
        streaming.write(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
        answer = streaming.begin()
        os.kill(running.master_pid, signal.SIGTERM)
        eventually(lambda: "draining" in running.log.read_text())
        clock(jump)
        looks(running, 8)
        upstream.release("end")
        assert streaming.finish(answer).complete
    assert running.process.wait(10) == 0


def spent(server: Server) -> bool:
    """Ask until the budget is spent, and return when all answers are charged: late ones are charged to another day."""
    answered = 0
    while asked(server, b"k").status == 200:
        answered += 1
        assert answered < 1000, "no budget holds"
    eventually(lambda: stats(server)["limits"][0]["used"] == DOLLARS_EACH * answered)
    return answered > 0


def test_a_budget_is_that_of_the_day_that_the_clock_shows(clock: Clock, server: Start, upstream: Upstream) -> None:
    upstream.answer = lambda _: reply(USAGE)
    running = server(HEADROOM_BUDGET="0.5")
    assert spent(running)
    for day in ("@1970-01-01 12:00:00", "@2040-03-01 12:00:00"):
        clock(day)
        assert spent(running), "another day has another budget"
    clock("+0")
    refused = asked(running, b"k")
    assert (refused.status, refused.header("x-headroom-error")) == (429, "budget_spent"), "this day's is still spent"
