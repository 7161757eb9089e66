"""A catalogue of odd and hostile conversations: every shape at every size, in the words of each API.

Bodies are put together from raw JSON, so that they can hold what no encoder writes: NaN, lone surrogates, integers of
a million digits. All of it is a pure function of the shape's name, the size and the number.
"""

import random
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import msgspec

RESULT_BYTES: Final = 100_000
DEEP: Final = 100_000

Turns = Iterator[tuple[bytes, bytes]]
"""(arguments, result) of each tool call, both as raw JSON: an object, and a string."""


class Api(NamedTuple):
    """How an API writes one call and its result, and the body around all of them."""

    target: str
    call: Callable[[int, bytes], bytes]
    result: Callable[[int, bytes], bytes]
    head: bytes
    tail: bytes = b"]}"


def _string(raw: bytes) -> bytes:
    """Raw JSON as the text in a JSON string, which is how OpenAI has arguments."""
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


APIS: Final = {
    "anthropic": Api(
        "/v1/messages",
        lambda n, raw: (
            b'{"role":"assistant","content":[{"type":"tool_use","id":"t%d","name":"Bash","input":%b}]}' % (n, raw)
        ),
        lambda n, raw: (
            b'{"role":"user","content":[{"type":"tool_result","tool_use_id":"t%d","content":%b}]}' % (n, raw)
        ),
        b'{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[',
    ),
    "chat": Api(
        "/v1/chat/completions",
        lambda n, raw: (
            b'{"role":"assistant","tool_calls":[{"id":"t%d","type":"function","function":{"name":"Bash","arguments":%b}}]}'
            % (n, _string(raw))
        ),
        lambda n, raw: b'{"role":"tool","tool_call_id":"t%d","content":%b}' % (n, raw),
        b'{"model":"gpt-5","messages":[',
    ),
    "responses": Api(
        "/v1/responses",
        lambda n, raw: b'{"type":"function_call","call_id":"t%d","name":"Bash","arguments":%b}' % (n, _string(raw)),
        lambda n, raw: b'{"type":"function_call_output","call_id":"t%d","output":%b}' % (n, raw),
        b'{"model":"gpt-5","input":[',
    ),
    "gemini": Api(
        "/v1beta/models/gemini-3-pro:generateContent",
        lambda n, raw: b'{"role":"model","parts":[{"functionCall":{"id":"t%d","name":"Bash","args":%b}}]}' % (n, raw),
        lambda n, raw: (
            b'{"role":"user","parts":[{"functionResponse":{"id":"t%d","name":"Bash","response":{"output":%b}}}]}'
            % (n, raw)
        ),
        b'{"contents":[',
    ),
}


def body(api: str, shape: str, size_bytes: int, number: int = 0) -> bytes:
    """A request of about `size_bytes`. Another `number` gives other texts of the same shape."""
    form = APIS[api]
    pieces = []
    for call, (arguments, result) in enumerate(SHAPES[shape](size_bytes, random.Random(f"{shape}/{number}"))):
        pieces.append(form.call(call, arguments))
        pieces.append(form.result(call, result))
    return form.head + b",".join(pieces) + form.tail


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)


def _command(number: int) -> bytes:
    return b'{"command":"./run --part %d"}' % number


def _split(text: bytes, size_bytes: int = RESULT_BYTES) -> Turns:
    """A long text as the results of many calls."""
    for number, start in enumerate(range(0, len(text), size_bytes)):
        yield _command(number), _json(text[start : start + size_bytes].decode("utf-8", "replace"))


def _repeated(unit: Callable[[int], str], size_bytes: int) -> bytes:
    parts: list[str] = []
    length = 0
    while length < size_bytes:
        parts.append(unit(len(parts)))
        length += len(parts[-1].encode())
    return "".join(parts).encode()[:size_bytes]


def _log(dice: random.Random) -> Callable[[int], str]:
    seed = dice.randrange(1 << 30)
    return lambda n: (
        f"2026-11-30T10:{n // 60 % 60:02}:{n % 60:02} INFO worker-{seed + n % 7} took part {n * 31 % 977}\n"
    )


def one_result(size_bytes: int, dice: random.Random) -> Turns:
    yield _command(0), _json(_repeated(_log(dice), size_bytes).decode())


def results(size_bytes: int, dice: random.Random) -> Turns:
    yield from _split(_repeated(_log(dice), size_bytes))


def tiny_results(size_bytes: int, dice: random.Random) -> Turns:
    seed = dice.randrange(1 << 30)
    for number in range(max(1, size_bytes // 250)):
        yield _command(number), b'"%d: done %d"' % (number, seed + number)


def small_results(size_bytes: int, dice: random.Random) -> Turns:
    yield from _split(_repeated(_log(dice), size_bytes), 1500)


def equal_results(size_bytes: int, dice: random.Random) -> Turns:
    text = _json(_repeated(_log(dice), 1500).decode())
    for number in range(max(1, size_bytes // 1700)):
        yield _command(number), text


def nearly_equal_results(size_bytes: int, dice: random.Random) -> Turns:
    lines = _repeated(_log(dice), 4000).decode().splitlines()
    for number in range(max(1, size_bytes // 4300)):
        changed = lines.copy()
        changed[number % len(lines)] = f"changed in part {number}"
        yield _command(number), _json("\n".join(changed))


def huge_arguments(size_bytes: int, dice: random.Random) -> Turns:
    yield b'{"command":%b}' % _json("x = 1\n" * (size_bytes // 6)), b'"ok"'
    seed = dice.randrange(1 << 30)
    for number in range(2000):
        yield _command(number), b'"%d: done %d"' % (number, seed + number)


def writes(size_bytes: int, dice: random.Random) -> Turns:
    text = _repeated(_log(dice), 30_000).decode()
    for number in range(max(1, size_bytes // 33_000)):
        yield b'{"file_path":"/a/%d.py","content":%b}' % (number, _json(f"{number}\n{text}")), b'"written"'


def many_keys(size_bytes: int, dice: random.Random) -> Turns:
    members = b",".join(b'"k%d":%d' % (number, number) for number in range(size_bytes // 16))
    yield b"{%b}" % members, _json(_repeated(_log(dice), 3000).decode())


def short_lines(size_bytes: int, dice: random.Random) -> Turns:
    yield from _split(b"".join(b"%d\n" % dice.randrange(10) for _ in range(size_bytes // 2)), 480_000)


def empty_lines(size_bytes: int, dice: random.Random) -> Turns:
    yield from _split(b"\n" * size_bytes, 480_000)


def one_line(size_bytes: int, dice: random.Random) -> Turns:
    yield from _split(_repeated(lambda n: f"word{dice.randrange(999)} ", size_bytes), 480_000)


def one_letter(size_bytes: int, dice: random.Random) -> Turns:
    yield from _split(b"a" * size_bytes, 480_000)


def numbers(size_bytes: int, dice: random.Random) -> Turns:
    yield from _split(_repeated(lambda n: f"{dice.random()},{dice.randrange(9)},{n}\n", size_bytes), 480_000)


def periodic_lines(size_bytes: int, dice: random.Random) -> Turns:
    period = [f"line {dice.randrange(1 << 20)} of the period\n" for _ in range(7)]
    yield from _split(_repeated(lambda n: period[n % 7], size_bytes))


def wide_rows(size_bytes: int, dice: random.Random) -> Turns:
    row = ",".join(f"c{dice.randrange(99)}" for _ in range(5000)) + "\n"
    yield from _split(_repeated(lambda n: row, size_bytes), 480_000)


def json_rows(size_bytes: int, dice: random.Random) -> Turns:
    made = _repeated(lambda n: f'{{"id":{n},"name":"n{dice.randrange(99)}","on":true}},', 90_000)
    text = b"[" + made[: made.rindex(b"}") + 1] + b"]"
    for number in range(max(1, size_bytes // len(text))):
        yield _command(number), _json(text.replace(b"name", b"n%d" % number).decode())


def nested_text(size_bytes: int, dice: random.Random) -> Turns:
    depth = min(size_bytes // 2, 400_000)
    for number in range(max(1, size_bytes // 2 // depth)):
        yield _command(number), _json("[" * depth + "]" * depth)


def nested_arguments(size_bytes: int, dice: random.Random) -> Turns:
    depth = min(size_bytes // 2, DEEP)
    for number in range(max(1, size_bytes // 2 // depth)):
        yield b'{"a":' + b"[" * depth + b"]" * depth + b"}", _json(_repeated(_log(dice), 3000).decode())
        assert number >= 0


def long_integers(size_bytes: int, dice: random.Random) -> Turns:
    digits = min(size_bytes, 1_000_000)
    for _ in range(max(1, size_bytes // digits)):
        yield b'{"n":' + b"7" * digits + b"}", _json(_repeated(_log(dice), 3000).decode())


def not_a_number(size_bytes: int, dice: random.Random) -> Turns:
    yield b'{"n":NaN,"m":-Infinity}', b'"odd"'
    yield from results(size_bytes, dice)


def lone_surrogates(size_bytes: int, dice: random.Random) -> Turns:
    yield b'{"n":1}', b'"\\ud800 alone"'
    yield from results(size_bytes, dice)


def all_surrogates(size_bytes: int, dice: random.Random) -> Turns:
    for number in range(max(1, size_bytes // RESULT_BYTES)):
        yield _command(number), b'"' + b"\\udead\\n" * (min(size_bytes, RESULT_BYTES) // 8) + b'"'


def escapes(size_bytes: int, dice: random.Random) -> Turns:
    for number in range(max(1, size_bytes // RESULT_BYTES)):
        yield _command(number), b'"' + b"\\u00e9\\n\\t\\\\" * (min(size_bytes, RESULT_BYTES) // 12) + b'"'


def wide_letters(size_bytes: int, dice: random.Random) -> Turns:
    yield from _split(_repeated(lambda n: f"第{n}行の出力は{dice.randrange(99)}です\n", size_bytes))


def terminal(size_bytes: int, dice: random.Random) -> Turns:
    yield from _split(_repeated(lambda n: f"\x1b[3{n % 8}mstep {n}\x1b[0m\r\x1b[2K\x1b[1A", size_bytes))


def open_escapes(size_bytes: int, dice: random.Random) -> Turns:
    yield from _split(b"\x1b]8;;" * (size_bytes // 5))


def opaque(size_bytes: int, dice: random.Random) -> Turns:
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    yield from _split(bytes(dice.choices(alphabet, k=size_bytes)), 480_000)


def pages(size_bytes: int, dice: random.Random) -> Turns:
    depth = 3000
    text = "<div class='x'>" * depth + "text" + "</div>" * depth
    for number in range(max(1, size_bytes // len(text))):
        yield _command(number), _json(f"<html><body>{number}{text}</body></html>")


def numbered_file(size_bytes: int, dice: random.Random) -> Turns:
    seed = dice.randrange(1 << 20)
    yield from _split(_repeated(lambda n: f"{n + 1}\t    total_{seed} = read_part({n % 97})\n", size_bytes))


SHAPES: Final[dict[str, Callable[[int, random.Random], Turns]]] = {
    made.__name__.replace("_", " "): made
    for made in (
        one_result,
        results,
        tiny_results,
        small_results,
        equal_results,
        nearly_equal_results,
        huge_arguments,
        writes,
        many_keys,
        short_lines,
        empty_lines,
        one_line,
        one_letter,
        numbers,
        periodic_lines,
        wide_rows,
        json_rows,
        nested_text,
        nested_arguments,
        long_integers,
        not_a_number,
        lone_surrogates,
        all_surrogates,
        escapes,
        wide_letters,
        terminal,
        open_escapes,
        opaque,
        pages,
        numbered_file,
    )
}
