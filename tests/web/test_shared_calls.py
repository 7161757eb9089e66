"""Tool calls that requests leave out: known to all workers of a caller, to no other caller, and the same for good."""

import asyncio
import json
import time
from typing import Any

import msgspec
import pytest

from proxy_pkg.billing.usage import HEAD_BYTES, TAIL_BYTES, Copy
from proxy_pkg.limits.callers import Callers
from proxy_pkg.model import Level, Producer
from proxy_pkg.planning.find import outline
from proxy_pkg.planning.offload import Planner
from proxy_pkg.planning.plan import Plan
from proxy_pkg.planning.policy import Rules
from proxy_pkg.protocols.openai_responses import CONVERSATION, FRAMES
from proxy_pkg.stats.record import RequestRecord
from proxy_pkg.store.contract import StoreError
from proxy_pkg.store.decision_table import DecisionTable
from proxy_pkg.store.fallback import Fallback
from proxy_pkg.web import shared_calls as calls_module
from proxy_pkg.web.frames import Frames
from proxy_pkg.web.shared_calls import ANSWER_BYTES_MAX, LINE_BYTES_MAX, CallersCalls, CallWatch, SharedCalls, is_drawn
from proxy_pkg.wire.encoding import encode
from tests.fakes.tokens import FourCharacters
from tests.store.memory import Memory

NAME = "call_Zq7vX3mK9w2b5N8c1aB4dE6f"
OTHER = "call_1gH5jK2lM8nP3qR7sT4vW9xY"
ROWS = json.dumps([{"id": n, "name": f"customer {n}", "size": n * 7} for n in range(60)], indent=2)
AWAY = StoreError("it is away", "unreachable")
ASKED = b'{"model":"m"}'


def item(name: str = NAME, command: str = "curl -s localhost/rows") -> dict[str, Any]:
    arguments = json.dumps({"command": command})
    return {"type": "function_call", "id": "fc_1", "call_id": name, "name": "shell", "arguments": arguments}


def made(name: str = NAME, command: str = "curl -s localhost/rows") -> tuple[str, Producer]:
    [call] = outline(msgspec.json.encode(item(name, command)), CONVERSATION).calls
    return call


def answered(name: str = NAME, text: str = ROWS) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": name, "output": text}


def body(*items: dict[str, Any], **members: Any) -> bytes:
    return msgspec.json.encode({"model": "m", **members, "input": items})


class Worker:
    """One worker of a machine: what it knows by itself, and what it shares with others."""

    def __init__(self, store: Memory, callers: Callers, marks: DecisionTable) -> None:
        self.lost: list[tuple[str, str]] = []
        fallback = Fallback(Memory(time.monotonic), store, 1, lambda *loss: self.lost.append(loss))
        self.calls = SharedCalls(fallback, callers.digest)
        self.planner = Planner(Rules(5, 1 << 20), FourCharacters(), 4 << 20, 60_000, marks)

    def of(self, caller: str = "alice") -> CallersCalls:
        found = self.calls.of(lambda: caller)
        assert CONVERSATION.answer is not None
        found.asked(ASKED, CONVERSATION.answer)
        return found

    async def learn(self, *calls: tuple[str, Producer], caller: str = "alice") -> None:
        self.of(caller).learn(calls)
        await self.calls.close()

    async def plan(self, data: bytes, caller: str = "alice") -> Plan:
        return await self.planner.plan(data, CONVERSATION, others=self.of(caller))


@pytest.fixture
def store() -> Memory:
    return Memory(time.monotonic)


@pytest.fixture
async def workers(store: Memory) -> Any:
    callers, marks = Callers(), DecisionTable()
    both = [Worker(store, callers, marks) for _ in range(2)]
    yield both
    for worker in both:
        worker.planner.close()


def compressors(plan: Plan) -> list[str]:
    return [verdict.compressor or verdict.reason for verdict in plan.verdicts]


WHOLE = body(item(), answered())
ALONE = body(answered(), previous_response_id="resp_1")


async def test_a_call_that_another_worker_saw_is_as_one_in_the_request(workers: list[Worker]) -> None:
    known = await workers[0].plan(WHOLE)
    assert known.verdicts[0].text is not None, "a test of nothing: the rows could not be a table"
    await workers[0].learn(made())
    alone = await workers[1].plan(ALONE)
    assert [verdict.text for verdict in alone.verdicts] == [verdict.text for verdict in known.verdicts]


async def test_a_file_that_is_printed_is_exact_as_in_the_request(workers: list[Worker]) -> None:
    await workers[0].learn(made(command="cat rows.json"))
    whole = body(item(command="cat rows.json"), answered())
    assert (await workers[1].plan(ALONE)).verdicts == (await workers[0].plan(whole)).verdicts


async def test_a_call_of_another_caller_is_unknown(workers: list[Worker]) -> None:
    await workers[0].learn(made(), caller="mallory")
    assert compressors(await workers[0].plan(ALONE, "alice")) == ["nothing_to_gain"]
    assert (await workers[0].plan(ALONE, "mallory")).replacements
    # What one caller's request began with is nothing that another one's goes on from.
    padding = [{"type": "message", "role": "user", "content": f"word {n} " * 200} for n in range(9)]
    long = body(answered(), *padding, previous_response_id="resp_1")
    assert (await workers[0].plan(long, "mallory")).replacements
    assert not (await workers[0].plan(long, "alice")).replacements


async def test_what_was_sent_without_its_call_stays_so(workers: list[Worker]) -> None:
    assert not (await workers[0].plan(ALONE)).replacements
    await workers[1].learn(made())
    for worker in workers:
        assert not (await worker.plan(ALONE)).replacements
        assert not (await worker.plan(WHOLE)).replacements, "the request brings the call, and sends other bytes"
    # It is so for this text of this call: others of the conversation have their own.
    assert (await workers[0].plan(body(item(OTHER), answered(OTHER)))).replacements
    assert (await workers[0].plan(WHOLE, "bob")).replacements


async def test_a_call_that_two_workers_know_before_the_store_does_is_what_the_store_says(workers: list[Worker]) -> None:
    early, late = workers
    early.of().learn([made()])  # nothing was told yet: the task has not run
    assert await late.of().find([NAME]) == {}
    assert await early.of().find([NAME]) == {}


async def test_without_a_store_calls_are_known_to_the_worker_alone(store: Memory, workers: list[Worker]) -> None:
    store.failing = AWAY
    await workers[0].learn(made())
    assert (await workers[0].plan(ALONE)).replacements
    assert not (await workers[1].plan(ALONE)).replacements
    assert ("put_many", "unreachable") in workers[0].lost


async def test_a_call_comes_back_from_the_store_as_it_was(workers: list[Worker]) -> None:
    arguments = {"command": "x", "n": [1, -2, 1.5, None, True, {"é": "\U0001f600"}], "big": (1 << 64) - 1}
    producer = Producer("Tool", outline(_call(arguments), CONVERSATION).calls[0][1].arguments, for_program=True)
    await workers[0].learn((NAME, producer))
    found = (await workers[1].of().find([NAME]))[NAME]
    assert found == producer
    assert found.digest == producer.digest


def _call(arguments: dict[str, Any]) -> bytes:
    return msgspec.json.encode(item() | {"arguments": json.dumps(arguments)})


async def test_a_request_without_results_of_other_calls_asks_nothing(store: Memory, workers: list[Worker]) -> None:
    await workers[0].plan(WHOLE)
    assert store.calls == 0
    assert workers[0].calls.size_bytes == 0


async def test_calls_that_a_request_leaves_open_are_learned(workers: list[Worker]) -> None:
    await workers[0].plan(body(item(), item(OTHER), answered(OTHER)))
    await workers[0].calls.close()
    assert list(await workers[1].of().find([NAME, OTHER])) == [NAME]


async def test_nothing_is_learned_where_the_provider_keeps_nothing(workers: list[Worker]) -> None:
    assert CONVERSATION.answer is not None
    for kept in ('"store":false', '"store": false'):
        caller = workers[0].calls.of(lambda: "alice")
        caller.asked(b"{%s}" % kept.encode(), CONVERSATION.answer)
        caller.learn([made()])
        assert workers[0].calls.size_bytes == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (NAME, True),
        ("toolu_01A09q90qw90lq917835lq9x", True),
        ("call_1f2e3d4c-0a1b-4c2d-8e3f-aabbccddee11", True),
        ("chatcmpl-tool-8f14e45fceea167a5a36dedd4bea2543", True),
        ("call_0", False),
        ("call_12345", False),
        ("functions.shell:103", False),
        ("functions.executeShellCommandNow:0", False),
        ("x" * 300 + "12345678901234567890", False),
        ("", False),
    ],
)
def test_only_names_that_no_other_call_has_are_kept(name: str, expected: bool) -> None:
    assert is_drawn(name) is expected
    assert not is_drawn("runQuery2Version3x", "runQuery2Version3x")


async def test_what_a_worker_keeps_is_bounded_and_ages(store: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_module, "HELD_BYTES_MAX", 20_000)
    now = [0.0]
    calls = SharedCalls(Fallback(store, None, 1, lambda *_: None), Callers().digest, lambda: now[0])
    names = [f"call_{n:024d}" for n in range(60)]
    calls.learn(b"alice", [made(name) for name in names])
    await calls.close()
    assert 0 < calls.size_bytes <= 20_000
    assert list(await calls.find(b"alice", names)) == names, "the store has what the worker let go of"
    await calls.find(b"alice", names[-1:])
    before = store.calls
    await calls.find(b"alice", names[-1:])
    assert store.calls == before, "what a worker knows it asks for once"
    now[0] += calls_module.HELD_SECONDS + 1
    await calls.find(b"alice", names[-1:])
    assert store.calls == before + 1
    big = {"command": "x" * 16_000, "more": ["é" * 900] * 4, "and": "\U0001f600" * 4000}
    [(_, large)] = outline(_call(big), CONVERSATION).calls
    monkeypatch.setattr(calls_module, "VALUE_BYTES_MAX", 1000)
    calls.learn(b"alice", [(OTHER, large)])
    assert calls.waiting == 0


async def test_a_new_socket_goes_on_where_another_one_broke(workers: list[Worker]) -> None:
    def socket(worker: Worker) -> Frames:
        others = worker.calls.of(lambda: "alice")
        return Frames(FRAMES, worker.planner, Level.LOSSLESS, RequestRecord(), others=others)

    def frame(kind: str, **members: Any) -> str:
        return msgspec.json.encode({"type": kind, **members}).decode()

    first, second, third = socket(workers[0]), socket(workers[1]), socket(workers[1])
    await first.outgoing(frame("response.create", input=[{"role": "user", "content": "rows"}]))
    first.incoming(frame("response.output_item.done", item=item()))
    await workers[0].calls.close()
    goes_on = frame("response.create", previous_response_id="resp_1", input=[answered()])
    sent = await second.outgoing(goes_on)
    assert sent is not goes_on
    assert sent == await first.outgoing(goes_on), "the socket that the call came by sends the same"
    unknown = frame("response.create", previous_response_id="resp_1", input=[answered(OTHER)])
    assert await third.outgoing(unknown) is unknown


# --- answers ---


def event(kind: str, **members: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), msgspec.json.encode({"type": kind, **members}))


def watched(pieces: list[bytes], coding: str = "", *, is_stream: bool = True) -> list[str]:
    """The calls that are learned from an answer that comes in these pieces."""
    learned: list[str] = []
    assert CONVERSATION.answer is not None
    watch = CallWatch(
        CONVERSATION, CONVERSATION.answer, lambda calls: learned.extend(name for name, _ in calls), is_stream=is_stream
    )
    copy, so_far = Copy(coding, watch), 0
    for piece in pieces[:-1]:
        copy.parts.append(piece)
        so_far += len(piece)
        if so_far > copy.cut_at_bytes:
            copy.cut(so_far)
    copy.end(pieces[-1])
    copy.parts.append(pieces[-1])
    return learned


def deltas(size: int) -> bytes:
    return event("response.function_call_arguments.delta", delta="x" * 40) * (size // 100)


STREAM = b"".join(
    (
        deltas(HEAD_BYTES),
        event("response.output_item.done", item=item()),
        deltas(4 * TAIL_BYTES),
        # A model's own words are no event.
        event("response.output_text.delta", delta='data: {"type":"response.output_item.done","item":{"call_id":"no"}}'),
        event("response.output_item.done", item={"type": "reasoning", "id": "rs_1", "_call": "function_call_output"}),
        event("response.output_item.done", item=item(OTHER)),
        deltas(2 * TAIL_BYTES),
        event("response.completed", response={"output": []}),
    )
)


@pytest.mark.parametrize("size", [1_000, 7_919, 65_536, len(STREAM)])
@pytest.mark.parametrize("coding", ["", "gzip"])
def test_the_calls_of_a_stream_are_learned_wherever_they_stand(size: int, coding: str) -> None:
    data = encode(STREAM, coding) if coding else STREAM
    size = min(size, 200) if coding else size
    assert watched([data[at : at + size] for at in range(0, len(data), size)], coding) == [NAME, OTHER]


def test_the_calls_of_a_whole_answer_are_learned() -> None:
    whole = msgspec.json.encode({"id": "resp_1", "output": [{"type": "reasoning"}, item(), item(OTHER)]})
    assert watched([whole[:100], whole[100:]], is_stream=False) == [NAME, OTHER]
    assert watched([whole[:-1], b""], is_stream=False) == []
    long = msgspec.json.encode({"x": "y" * ANSWER_BYTES_MAX, "output": [item()]})
    assert watched([long[at : at + 65_536] for at in range(0, len(long), 65_536)], is_stream=False) == []


def test_a_line_that_is_too_long_takes_nothing_but_itself_along() -> None:
    long = event("response.output_item.done", item=item(command="x" * 2 * LINE_BYTES_MAX))
    data = event("response.output_item.done", item=item()) + long + event("response.output_item.done", item=item(OTHER))
    assert watched([data[at : at + 10_000] for at in range(0, len(data), 10_000)]) == [NAME, OTHER]


def test_a_stream_that_breaks_off_in_a_call_gives_none_of_it() -> None:
    data = event("response.output_item.done", item=item())
    assert watched([data[: len(data) // 2], b""]) == []


async def test_calls_are_found_while_they_are_still_told(workers: list[Worker]) -> None:
    """Many workers' calls at once: each ends up with what the store has."""
    names = [f"call_{n:024d}" for n in range(300)]
    workers[0].of().learn([made(name) for name in names])
    found, _ = await asyncio.gather(workers[1].of().find(names), workers[0].calls.close())
    again = await workers[0].of().find(names)
    assert list(found) == list(again)
