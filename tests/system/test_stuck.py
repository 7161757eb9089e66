"""A compressor that never comes back: the worker answers others, the request goes on, the text is left alone."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from bench.processes import Server
from bench.trap import HOLDS_ALL, SLEEPS, TRAP, TURNS, lay
from tests.fakes.client import Answer, Caller, ask
from tests.fakes.upstream import Upstream
from tests.system.conftest import Start
from tests.system.patience import eventually

READ = "\n".join(f"{line:6}→    value_{line} = compute_{line}(mode='fast')" for line in range(1, 100))


def numbered(name: str, lines: int) -> str:
    return "\n".join(f"{line:6}→    {name}_{line} = compute_{line}(mode='fast')" for line in range(1, lines))


def body(*texts: str) -> bytes:
    results = [{"type": "tool_result", "tool_use_id": f"t{n}", "content": text} for n, text in enumerate(texts)]
    return msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": [each]} for each in results]})


def trapping(server: Start, folder: Path, wait: str, **settings: str) -> Server:
    return server(HEADROOM_WORKERS="1", **lay(folder, wait), **settings)


def post(server: Server, *texts: str) -> Answer:
    with Caller(server.port, timeout_seconds=60) as caller:
        return caller.ask("POST", "/v1/messages", (), body(*texts))


@pytest.mark.parametrize(("wait", "lines"), [(TURNS, 20), (TURNS, 3000), (SLEEPS, 3000)])
def test_the_worker_lives_and_only_that_text_is_left_alone(
    wait: str, lines: int, server: Start, upstream: Upstream, tmp_path: Path
) -> None:
    running = trapping(server, tmp_path, wait)
    before, trap = numbered("before", 60), numbered("trap", lines) + TRAP
    assert post(running, before).header("x-headroom-decision") == "rewritten; reason=smaller"
    with ThreadPoolExecutor(1) as elsewhere:
        pending = elsewhere.submit(post, running, before, trap)
        alive = 0
        while not pending.done():
            assert ask(running.port, "GET", "/livez").status == 200
            alive += 1
        assert pending.result().status == 200
    assert alive > 5, "it answered while the compressor held the request"
    again = post(running, before, trap, numbered("after", 60))
    assert again.header("x-headroom-decision") == "rewritten; reason=smaller"
    sent = [request.body.removesuffix(b"]}") for request in upstream.requests]
    assert sent[1].startswith(sent[0])
    assert sent[2].startswith(sent[1]), "what was left alone stays so"
    assert msgspec.json.encode(trap) in sent[2]
    assert numbered("after", 60).encode() not in sent[2]
    assert len(running.worker_pids) == 1


def test_a_worker_that_loses_too_many_threads_is_replaced_in_good_order(
    server: Start, upstream: Upstream, tmp_path: Path
) -> None:
    running = trapping(server, tmp_path, SLEEPS)
    (first,) = running.worker_pids
    for number in range(5):
        assert post(running, numbered(f"trap{number}", 3000) + TRAP).status == 200
    eventually(lambda: first not in running.worker_pids and len(running.worker_pids) == 1)
    assert post(running, READ).header("x-headroom-decision") == "rewritten; reason=smaller"
    assert "served its time" in running.log.read_text()


def test_a_text_that_no_worker_survives_is_not_tried_again(server: Start, upstream: Upstream, tmp_path: Path) -> None:
    # A regular expression on a thread holds the interpreter, so nothing inside the process can end it.
    running = trapping(server, tmp_path, HOLDS_ALL, HEADROOM_WORKER_TIMEOUT_SECONDS="2")
    trap = numbered("trap", 3000) + TRAP
    with Caller(running.port, timeout_seconds=60) as caller:
        caller.write(b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(body(trap)))
        caller.write(body(trap))
        eventually(lambda: "left alone from now on" in running.log.read_text(), limit_seconds=30)
    answer = post(running, READ, trap)
    assert (answer.status, answer.header("x-headroom-decision")) == (200, "rewritten; reason=smaller")
    assert msgspec.json.encode(trap) in upstream.requests[-1].body


def test_a_blocked_worker_ends_although_its_master_is_gone(server: Start, upstream: Upstream, tmp_path: Path) -> None:
    running = trapping(server, tmp_path, HOLDS_ALL, HEADROOM_WORKER_TIMEOUT_SECONDS="2")
    (worker,) = running.worker_pids
    trap = body(numbered("trap", 3000) + TRAP)
    with Caller(running.port, timeout_seconds=60) as caller:
        caller.write(b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(trap) + trap)
        os.kill(running.master_pid, signal.SIGKILL)
        running.process.wait()
        eventually(lambda: not Path(f"/proc/{worker}").exists())
    assert "Timeout" in running.log.read_text()


@pytest.mark.parametrize("wait", [TURNS, SLEEPS])
def test_a_text_to_explain_that_does_not_come_back_is_refused_and_others_are_explained(
    wait: str, server: Start, upstream: Upstream, tmp_path: Path
) -> None:
    running = trapping(server, tmp_path, wait)

    def explained(text: str, query: str) -> Answer:
        with Caller(running.port, timeout_seconds=60) as caller:
            content = text.encode() if query else body(text)
            return caller.ask("POST", "/v1/compress" + query, (), content)

    for query in ("", "?tool=Read"):
        refused = explained(numbered("trap", 3000) + TRAP, query)
        assert (refused.status, msgspec.json.decode(refused.body)["code"]) == (503, "deadline")
        told = explained(READ, query)
        assert (told.status, msgspec.json.decode(told.body)["spans"][0]["reason"]) == (200, "smaller")
    assert len(running.worker_pids) == 1
