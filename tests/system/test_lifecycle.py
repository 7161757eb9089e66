"""Workers come and go under load: nobody outside can tell, unless a worker is killed, and then only its own clients."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.constant_load import Kind, Outcome, constant_load
from bench.processes import Server, children, tree
from tests.fakes.client import Caller, ask
from tests.fakes.scripts import STALL_AFTER_BODY, Script, begin, last_chunk, stream
from tests.fakes.upstream import Upstream
from tests.system.conftest import Start
from tests.system.patience import eventually, stats

EVENT = b'event: ping\ndata: {"type": "ping"}\n\n'
STUCK_THREAD = """
import os, threading
def never_returns():
    threading.Event().wait()
os.register_at_fork(after_in_child=lambda: threading.Thread(target=never_returns).start())
"""
SLOW_START = """
import os, time
os.register_at_fork(after_in_child=lambda: time.sleep(1) if os.path.exists({marker!r}) else None)
"""
STREAM_SECONDS = 0.8
BODY = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'


def post(target: str, keeps: bool = True) -> bytes:
    lines = [f"POST {target} HTTP/1.1", "host: proxy.test", f"content-length: {len(BODY)}"]
    return "\r\n".join(lines + ([] if keeps else ["connection: close"])).encode() + b"\r\n\r\n" + BODY


KINDS = [
    (Kind("keeps its connection", post("/v1/messages")), 4),
    (Kind("new connections", post("/v1/messages", keeps=False), keeps=False), 2),
    # As long as a worker that ends waits for one more request: the worst moment to come back.
    (Kind("pauses", post("/v1/messages"), pause_seconds=(0.9, 1.1)), 8),
    (Kind("streams", post("/v1/chat/completions")), 4),
]


@contextmanager
def load(server: Server, upstream: Upstream) -> Iterator[Outcome]:
    """Every kind of client, asking all the time; each stream takes longer than a reload."""
    upstream.play(stream([(STREAM_SECONDS / 8, EVENT)] * 8), times=None, path="/v1/chat/completions")
    with constant_load(server.port, KINDS) as outcome:
        eventually(lambda: set(outcome.answers) == {kind.name for kind, _ in KINDS})
        yield outcome
    assert outcome.failures == {}


def generation(server: Server) -> set[int]:
    """The workers that serve, draining ones left out."""
    return {worker["pid"] for worker in stats(server)["workers"]["live"] if not worker["draining"]}


def test_reloads_cost_no_request_and_no_stream(server: Start, upstream: Upstream) -> None:
    running = server()
    with load(running, upstream):
        for _ in range(3):
            before = generation(running)
            os.kill(running.master_pid, signal.SIGHUP)
            eventually(lambda: not generation(running) & before)  # noqa: B023
            assert len(generation(running)) == 2


def test_a_lone_worker_is_replaced_at_its_limit_without_a_gap(server: Start, upstream: Upstream) -> None:
    running = server(HEADROOM_WORKERS="1", HEADROOM_MAX_REQUESTS="20")
    with load(running, upstream):
        eventually(lambda: stats(running)["workers"]["starts"] > 4)
    serving = 0
    for line in running.log.read_text().splitlines():
        serving += ("startup complete" in line) - ("draining: " in line)
        assert serving or "draining: " not in line, "it stopped to take connections before its successor took them"


def test_idle_clients_keep_their_connections_when_workers_change(server: Start, upstream: Upstream) -> None:
    running = server()
    eventually(lambda: len(generation(running)) == 2)
    callers = [Caller(running.port) for _ in range(60)]
    try:
        for caller in callers[:40]:  # the others have asked nothing yet
            assert caller.ask("POST", "/v1/messages", (), BODY).status == 200
        for _ in range(2):
            before = set(running.worker_pids)
            os.kill(running.master_pid, signal.SIGHUP)
            eventually(lambda: len(running.worker_pids) == 2 and not set(running.worker_pids) & before)  # noqa: B023
            for caller in callers:
                answer = caller.ask("POST", "/v1/messages", (), BODY)
                assert (answer.status, answer.header("connection")) == (200, "")
        victim = stats(running)["workers"]["live"][0]["pid"]
        os.kill(victim, signal.SIGKILL)
        ends = [caller.ask("POST", "/v1/messages", (), BODY).status for caller in callers]
        assert set(ends) == {0, 200}, "those of the other worker stay"
    finally:
        for caller in callers:
            caller.__exit__()


def test_a_lone_worker_at_its_limit_hands_its_clients_on(server: Start, upstream: Upstream) -> None:
    running = server(HEADROOM_WORKERS="1", HEADROOM_MAX_REQUESTS="20")
    first = running.worker_pids
    with Caller(running.port) as idle:
        assert idle.ask("POST", "/v1/messages", (), BODY).status == 200
        eventually(lambda: stats(running)["workers"]["starts"] > 2 and not set(running.worker_pids) & set(first))
        assert idle.ask("POST", "/v1/messages", (), BODY).status == 200


def test_an_upgrade_in_place_costs_nothing(server: Start, upstream: Upstream) -> None:
    running = server()
    with load(running, upstream):
        before = generation(running)
        os.kill(running.master_pid, signal.SIGUSR2)
        eventually(lambda: len(generation(running)) == 4)
        successor = next(pid for pid in running.worker_pids if children(pid))
        os.kill(running.master_pid, signal.SIGTERM)
        try:
            eventually(lambda: not generation(running) & before)
            running.process.wait(15)
        finally:
            upgraded = tree(successor)
    assert len(generation(running)) == 2
    os.kill(successor, signal.SIGTERM)
    eventually(lambda: not any(alive(pid) for pid in upgraded))


def test_a_stop_under_load_fails_nobody_who_was_connected(server: Start, upstream: Upstream) -> None:
    running = server()
    upstream.play(stream([(STREAM_SECONDS / 8, EVENT)] * 8), times=None, path="/v1/chat/completions")
    with constant_load(running.port, KINDS) as outcome:
        eventually(lambda: outcome.answers["streams"])
        os.kill(running.master_pid, signal.SIGTERM)
        assert running.process.wait(10) == 0
    assert all("connect: ConnectionRefusedError" in cause for cause in outcome.failures), outcome.failures


def test_a_worker_that_is_told_to_end_before_it_can_hear_it_ends_all_the_same(
    server: Start, upstream: Upstream, tmp_path: Path
) -> None:
    marker = tmp_path / "slow"
    (tmp_path / "sitecustomize.py").write_text(SLOW_START.format(marker=str(marker)))
    running = server(PYTHONPATH=str(tmp_path))
    old = set(running.worker_pids)
    marker.touch()
    os.kill(running.master_pid, signal.SIGHUP)
    eventually(lambda: len(set(running.worker_pids) - old) == 2)
    never_served = set(running.worker_pids) - old
    os.kill(running.master_pid, signal.SIGHUP)  # ends the new ones before they have handlers
    eventually(lambda: len(running.worker_pids) == 2 and not set(running.worker_pids) & (old | never_served))
    os.kill(running.master_pid, signal.SIGHUP)
    os.kill(running.master_pid, signal.SIGTERM)
    assert running.process.wait(15) == 0


def test_a_stop_finishes_what_was_begun_and_frees_the_port(server: Start, upstream: Upstream) -> None:
    upstream.play(stream([(0.1, EVENT)] * 10))
    running = server(HEADROOM_WORKERS="1")  # of two, one may still be ready when the other drains
    with Caller(running.port) as streaming, Caller(running.port) as idle:
        assert idle.ask("GET", "/readyz").status == 200
        streaming.write(post("/v1/messages"))
        answer = streaming.begin()
        os.kill(running.master_pid, signal.SIGTERM)
        eventually(lambda: "draining" in running.log.read_text())
        asked = idle.ask("GET", "/readyz")
        assert (asked.status, asked.body, asked.header("connection")) == (503, b"draining", "close")
        assert streaming.finish(answer).body == EVENT * 10
    assert running.process.wait(5) == 0
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", running.port))


@pytest.mark.parametrize(("half", "told"), [(b"", True), (b"data: {", False)], ids=["between events", "inside one"])
def test_what_outlasts_the_drain_limit_is_told_so_where_an_event_fits(
    half: bytes, told: bool, server: Start, upstream: Upstream
) -> None:
    upstream.play(begin([EVENT + half], ("stall",)))
    running = server(HEADROOM_DRAIN_LIMIT_SECONDS="1", HEADROOM_WORKERS="1")
    with Caller(running.port) as streaming:
        streaming.write(post("/v1/messages"))
        answer = streaming.begin()
        assert streaming.chunk() == EVENT + half
        os.kill(running.master_pid, signal.SIGTERM)
        rest = streaming.finish(answer)
    assert not rest.complete
    assert (b"headroom_shutting_down" in rest.body or b"the proxy restarts" in rest.body) is told
    assert running.process.wait(10) == 0


def test_an_answer_that_has_not_begun_is_refused_in_its_apis_shape_after_the_drain_limit(
    server: Start, upstream: Upstream
) -> None:
    upstream.play(STALL_AFTER_BODY)
    running = server(HEADROOM_DRAIN_LIMIT_SECONDS="1", HEADROOM_WORKERS="1")
    with Caller(running.port) as waiting:
        waiting.write(post("/v1/messages"))
        upstream.wait_until(lambda each: len(each.requests) == 1)
        os.kill(running.master_pid, signal.SIGTERM)
        answer = waiting.answer("POST")
    assert (answer.status, answer.header("x-headroom-error"), answer.complete) == (503, "shutting_down", True)
    assert answer.header("retry-after")
    eventually(lambda: '"outcome":"refused"' in running.log.read_text())


def test_only_the_clients_of_a_killed_worker_notice_and_it_is_replaced(server: Start, upstream: Upstream) -> None:
    running = server()
    eventually(lambda: running.log.read_text().count("startup complete") == 2)
    held = begin([EVENT], ("hold", "all"))
    upstream.play(Script((*held.steps, ("send", last_chunk()))), times=None)
    callers = [Caller(running.port) for _ in range(6)]
    try:
        for caller in callers:
            caller.write(post("/v1/messages"))
        answers = [caller.begin() for caller in callers]
        untouched, victim = stats(running)["workers"]["live"]
        assert untouched["in_flight"] + victim["in_flight"] == len(callers)
        os.kill(victim["pid"], signal.SIGKILL)
        eventually(lambda: len(generation(running) - {victim["pid"]}) == 2)
        upstream.release("all")
        ends = [caller.finish(answer) for caller, answer in zip(callers, answers, strict=True)]
        assert [end.complete for end in ends].count(True) == untouched["in_flight"]
    finally:
        for caller in callers:
            caller.__exit__()
    assert stats(running)["requests"]["in_flight"] == 0


def test_without_their_master_workers_go_and_the_port_is_free(server: Start, upstream: Upstream) -> None:
    upstream.play(begin([EVENT], ("stall",)))
    running = server()
    workers = running.worker_pids
    with Caller(running.port) as caller:
        caller.write(post("/v1/messages"))
        answer = caller.begin()
        os.kill(running.master_pid, signal.SIGKILL)
        running.process.wait()
        eventually(lambda: not any(alive(pid) for pid in workers))
        assert b"the proxy restarts" in caller.finish(answer).body
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", running.port))


def test_a_worker_that_stands_still_is_replaced_and_others_go_on(server: Start, upstream: Upstream) -> None:
    running = server(HEADROOM_WORKER_TIMEOUT_SECONDS="2")
    stuck = running.worker_pids[0]
    os.kill(stuck, signal.SIGSTOP)
    served = 0

    def is_gone() -> bool:
        nonlocal served
        assert ask(running.port, "POST", "/v1/messages", (), BODY).status == 200
        served += alive(stuck)
        return not alive(stuck)

    eventually(is_gone)
    assert served, "others were served while it stood still"
    eventually(lambda: len(generation(running)) == 2)


def test_a_stop_waits_for_no_worker_that_stands_still_longer_than_at_other_times(
    server: Start, upstream: Upstream
) -> None:
    running = server(HEADROOM_WORKER_TIMEOUT_SECONDS="2", HEADROOM_DRAIN_LIMIT_SECONDS="600")
    held = begin([EVENT], ("hold", "end"))
    upstream.play(Script((*held.steps, ("send", last_chunk()))))
    with Caller(running.port) as streaming:
        streaming.write(post("/v1/messages"))
        answer = streaming.begin()
        stuck = next(worker["pid"] for worker in stats(running)["workers"]["live"] if not worker["in_flight"])
        os.kill(stuck, signal.SIGSTOP)
        os.kill(running.master_pid, signal.SIGTERM)
        eventually(lambda: not alive(stuck))
        upstream.release("end")
        assert streaming.finish(answer).complete, "others are waited for"
    assert running.process.wait(15) == 0


def test_a_thread_that_never_comes_back_keeps_no_worker_alive(
    server: Start, upstream: Upstream, tmp_path: Path
) -> None:
    # As a planning thread would be, if a compressor never returned. Python itself waits for such threads for ever.
    (tmp_path / "sitecustomize.py").write_text(STUCK_THREAD)
    running = server(HEADROOM_WORKERS="1", PYTHONPATH=str(tmp_path))
    with Caller(running.port) as caller:
        assert caller.ask("GET", "/livez").status == 200
    os.kill(running.master_pid, signal.SIGTERM)
    running.process.wait(15)
    assert "Timeout" in running.log.read_text()
    assert "never_returns" in running.log.read_text()


def test_a_file_that_is_never_read_to_its_end_keeps_no_worker_alive(server: Start, upstream: Upstream) -> None:
    # The loop waits for threads of its own when it closes, and would go on showing life meanwhile.
    running = server(HEADROOM_WORKERS="1", HEADROOM_DRAIN_LIMIT_SECONDS="1")
    (first,) = running.worker_pids
    pipe = running.log.with_name("state") / "slots" / "7.counters"
    os.mkfifo(pipe)
    with Caller(running.port) as caller:
        caller.write(b"GET /stats HTTP/1.1\r\nhost: localhost\r\n\r\n")
        os.kill(running.master_pid, signal.SIGHUP)
        eventually(lambda: not alive(first))
    assert "Timeout" in running.log.read_text()
    pipe.unlink()


def test_what_a_terminal_sends_to_all_is_for_the_master_alone(server: Start, upstream: Upstream) -> None:
    upstream.play(stream([(0.1, EVENT)] * 10))
    running = server(HEADROOM_WORKERS="1")
    with Caller(running.port) as caller:
        caller.write(post("/v1/messages"))
        answer = caller.begin()
        for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGWINCH):
            os.kill(running.worker_pids[0], number)
        assert caller.finish(answer).complete


def test_an_interrupt_ends_all_at_once_and_in_good_order(server: Start, upstream: Upstream) -> None:
    upstream.play(begin([EVENT], ("stall",)))
    running = server()
    with Caller(running.port) as caller:
        caller.write(post("/v1/messages"))
        answer = caller.begin()
        os.killpg(running.master_pid, signal.SIGINT)
        assert b"the proxy restarts" in caller.finish(answer).body
    assert running.process.wait(10) == 0, "the drain limit was not waited for"


def test_a_reload_does_not_keep_the_master_from_its_work(server: Start, upstream: Upstream) -> None:
    """An old worker has a long stream to finish; a new one that dies meanwhile is replaced all the same."""
    held = begin([EVENT], ("hold", "end"))
    upstream.play(Script((*held.steps, ("send", last_chunk()))))
    running = server()
    with Caller(running.port) as caller:
        caller.write(post("/v1/messages"))
        answer = caller.begin()
        before = generation(running)
        os.kill(running.master_pid, signal.SIGHUP)
        eventually(lambda: len(generation(running) - before) == 2)
        victim = min(generation(running) - before)
        eventually(lambda: stats(running)["workers"]["live"] and len(generation(running)) == 2)
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: len(generation(running) - before - {victim}) == 2)
        upstream.release("end")
        assert caller.finish(answer).complete


def test_a_stuck_loop_is_ended_and_says_where_it_was(server: Start, upstream: Upstream) -> None:
    running = server(HEADROOM_WORKER_TIMEOUT_SECONDS="2", HEADROOM_WORKERS="1")
    os.kill(running.worker_pids[0], signal.SIGABRT)
    eventually(lambda: "Current thread" in running.log.read_text())
    eventually(lambda: ask(running.port, "GET", "/livez").status == 200)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
