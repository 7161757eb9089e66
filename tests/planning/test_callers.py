"""Which tool call a result is told by: by its id, by the order of calls, by the command among several, by itself."""

from typing import Any

import msgspec
import pytest

from proxy_pkg.compressors.producers import shell_command
from proxy_pkg.model import Producer
from proxy_pkg.planning.draft import Memos, remember
from proxy_pkg.planning.plan import settle
from proxy_pkg.planning.policy import Rules
from proxy_pkg.planning.reading import draw
from proxy_pkg.protocols.gemini import GENERATE
from proxy_pkg.protocols.grammar import Conversation, Protocol
from proxy_pkg.protocols.openai_chat import CHAT
from proxy_pkg.protocols.openai_responses import RESPONSES
from tests.planning.characters import Characters

RULES = Rules(margin_percent=5, block_bytes_max=1 << 20)
SHELL = "run_shell_command"


def conversation(protocol: Protocol) -> Conversation:
    assert protocol.conversation is not None
    return protocol.conversation


def producers(body: dict[str, Any], protocol: Protocol) -> list[Producer]:
    """The call of each text, in order."""
    draft = draw(msgspec.json.encode(body), conversation(protocol), Memos(1 << 20))
    return [place.producer for place in draft.places]


def commands(body: dict[str, Any], protocol: Protocol) -> list[str]:
    return [shell_command(producer) for producer in producers(body, protocol)]


def made(command: str, **members: Any) -> dict[str, Any]:
    return {"functionCall": {"name": SHELL, "args": {"command": command}, **members}}


def answered(text: str, **members: Any) -> dict[str, Any]:
    return {"functionResponse": {"name": SHELL, "response": {"output": text}, **members}}


def gemini(*turns: list[dict[str, Any]]) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": parts} for parts in turns]}


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        # The second call of a name does not take the first one's result.
        ([[made("a"), made("b")], [answered("1"), answered("2")]], ["a", "b"]),
        ([[made("a"), made("b")], [answered("1")], [answered("2")]], ["a", "b"]),
        ([[made("a")], [made("b")], [answered("1"), answered("2")]], ["a", "b"]),
        # Clients give ids of their own to results of calls that had none.
        ([[made("a")], [answered("1", id="x")]], ["a"]),
        ([[made("a"), made("b")], [answered("1", id="x"), answered("2", id="y")]], ["a", "b"]),
        # The id of a call is left out in its result.
        ([[made("a", id="x"), made("b", id="y")], [answered("1"), answered("2")]], ["a", "b"]),
        # Ids go before order, and leave the rest in order.
        ([[made("a", id="x"), made("b"), made("c", id="z")], [answered("1", id="z"), answered("2")]], ["c", "b"]),
        ([[made("a", id="x"), made("b", id="y")], [answered("1", id="x"), answered("2")]], ["a", "b"]),
        # A turn begins anew: a call that nobody answered takes no later result.
        ([[made("a"), made("b")], [answered("1")], [made("c")], [answered("2")]], ["a", "c"]),
        # It begins with the first call behind a result, and further messages add to it.
        ([[made("a")], [answered("1")], [made("b")], [made("c")], [answered("2"), answered("3")]], ["a", "b", "c"]),
        # More results than calls: what is left over is nobody's.
        ([[made("a")], [answered("1"), answered("2")]], ["a", ""]),
        # The id of a call that is not here is not that of one that has another.
        ([[made("a", id="x")], [answered("1", id="y")]], [""]),
    ],
)
def test_results_without_an_id_belong_to_calls_in_order(turns: list[list[dict[str, Any]]], expected: list[str]) -> None:
    assert commands(gemini(*turns), GENERATE) == expected


def test_a_result_without_text_takes_its_call_too() -> None:
    number = {"functionResponse": {"name": SHELL, "response": {"count": 3}}}
    assert commands(gemini([made("a"), made("b")], [number, answered("2")]), GENERATE) == ["b"]


def test_the_texts_of_one_result_have_one_call() -> None:
    both = {"functionResponse": {"name": SHELL, "response": {"stdout": "1", "stderr": "2"}}}
    assert commands(gemini([made("a"), made("b")], [both, answered("3")]), GENERATE) == ["a", "a", "b"]


def test_order_is_the_same_where_reading_goes_on() -> None:
    """A worker that knows how a conversation began tells calls as one that reads it whole."""
    text = "\n".join(f"line {n} of what a command printed" for n in range(40))
    turns = [
        [made("start")],
        [answered(text)],
        [made("a"), made("b"), made("c")],
        *([answered(f"{n}{text}")] for n in range(2)),  # the turn is cut in the middle, one result a message
        *([{"text": f"word {n}"}] for n in range(3)),
        [answered(f"2{text}")],
        [made("d"), made("e")],
        [answered(f"3{text}"), answered(f"4{text}")],
    ]
    memos = Memos(8 << 20)
    for end in range(1, len(turns) + 1):
        body = msgspec.json.encode(gemini(*turns[:end]))
        draft = draw(body, conversation(GENERATE), memos)
        settle(draft, RULES, Characters(), memos, 1 << 62)
        remember(draft, memos)
        whole = draw(body, conversation(GENERATE), Memos(8 << 20))
        assert [place.producer for place in draft.places] == [place.producer for place in whole.places]
    assert len(memos.prefixes) == 1
    assert commands(gemini(*turns), GENERATE) == ["start", *"abcde"]


def test_calls_of_the_form_before_tool_calls_are_read() -> None:
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "id": "m1", "function_call": {"name": "bash", "arguments": '{"command": "cat a"}'}},
        {"role": "function", "name": "bash", "content": "1"},
        {"role": "assistant", "function_call": {"name": "bash", "arguments": '{"command": "ls"}'}},
        {"role": "function", "name": "bash", "content": "2"},
    ]
    assert commands({"messages": messages}, CHAT) == ["cat a", "ls"]


def shell(outputs: Any, *made_commands: str) -> dict[str, Any]:
    return {
        "input": [
            {"type": "shell_call", "id": "sh_1", "call_id": "c", "action": {"commands": list(made_commands)}},
            {"type": "shell_call_output", "call_id": "c", "output": outputs},
        ]
    }


def output(text: str) -> dict[str, Any]:
    return {"stdout": text, "stderr": f"no {text}", "outcome": {"type": "exit", "exit_code": 0}}


def test_each_command_of_a_shell_call_has_its_own_output() -> None:
    told = commands(shell([output("1"), output("2")], "ls", "cat a.html"), RESPONSES)
    assert told == ["ls"] * 3 + ["cat a.html"] * 3


def test_outputs_that_do_not_fit_the_commands_have_none() -> None:
    found = producers(shell([output("1")], "ls", "cat a.html"), RESPONSES)
    assert [(producer.name, shell_command(producer)) for producer in found] == [("shell", "")] * 3


def test_several_commands_are_a_script_of_lines() -> None:
    assert shell_command(Producer("shell", {"commands": ["ls", "cat a"]})) == "ls\ncat a"
    assert shell_command(Producer("shell", {"commands": ["bash", "-lc", "cat a"]})) == "cat a"
    long = {"commands": ["ls " + "x" * 17_000, "cat a"]}
    both = shell("what both printed", *long["commands"])
    assert commands(both, RESPONSES) == [""]
    custom = [
        {"type": "function_call", "call_id": "c", "name": "bash", "arguments": msgspec.json.encode(long).decode()},
        {"type": "function_call_output", "call_id": "c", "output": "1"},
    ]
    assert commands({"input": custom}, RESPONSES) == [""], "a command that was left out was not told"


def test_a_local_shell_says_its_call_by_either_id() -> None:
    call = {
        "type": "local_shell_call",
        "id": "lsh_1",
        "call_id": "c",
        "action": {"type": "exec", "command": ["bash", "-lc", "cat a"]},
    }
    for key, value in (("id", "lsh_1"), ("call_id", "c"), ("id", "c")):
        items = [call, {"type": "local_shell_call_output", key: value, "output": "1"}]
        assert commands({"input": items}, RESPONSES) == ["cat a"]


@pytest.mark.parametrize("key", ["name", "tool_name"])
def test_a_result_may_say_its_tool(key: str) -> None:
    items = [{"type": "function_call_output", "call_id": "c", key: "read_file", "output": "1"}]
    assert producers({"input": items}, RESPONSES) == [Producer("read_file")]
    call = {"type": "function_call", "call_id": "c", "name": "bash", "arguments": '{"command": "ls"}'}
    assert commands({"input": [call, *items]}, RESPONSES) == ["ls"], "the call itself says more"
    messages = [{"role": "tool", "tool_call_id": "c", key: "read_file", "content": "1"}]
    assert producers({"messages": messages}, CHAT) == [Producer("read_file")]
