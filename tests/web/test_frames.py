"""Frames of one WebSocket: requests shrink, everything else stays, and nothing that comes can break it."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy_pkg.billing.holdout import HoldOut
from proxy_pkg.model import Level
from proxy_pkg.planning.offload import Planner
from proxy_pkg.planning.policy import Rules
from proxy_pkg.protocols.openai_responses import FRAMES
from proxy_pkg.stats.record import RequestRecord
from proxy_pkg.web.frames import Frames
from tests.fakes.tokens import FourCharacters

NUMBERED = "\n".join(f"{n:6}→    total_{n % 7} = read_part({n}) + total_{n % 5}" for n in range(1, 90))
WORDS = ["response.create", "response.output_item.done", "response.completed", "error", "other"]


@pytest.fixture
async def planner() -> AsyncIterator[Planner]:
    planner = Planner(Rules(5, 1 << 20), FourCharacters(), 1 << 20, 10_000)
    yield planner
    planner.close()


def frames(planner: Planner, level: Level = Level.LOSSLESS) -> Frames:
    return Frames(FRAMES, planner, level, RequestRecord())


def text(kind: str, **members: Any) -> str:
    return msgspec.json.encode({"type": kind, **members}).decode()


def result(output: str = NUMBERED) -> list[dict[str, str]]:
    return [{"type": "function_call_output", "call_id": "c", "output": output}]


def call(name: str, size: int = 0) -> dict[str, str]:
    return {"type": "function_call", "call_id": name, "name": "shell", "arguments": "x" * size}


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "input", "response", "item", "call_id", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=values, cut=st.integers(0, 60), prefix=st.sampled_from(["", " ", "[", '{"type":"response.create",']))
async def test_any_frame_passes_in_both_directions(planner: Planner, value: Any, cut: int, prefix: str) -> None:
    seen = frames(planner)
    whole = prefix + msgspec.json.encode(value).decode()
    for frame in (whole, whole[:cut], whole[cut:]):
        assert await seen.outgoing(frame) is frame
        seen.incoming(frame)


@pytest.mark.parametrize("level", [Level.OFF, Level.OBSERVE])
async def test_a_level_that_changes_nothing_changes_nothing(planner: Planner, level: Level) -> None:
    frame = text("response.create", input=result())
    assert await frames(planner, level).outgoing(frame) is frame
    assert await frames(planner).outgoing(frame) is not frame


@pytest.mark.parametrize("twice", ['"input":[],', '"response":{},"response":{"input":[]},'])
async def test_a_key_that_stands_twice_is_left_to_the_provider(planner: Planner, twice: str) -> None:
    frame = text("response.create", response={"input": result()})
    if twice.startswith('"input"'):
        frame = text("response.create", input=result())
    assert await frames(planner).outgoing(frame) is not frame
    doubled = "{" + twice + frame[1:]
    assert await frames(planner).outgoing(doubled) is doubled


async def test_several_requests_add_up_in_one_record(planner: Planner) -> None:
    record = RequestRecord()
    seen = Frames(FRAMES, planner, Level.LOSSLESS, record)
    await seen.outgoing(text("response.create", input=result()))
    once = (record.tokens_before, record.bytes_before, record.spans_seen)
    await seen.outgoing(text("response.create", input=result("short")))
    await seen.outgoing(text("response.create", input=result()))
    assert (record.decision, record.decision_reason) == ("rewritten", "smaller")
    assert (record.spans_seen, record.spans_compressed) == (3, 2)
    assert record.tokens_before > 2 * once[0]
    assert record.bytes_after < record.bytes_before
    assert sum(count for *_, count in record.spans) == 3


async def test_it_is_idle_when_every_answer_has_ended(planner: Planner) -> None:
    seen = frames(planner)
    assert seen.idle.is_set()
    seen.incoming(text("response.completed"))
    for stream in ("a", "b"):
        await seen.outgoing(text("response.create", input=[], stream_id=stream))
    seen.incoming(text("response.completed"))
    seen.incoming(text("response.output_text.delta", delta='"response.completed"'))
    seen.incoming('{"type":"response.created","response":{"error":null}}')
    assert not seen.idle.is_set()
    seen.incoming(text("error"))
    assert seen.idle.is_set()


async def test_what_is_remembered_of_calls_is_bounded(planner: Planner) -> None:
    seen = frames(planner)
    for number in range(200):
        seen.incoming(text("response.output_item.done", item=call(f"c{number}", 100_000)))
    seen.incoming(text("response.output_item.done", item=call("huge", 1 << 20)))
    kept = list(seen._calls)
    assert kept == [f"c{number}" for number in range(200 - len(kept), 200)]
    assert 30 < len(kept) < 50


async def test_an_answers_usage_is_billed_with_what_was_saved_up_to_it(planner: Planner) -> None:
    billed: list[int] = []
    seen = Frames(FRAMES, planner, Level.LOSSLESS, RequestRecord(), bill=lambda _, saved: billed.append(saved))
    seen.incoming(text("response.output_item.done", item=call("c")))
    usage = {"usage": {"input_tokens": 5, "output_tokens": 1}}
    await seen.outgoing(text("response.create", input=result()))
    seen.incoming(text("response.completed", response=usage))
    await seen.outgoing(text("response.create", input=result(), previous_response_id="r1"))
    seen.incoming(text("response.completed", response=usage))
    await seen.outgoing(text("response.create", input=result()))
    seen.incoming(text("response.completed", response=usage))
    seen.incoming(text("error", error="none"))
    assert billed[0] > 0
    assert billed == [billed[0], 2 * billed[0], billed[0]]


async def test_a_conversation_over_a_socket_is_held_out_whole(planner: Planner) -> None:
    seen = Frames(FRAMES, planner, Level.LOSSLESS, RequestRecord(), hold_out=HoldOut(1.0))
    seen.incoming(text("response.output_item.done", item=call("c")))
    frame = text("response.create", input=result())
    assert await seen.outgoing(frame) is frame


class CountingGate:
    """Lets requests in until there are `room` of them."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.admitted: list[int] = []
        self.over = 0

    async def admit(self, frame: bytes) -> bool:
        if len(self.admitted) == self.room:
            return False
        self.admitted.append(len(frame))
        return True

    def answered(self) -> None:
        self.over += 1


async def test_requests_in_binary_frames_count_as_in_text_frames(planner: Planner) -> None:
    gate = CountingGate(2)
    seen = Frames(FRAMES, planner, Level.LOSSLESS, RequestRecord(), gate)
    request = text("response.create", input=result())
    shrunk = await seen.outgoing(request)
    assert isinstance(shrunk, str) and len(shrunk) < len(request)
    binary = request.encode()
    assert await seen.outgoing(binary) is binary
    assert gate.admitted == [len(binary)] * 2
    assert not seen.idle.is_set()
    for refused in (binary, request, b'{"type":"response\\u002ecreate"}', b'\xff{"type":"response.create"}'):
        assert await seen.outgoing(refused) is None
    for other in (b"\x00\xff audio", b'{"type":"response.cancel"}', b'{"x":"response.create"}'):
        assert await seen.outgoing(other) is other
    seen.incoming(text("response.completed").encode())
    seen.incoming(b"\xff\x00 audio")
    seen.incoming(text("response.completed"))
    assert gate.over == 2
    assert seen.idle.is_set()


async def test_without_limits_binary_frames_are_not_looked_at(planner: Planner) -> None:
    seen, binary = frames(planner), text("response.create", input=result()).encode()
    assert await seen.outgoing(binary) is binary
    assert seen.idle.is_set()
