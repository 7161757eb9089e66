"""Walking over values in steps: the same ends as the standard library finds, and bounded work for every shape."""

import json
import random
import sys
import tracemalloc
from collections.abc import Callable
from json import JSONDecoder
from typing import Any

import pytest

from proxy_pkg.errors import ScanError
from proxy_pkg.wire import scan, skip
from proxy_pkg.wire.scan import _split_in_steps, _split_strict, locate, split, text_at

REFERENCE = JSONDecoder(strict=False, parse_int=str, parse_float=str).raw_decode

FRAGMENTS = [
    *('"a"', r'"\n"', r'"\ud83d"', r'"x\"y"', r'"\\"', "1", "-0", "1.5e3", "01", "-", "NaN", "-Infinity", "-NaN"),
    *("true", "null", "nul", "[", "]", "{", "}", ",", ":", " ", "\n", '"', "\\", '"k":', "é", "[]", "{}", '"a":1'),
    *("\t", '"%s"' % ("q" * 300), '"%s"' % (r"\u0041" * 20), "1.", "1e", ".5", "\x0b", '"\x01"', r"\u00zz", r'"\x"'),
]
SCALARS = ['"a"', r'"\n"', r'"x\"y"', "1", "-2.5e+7", "NaN", "true", "null", '""', r'"\\"', r'"\ud83d"']


def some_json(draw: random.Random, depth: int) -> str:
    kind = draw.random() if depth else 0
    blank = draw.choice(["", "", " ", "\n "])
    if kind < 0.3:
        return draw.choice(SCALARS)
    members = [some_json(draw, depth - 1) for _ in range(draw.randint(0, 4))]
    if kind < 0.65:
        return f"[{blank}" + f"{blank},{blank}".join(members) + f"{blank}]"
    named = (f'"k{number}"{blank}:{blank}{member}' for number, member in enumerate(members))
    return f"{{{blank}" + f"{blank},{blank}".join(named) + f"{blank}}}"


def rubbish_or_json(draw: random.Random) -> bytes:
    if draw.random() < 0.5:
        text = "".join(draw.choice(FRAGMENTS) for _ in range(draw.randint(1, 14)))
    else:
        text = some_json(draw, draw.randint(0, 7))
        if draw.random() < 0.5:
            at = draw.randint(0, len(text))
            text = text[:at] + draw.choice(FRAGMENTS) + text[at + draw.randint(0, 2) :]
    return f"[{text}]".encode("utf-8", "surrogatepass")


def end_by_reference(body: bytes) -> int | None:
    try:
        return int(REFERENCE(body.decode("latin-1"))[1])
    except (ValueError, StopIteration, IndexError):
        return None


def end_by_steps(body: bytes) -> int | None:
    try:
        return skip.end_of_value(body, 0)
    except ScanError:
        return None


@pytest.mark.parametrize("step_bytes", [16, 300, skip.STEP_BYTES])
def test_a_value_ends_where_the_standard_library_says_or_is_refused_by_both(
    step_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(skip, "STEP_BYTES", step_bytes)
    monkeypatch.setattr(skip, "_SMALL_BYTES", min(step_bytes, skip._SMALL_BYTES))
    draw, accepted = random.Random(step_bytes), 0
    for _ in range(5000):
        body = rubbish_or_json(draw)
        expected = end_by_reference(body)
        accepted += expected is not None
        assert end_by_steps(body) == expected, body
    assert 1000 < accepted < 4500  # both answers were tried


@pytest.mark.parametrize("quotes", [0, 3, 63, 64, 65, 5000])
@pytest.mark.parametrize("backslashes", [0, 1, 2, 63, 64, 65, 200, 201])
def test_a_string_ends_at_its_own_quote(quotes: int, backslashes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skip, "STEP_BYTES", 100)
    text = '"a\\' * quotes + "\\" * backslashes + '"\\'
    literal = json.dumps(text).encode()
    assert skip.end_of_string(b" " + literal + b',"', 1) == 1 + len(literal)


def test_both_ways_cut_a_conversation_at_the_same_places() -> None:
    draw = random.Random(7)
    for _ in range(300):
        items = ",\n".join(
            '{{"role":"user","content":{}}}'.format(some_json(draw, 4).replace("NaN", "0").replace("ud83d", "u0041"))
            for _ in range(draw.randint(0, 9))
        )
        body = b'{"a":[1],"messages":[%s],"z":{}}' % items.encode()
        assert _split_in_steps(body, "messages") == _split_strict(body, "messages")


ITEM = '{"role":"user","content":[{"type":"tool_result","content":"%s"}]}'
MANY: dict[str, tuple[str, int | str]] = {
    "plain": ('{"a":"' + "x" * 1000 + '"}', 1),
    "quotes": ('{"a":"' + r"\"" * 500 + '"}', 1),
    "backslashes": ('{"a":"' + "\\\\" * 500 + '"}', 1),
    "surrogates": ('{"a":"' + r"\ud83d" * 170 + '"}', 1),
    "controls": ('{"a":"' + "\x01" * 1000 + '"}', 1),
    "rows": ('{"a":' + json.dumps([{"id": 1, "v": [1, 2], "o": {"a": None}}] * 20) + "}", 1),
    "numbers": ('{"a":[' + "1," * 500 + "1]}", 1),
    "conversation": (ITEM % ("text\\n" * 200), 1),
}


def shape(name: str, size: int) -> bytes:
    if name == "one string":
        item = '{"a":"' + "x" * size + '"}'
    elif name == "one string of quotes":
        item = '{"a":"' + r"\"" * (size // 2) + '"}'
    elif name == "one string of surrogates":
        item = '{"a":"' + r"\ud83d" * (size // 6) + '"}'
    elif name == "one list of NaN":
        item = '{"a":[' + "NaN," * (size // 4) + "NaN]}"
    elif name == "blanks":
        item = " " * size + "{}"
    elif name == "one long number":
        item = '{"a":' + "9" * min(size, 1 << 20) + "}"
    elif name == "short keys":
        item = "{" + '"k":1,' * (size // 6) + '"k":1}'
    elif name == "a trunk":
        item = '{"a":' + ('[[[["' + "x" * 300 + '"]]]],').join([""] * (size // 312)).join(["[", "1]}"])
    else:
        item = ",".join([MANY[name][0]] * max(1, size // len(MANY[name][0])))
    return b'{"n":NaN,"messages":[%s],"t":"\\ud83d"}' % item.encode()


def calls_of(work: Callable[[], Any]) -> int:
    """How many calls, of Python and of C, the work makes: what it costs, without a clock."""
    count = 0

    def note(_: Any, event: str, __: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


SHAPES = [
    *MANY,
    *("one string", "one string of quotes", "one string of surrogates", "one list of NaN", "blanks"),
    *("one long number", "short keys", "a trunk"),
]


@pytest.mark.parametrize("name", SHAPES)
def test_work_and_memory_grow_with_the_bytes_whatever_they_are(name: str) -> None:
    small, large = shape(name, 500_000), shape(name, 2_000_000)
    assert calls_of(lambda: split(large, "messages")) < 6 * calls_of(lambda: split(small, "messages")) + 100
    tracemalloc.start()
    _, parts = split(large, "messages")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.6 * len(large)
    assert b"".join(parts) in large


class Watched:
    """A pattern's `match` that notes the longest piece that one call may look at."""

    def __init__(self, match: Any) -> None:
        self._match = match
        self.longest = 0

    def __call__(self, body: bytes, start: int = 0, end: int | None = None) -> Any:
        found = self._match(body, start, len(body) if end is None else end)
        self.longest = max(self.longest, (len(body) if end is None else min(end, len(body))) - start)
        return found


@pytest.mark.parametrize("name", SHAPES)
def test_no_call_looks_at_more_than_a_step(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A regular expression holds the interpreter until it ends, so what it may look at is what others wait for."""
    watched = {at: Watched(getattr(skip, at)) for at in ("_small", "_blanks", "_escaped", "_scalar")}
    for at, match in watched.items():
        monkeypatch.setattr(skip, at, match)
    runs = {bracket: Watched(match) for bracket, match in skip._run.items()}
    monkeypatch.setattr(skip, "_run", runs)
    split(shape(name, 2_000_000), "messages")
    assert max(match.longest for match in (*watched.values(), *runs.values())) <= skip.STEP_BYTES


BODY = b'{"messages":[%s]}'


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "broken_json"),
        (b'{"messages":[{}', "broken_json"),
        (b'{"messages":[{},]}', "broken_json"),
        (BODY % b'{"a" 1}', "broken_json"),
        (BODY % rb'{"a":"\x"}', "broken_json"),
        (BODY % b"{}" + b"x", "broken_json"),
        (b"[]", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b"NaN", "not_an_object"),
        (b'{"prompt":[]}', "unknown_shape"),
        (b'{"messages":"a prompt"}', "unknown_shape"),
        (BODY % (b"[" * 5000 + b"]" * 5000), "too_deep"),
        (BODY % (b'{"a":' * 5000 + b"1" + b"}" * 5000), "too_deep"),
        (b'{"messages":[],"messages":[1]}', "duplicate_keys"),
        ('{"messages":[{}]}'.encode("utf-16"), "not_utf8"),
        ('{"messages":[{}]}'.encode("utf-32-le"), "not_utf8"),
        (b"\xef\xbb\xbf" + BODY % b"{}", "not_utf8"),
        (BODY % b",".join([b"{}"] * (scan.ELEMENTS_MAX + 1)), "too_many_items"),
    ],
)
def test_a_body_that_is_not_cut_says_why(body: bytes, reason: str) -> None:
    with pytest.raises(ScanError) as caught:
        split(body, "messages")
    assert caught.value.reason == reason


@pytest.mark.parametrize("odd", [b'{"n":NaN}', rb'{"t":"\ud83d"}', b'{"n":' + b"9" * 5000 + b"}", b'{"c":"\x01"}'])
def test_one_odd_item_does_not_cost_the_others(odd: bytes) -> None:
    plain = ITEM.encode() % (b"y" * 300_000)
    _, parts = split(BODY % b",".join([plain, odd, plain]), "messages")
    assert parts == [plain, b"," + odd, b"," + plain]
    assert locate(plain, [("content", 0, "content")])[("content", 0, "content")] == (58, len(plain) - 3)


def test_a_key_of_a_large_body_is_found_as_that_of_a_small_one() -> None:
    body = b'{"messages":[%s],"n":NaN,"model":"\\u006d"}' % (ITEM.encode() % (b"y" * 600_000))
    assert text_at(body, "model") == "m"
    assert text_at(body[:-1], "model") == ""
    assert text_at(body, "messages") == ""
