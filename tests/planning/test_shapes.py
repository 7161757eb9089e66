"""Every shape of the catalogue in the words of every API, through the planner of a worker."""

import asyncio

import msgspec
import pytest

from proxy_pkg.errors import ScanError
from proxy_pkg.planning.offload import Planner
from proxy_pkg.planning.plan import Plan
from proxy_pkg.planning.policy import Rules
from proxy_pkg.protocols.anthropic import MESSAGES
from proxy_pkg.protocols.gemini import GENERATE
from proxy_pkg.protocols.grammar import Conversation
from proxy_pkg.protocols.openai_chat import CHAT
from proxy_pkg.protocols.openai_responses import RESPONSES
from proxy_pkg.store.decision_table import DecisionTable
from proxy_pkg.tokens.count import Encoder
from proxy_pkg.wire.scan import split
from proxy_pkg.wire.skip import end_of_value
from proxy_pkg.wire.splice import splice
from tests.fakes.shapes import APIS, SHAPES, body

PROTOCOLS = {"anthropic": MESSAGES, "chat": CHAT, "responses": RESPONSES, "gemini": GENERATE}
RULES = Rules(margin_percent=5, block_bytes_max=512 << 10)
MEMO_BYTES = 8 << 20
NO_STRICT_JSON = {"not a number", "lone surrogates", "all surrogates"}


def conversation(api: str) -> Conversation:
    found = PROTOCOLS[api].conversation
    assert found is not None
    return found


def planned(data: bytes, api: str, marks: DecisionTable, deadline_ms: int) -> Plan | str:
    """The plan of a worker of its own, or why the body goes out as it came."""

    async def plan() -> Plan | str:
        planner = Planner(RULES, Encoder(None), MEMO_BYTES, deadline_ms, marks)
        try:
            return await planner.plan(data, conversation(api))
        except ScanError as error:
            return error.reason
        finally:
            planner.close()

    return asyncio.run(plan())


def check_replacements(data: bytes, sent: bytes, plan: Plan) -> None:
    """Only whole string literals changed, in order and apart, and the body is JSON as before."""
    at = moved = 0
    for replacement in plan.replacements:
        assert at <= replacement.start < replacement.end <= len(data)
        assert data[at : replacement.start] == sent[at + moved : replacement.start + moved]
        assert end_of_value(data, replacement.start) == replacement.end
        assert data[replacement.start : replacement.start + 1] == b'"'
        assert isinstance(msgspec.json.decode(replacement.data), str)
        moved += len(replacement.data) - (replacement.end - replacement.start)
        at = replacement.end
    assert data[at:] == sent[at + moved :]
    assert end_of_value(sent, 0) == len(sent)


def check_items(data: bytes, sent: bytes, api: str) -> None:
    """What is no result of a tool is the same, byte for byte: every item that makes calls alone."""
    path = conversation(api).path
    _, before = split(data, *path)
    _, after = split(sent, *path)
    assert len(before) == len(after)
    assert before[::2] == after[::2]


def holds(shape: str, api: str, size_bytes: int, deadline_ms: int) -> None:
    data = body(api, shape, size_bytes)
    marks = DecisionTable()
    plan = planned(data, api, marks, deadline_ms)
    if isinstance(plan, str):
        assert plan in ("too_deep", "too_many_items")
        return
    sent = splice(data, plan.replacements)
    assert len(sent) <= len(data)
    check_replacements(data, sent, plan)
    check_items(data, sent, api)
    if shape not in NO_STRICT_JSON | {"nested text", "long integers"}:
        msgspec.json.decode(sent)
    again = planned(data, api, marks, 60_000)
    assert isinstance(again, Plan)
    assert again.replacements == plan.replacements  # on another worker, which has all the time there is


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_planned_the_same_by_a_second_worker_and_changes_results_alone(shape: str, api: str) -> None:
    holds(shape, api, 100_000, 60_000)


@pytest.mark.parametrize(("number", "shape"), list(enumerate(SHAPES)))
def test_a_larger_body_that_is_late_is_planned_the_same_by_a_worker_that_has_time(number: int, shape: str) -> None:
    holds(shape, list(APIS)[number % len(APIS)], 2_000_000, 20)


def test_the_catalogue_has_shapes_that_become_shorter() -> None:
    plan = planned(body("anthropic", "periodic lines", 100_000), "anthropic", DecisionTable(), 60_000)
    assert isinstance(plan, Plan)
    assert plan.replacements
