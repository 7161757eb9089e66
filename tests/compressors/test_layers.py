"""Whatever stands around an output, what is inside is written shorter as by itself, and all else stays as it came."""

import ast
import datetime
import json
import re
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors.json_wrapper import LAYERS_MAX, inside, peel
from proxy_pkg.model import Grade, Producer, Verdict
from proxy_pkg.planning.policy import Rules, decide
from tests.compressors import inverse_layers, inverse_lines, inverse_tables, inverses
from tests.fakes.tokens import FourCharacters

UNKNOWN, DATA = Producer("q"), Producer("query")
ROWS = [
    {"id": 1000 + n, "customer": f"Customer {n:03} GmbH", "region": ["north", "süd"][n % 2], "at": None, "x": n / 4}
    for n in range(60)
]
REST_OF_RESULT = {"type": "text", "annotations": None}
KINDS = {
    "log": "\n".join(f"2026-05-01 10:00:{n % 60:02} INFO app.worker: request {n} took {n % 7} ms" for n in range(90)),
    "read": "\n".join(f'{n:6}\tvalue_{n} = "compute"({n})' for n in range(1, 90)),
    "csv": "id,name,region\n" + "\n".join(f"{n},Customer {n} GmbH,north-east region" for n in range(60)),
    "json": json.dumps(ROWS, indent=2, ensure_ascii=False),
    "json in ASCII": json.dumps(ROWS),
    "json lines": "\n".join(json.dumps(row, separators=(",", ":")) for row in ROWS),
    "python": repr(ROWS),
    "python with calls": repr(
        [row | {"x": Decimal("1.50"), "at": datetime.datetime(2026, 1, 1 + n % 9)} for n, row in enumerate(ROWS)]
    ),
}


class Around(NamedTuple):
    """A wrapper: what it makes of a text, and how a reader takes that out again."""

    wrap: Callable[[str], str]
    take: Callable[[str], str]
    counts: bool = False
    """It tells that what is in it was found."""


def words(head: str, tail: str = "", *, counts: bool = False) -> Around:
    def take(text: str) -> str:
        assert text.startswith(head)
        assert text.endswith(tail)
        return text[len(head) : len(text) - len(tail)]

    return Around(lambda text: head + text + tail, take, counts)


def quoted(wrap: Callable[[str], Any], take: Callable[[Any], Any], **spelling: Any) -> Around:
    def taken(text: str) -> str:
        below = re.match(r"\[… in (.*) is the text below\]\n", text)
        if below is None:
            value = inverse_tables.json_text(text) if text.startswith("[… in ") else json.loads(text)
            return str(take(value))
        assert take(json.loads(below[1].replace("…", '"…"'))) == "…"
        return text[below.end() :]

    return Around(lambda text: json.dumps(wrap(text), **{"ensure_ascii": False, **spelling}), taken)


AROUND = {
    "a count above": words("Found 60 results:\n", counts=True),
    "a total below": words("", "\nTotal: 60", counts=True),
    "a heading": words("# Result\n\n"),
    "an HTTP head": words("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: a/b\r\n\r\n", counts=True),
    "a fence": words("Here it is:\n\n```json\n", "\n```\n\nAnything else?"),
    "tags": words("Below.\n\n<untrusted-data-1f>\n", "\n</untrusted-data-1f>\n\nTake care.", counts=True),
    "status lines": words("Wall time: 0.1 seconds\nOutput:\n"),
    "a reminder": words("", "\n\n<system-reminder>\nBe careful.\n</system-reminder>\n"),
    "a content block": quoted(lambda text: {"type": "text", "text": text}, lambda value: value["text"]),
    "a result": quoted(
        lambda text: {"content": [{"type": "text", "text": text}], "isError": False},
        lambda value: value["content"][0]["text"],
        separators=(",", ":"),
    ),
    "blocks": quoted(lambda text: [{"type": "text", "text": text}], lambda value: value[0]["text"], indent=2),
    "two streams": quoted(
        lambda text: {"stdout": text, "stderr": "", "code": 0}, lambda value: value["stdout"], ensure_ascii=True
    ),
    "an output": quoted(lambda text: {"output": text, "metadata": {"seconds": 1}}, lambda value: value["output"]),
    "blocks of Python": Around(
        lambda text: repr([{**REST_OF_RESULT, "text": text}]), lambda text: str(ast.literal_eval(text)[0]["text"])
    ),
}
OF_ROWS = {name for name in KINDS if name.startswith(("json", "python"))}
IN_ASCII = {"two streams"}
PLACES = st.lists(st.sampled_from(list(AROUND)), min_size=1, max_size=3)
INVERSES: dict[str, Callable[[str], str]] = {
    "logs": inverse_lines.lines,
    "numbered": inverses.numbered,
    "delimited": inverses.delimited,
    "json-spelled": inverse_layers.json_spelled,
    "python": inverse_layers.python,
}


def decided(text: str, producer: Producer) -> Verdict:
    return decide(text, producer, Rules(5, 1 << 22), FourCharacters())


def body_of(verdict: Verdict, sent: str) -> Any:
    """What a reader makes of the innermost text: its bytes, or values."""
    steps = [step for step in verdict.compressor.split("+") if step != "json-text"]
    if not steps:
        return sent
    return inverse_tables.json_table(sent) if steps == ["json-table"] else INVERSES[steps[0]](sent)


TAILS = [each.wrap("") for name, each in AROUND.items() if name in ("a total below", "a reminder")]


def taken_apart(sent: str, texts: list[str], names: list[str], verdict: Verdict) -> bool:
    """Whether a reader of `sent` has the first of `texts`, in which the others stand, each in the wrapper before it.

    Words around it may be part of what a step wrote, as the first line of a log is.
    """
    for tail in ["", *(each for each in TAILS if texts[0].endswith(each) and sent.endswith(each))]:
        with suppress(AssertionError, ValueError, LookupError, AttributeError):
            text, back = texts[0].removesuffix(tail), body_of(verdict, sent.removesuffix(tail))
            if back == (text if isinstance(back, str) else inverse_tables.json_values(text)):
                return True
    if not names:
        return False
    inner = AROUND[names[0]].take(sent)
    if "json-text" not in verdict.compressor and (inner.isascii() or names[0] not in IN_ASCII):
        assert AROUND[names[0]].wrap(inner) == sent, "a byte of what stands around it changed"
    return taken_apart(inner, texts[1:], names[1:], verdict)


@given(st.sampled_from(list(KINDS)), PLACES, st.sampled_from([UNKNOWN, DATA]))
@settings(max_examples=150, deadline=None)
def test_the_bytes_come_back_from_any_layers_around_any_kind(kind: str, names: list[str], producer: Producer) -> None:
    texts = [KINDS[kind]]
    for name in reversed(names):
        texts.insert(0, AROUND[name].wrap(texts[0]))
    verdict = decided(texts[0], producer)
    if verdict.text is not None:
        assert taken_apart(verdict.text, texts, names, verdict)
        assert producer is DATA or verdict.grade is Grade.INVERTIBLE


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", AROUND)
def test_what_is_inside_shrinks_as_by_itself(kind: str, name: str) -> None:
    alone, around = decided(KINDS[kind], DATA), decided(AROUND[name].wrap(KINDS[kind]), DATA)
    assert alone.text is not None
    assert around.text is not None, around.kind
    room = len(AROUND[name].wrap("")) + 80 + alone.text.count("\n") + alone.text.count('"')
    assert len(around.text) <= len(alone.text) + room


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", AROUND)
def test_json_of_an_unknown_tool_stays_unless_it_was_found(kind: str, name: str) -> None:
    verdict = decided(AROUND[name].wrap(KINDS[kind]), UNKNOWN)
    assert verdict.grade in (None, Grade.INVERTIBLE)
    assert (verdict.text is not None) == (not kind.startswith("json") or AROUND[name].counts)


def test_both_forms_of_rows_in_one_result_shrink() -> None:
    rows = [row | {"x": 1} for row in ROWS]
    text = json.dumps({"content": [{"type": "text", "text": json.dumps(rows)}], "structuredContent": {"result": rows}})
    verdict = decided(text, DATA)
    assert verdict.compressor == "json-spelled+json-table"
    assert verdict.text is not None
    value = inverse_tables.json_table(verdict.text)
    assert inverse_layers.json_spelled(value["content"][0]["text"]) == json.dumps(rows)
    assert value["structuredContent"]["result"] == inverse_tables.json_values(json.dumps(rows))


def test_each_long_string_of_an_object_shrinks_by_its_kind() -> None:
    text = json.dumps({"stdout": KINDS["log"], "stderr": KINDS["read"], "code": 1})
    verdict = decided(text, UNKNOWN)
    assert verdict.grade is Grade.INVERTIBLE
    value = json.loads(verdict.text or "")
    assert inverse_lines.lines(value["stdout"]) == KINDS["log"]
    assert inverses.numbered(value["stderr"]) == KINDS["read"]
    assert json.dumps(value, ensure_ascii=False) == verdict.text
    assert value["code"] == 1


def test_a_file_inside_layers_stays_exact() -> None:
    read = Producer("Bash", {"command": "cat a.json"})
    for name in AROUND:
        for kind in KINDS.keys() - {"read"}:
            assert decided(AROUND[name].wrap(KINDS[kind]), read).text is None


@pytest.mark.parametrize(
    "text",
    [
        repr([{"a": f"Decimal('{n}')", "b": n, "c": "a long word for each of the rows"} for n in range(30)]),
        repr([{n: "a" * 9} for n in range(9)]),
        repr([{"a": (n, 1), "b": "x" * 9} for n in range(9)]),
        repr([{"a": float("nan"), "b": "x" * 9}] * 9),
        "[{'a': 1,'b': 'xxxxxxxxx'}" + ", {'a': 1, 'b': 'xxxxxxxxx'}" * 9 + "]",
        '[{"a": 1}, ' + "{'a': 1}, " * 50 + "]",
    ],
)
def test_what_python_would_write_otherwise_is_left_alone(text: str) -> None:
    assert decided(text, UNKNOWN).text is None


@pytest.mark.parametrize("name", ["a content block", "blocks of Python"])
def test_a_string_that_its_writer_would_spell_otherwise_is_no_layer(name: str) -> None:
    text = AROUND[name].wrap(KINDS["log"])
    assert peel(text).body == KINDS["log"]
    odd = text.replace("INFO", {"a content block": "\\u0049NFO"}.get(name, "\\x49NFO"), 1)
    assert odd != text
    assert peel(odd).body == odd


def test_lines_are_counted_in_the_innermost_string() -> None:
    text = AROUND["status lines"].wrap(AROUND["blocks"].wrap(AROUND["an output"].wrap(KINDS["log"])))
    held = inside(text)
    assert held is not None
    assert held.output == KINDS["log"]
    assert held.around(held.output) == text
    assert peel(text).lines_around == (0, 0)


@pytest.mark.parametrize(
    "piece",
    [
        '{"a":"',
        "[",
        '["',
        "[{'",
        "\\",
        '\\"',
        "'",
        "\n{",
        "\n[{",
        "}\n",
        "```\n",
        "<untrusted>\n",
        "HTTP/1.1 200\n",
        "a:\n",
    ],
)
def test_work_is_bounded(piece: str) -> None:
    text = piece * (400_000 // len(piece))
    whole = peel(text)
    assert whole.around(whole.body) == text
    assert len(whole.layers) <= LAYERS_MAX


@given(st.lists(st.sampled_from(['{"a":"', '"}', "\\n", "[{'", "'}]", "\n", "[", "]", "```\n", "x" * 90]), max_size=30))
@settings(max_examples=200, deadline=None)
def test_layers_come_back_as_they_were(pieces: list[str]) -> None:
    text = "".join(pieces)
    whole = peel(text)
    assert whole.around(whole.body) == text
