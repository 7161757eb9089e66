"""What is in a body decides nothing but itself: strange bodies arrive as they were sent, and one changed text is one
changed text."""

import hashlib
import itertools
import random
from collections.abc import Callable

import pytest

from bench.processes import Server
from tests.fakes.bodies import ANTHROPIC, NUMBERED, ROUTES, Shape, literal
from tests.fakes.client import Caller, ask
from tests.fakes.scripts import reply
from tests.fakes.upstream import Upstream

JSON = ((b"content-type", b"application/json"),)
ANSI = "".join(f"\x1b[32mok\x1b[0m test_number_{n} passed in 0.0{n % 7} s\n" for n in range(120))
RECORDS = "[" + ",".join(f'{{"id":{n},"name":"file_{n}.txt","size":{n * 37}}}' for n in range(80)) + "]"


@pytest.fixture(autouse=True)
def _plain_answers(upstream: Upstream) -> None:
    upstream.answer = lambda _: reply()


def strange_bodies(shape: Shape) -> dict[str, bytes]:
    """Bodies that no one should judge but the provider, each with a text that would shrink if it could be cut out."""
    good = shape.body(literal(NUMBERED))
    key = shape.key.encode()
    return {
        "empty": b"",
        "no json": b"hello",
        "cut off": good[:-20],
        "more after the end": good + b" {}",
        "two roots": good + good,
        "byte order mark": b"\xef\xbb\xbf" + good,
        "utf-16": good.decode("utf-8").encode("utf-16"),
        "null items": b'{"%b": null}' % key,
        "items are text": b'{"%b": "tool_result functionResponse tool"}' % key,
        "items are an object": b'{"%b": {"role":"tool"}}' % key,
        "the key twice": good.replace(b'"tail"', b'"%b":[],"tail"' % key),
        "the text's key twice": good.replace(b'"zz"', b'"content":1,"output":2,"zz"'),
        "array as root": b"[" + good + b"]",
        "nested 100,000 deep": good.replace(b'"tail":', b'"deep":' + b"[" * 100_000 + b"]" * 100_000 + b',"tail":'),
        "an item nested 100,000 deep": good.replace(b'"p":', b"").replace(
            shape.call, b'{"a":' * 100_000 + b"1" + b"}" * 100_000
        )[: len(good) + 700_000],
        "items nested and never closed": b'{"%b":' % key + b"[" * 50_000 + b"tool_result functionResponse tool _call",
        "invalid utf-8 in the text": shape.body(literal(NUMBERED)[:-1] + b'\xff\xfe"'),
        "lone surrogate in the text": shape.body(literal(NUMBERED)[:-1] + rb'\ud83d"'),
        "raw control characters in the text": shape.body(literal(NUMBERED).replace(rb"\n", b"\n")),
        "a broken escape in the text": shape.body(literal(NUMBERED)[:-1] + rb'\x"'),
        "number bombs": good.replace(b"1.50", b"1" * 20_000 + b"e" + b"9" * 5_000 + b"x"),
    }


STRANGE = sorted(strange_bodies(ANTHROPIC))


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_body_arrives_as_it_was_sent_and_the_answer_comes_back(
    name: str, shared_server: Server, upstream: Upstream
) -> None:
    with Caller(shared_server.port) as caller:
        for target, shape in ROUTES.items():
            body = strange_bodies(shape)[name]
            upstream.play(reply(b'{"said":"no"}', 418))
            answer = caller.ask("POST", target, JSON, body)
            assert (answer.status, answer.body) == (418, b'{"said":"no"}'), target
            got = upstream.requests[-1]
            assert hashlib.sha256(got.body).digest() == hashlib.sha256(body).digest(), target
            assert got.framing == "length", target
            assert answer.header("x-headroom-decision").startswith("passthrough"), target


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("target", ROUTES)
def test_one_text_shrinks_and_every_byte_around_it_stays(
    target: str, chunked: bool, shared_server: Server, upstream: Upstream
) -> None:
    text = literal(NUMBERED)
    before, after = ROUTES[target].around(text)
    answer = ask(shared_server.port, "POST", target, JSON, before + text + after, chunked)
    got = upstream.requests[-1].body
    assert got.startswith(before)
    assert got.endswith(after)
    assert len(got) < 0.85 * len(before + text + after)
    assert answer.header("x-headroom-decision") == "rewritten; reason=smaller"


@pytest.mark.parametrize(
    "elsewhere",
    [
        rb'"x":"\ud83d"',
        b'"x":NaN,"y":[-Infinity, Infinity]',
        b'"x":' + b"9" * 10_000,
        b'"x":"a\tb\x01c"',
        b'"x":1,"x":2,"x":{"a":1,"a":2}',
        b'"x":' + b"[" * 150 + b"]" * 150,
    ],
    ids=["lone surrogate", "NaN", "long number", "control characters", "duplicate keys", "deep"],
)
@pytest.mark.parametrize("target", ["/v1/messages", "/v1/chat/completions", "/v1/responses"])
def test_what_stands_elsewhere_is_kept_and_keeps_no_text_from_shrinking(
    target: str, elsewhere: bytes, shared_server: Server, upstream: Upstream
) -> None:
    text = literal(NUMBERED)
    before, after = ROUTES[target].around(text)
    after = after.replace(b'"tail"', elsewhere + b',"tail"')
    ask(shared_server.port, "POST", target, JSON, before + text + after)
    got = upstream.requests[-1].body
    assert got.startswith(before)
    assert got.endswith(after)
    assert len(got) < len(before + text + after)


def results(*literals: bytes) -> bytes:
    blocks = b",".join(
        b'{"type":"tool_result","tool_use_id":"t%d","content":%b}' % (n, text) for n, text in enumerate(literals)
    )
    calls = b",".join(
        b'{"type":"tool_use","id":"t%d","name":"Bash","input":{"command":"./run"}}' % n for n in range(len(literals))
    )
    return b'{"messages":[{"role":"assistant","content":[' + calls + b']},{"role":"user","content":[' + blocks + b"]}]}"


def test_a_text_with_a_lone_surrogate_stays_while_its_neighbours_shrink(
    shared_server: Server, upstream: Upstream
) -> None:
    broken = literal(NUMBERED)[:-1] + rb'\ud83d"'
    ask(shared_server.port, "POST", "/v1/messages", JSON, results(literal(NUMBERED), broken, literal(ANSI)))
    got = upstream.requests[-1].body
    assert broken in got
    assert literal(NUMBERED)[1:-1] in got  # as part of the broken one
    assert got.count(literal(NUMBERED)[:-1]) == 1
    assert literal(ANSI) not in got


@pytest.mark.parametrize("value", [b"true", b"TRUE", b"1"])
def test_a_bypass_sends_the_clients_bytes_and_not_the_header(
    value: bytes, shared_server: Server, upstream: Upstream
) -> None:
    body = ANTHROPIC.body(literal(NUMBERED))
    headers = (*JSON, (b"X-Headroom-Bypass", value))
    answer = ask(shared_server.port, "POST", "/v1/messages", headers, body)
    got = upstream.requests[-1]
    assert got.body == body
    assert b"headroom" not in got.head.lower()
    assert answer.header("x-headroom-decision") == "bypassed; reason=bypass_header"


def test_bypass_false_bypasses_nothing(shared_server: Server, upstream: Upstream) -> None:
    body = ANTHROPIC.body(literal(NUMBERED))
    ask(shared_server.port, "POST", "/v1/messages", (*JSON, (b"x-headroom-bypass", b"false")), body)
    assert upstream.requests[-1].body != body


def test_off_and_observe_send_the_clients_bytes_and_observe_counts(
    server: Callable[..., Server], upstream: Upstream
) -> None:
    body = ANTHROPIC.body(literal(NUMBERED))
    off, observe = (server(HEADROOM_COMPRESSION=level, HEADROOM_WORKERS="1") for level in ("off", "observe"))
    answer = ask(off.port, "POST", "/v1/messages", JSON, body)
    assert upstream.requests[-1].body == body
    assert answer.header("x-headroom-decision") == "passthrough; reason=compression_off"
    assert not answer.all("x-headroom-tokens-before")
    answer = ask(observe.port, "POST", "/v1/messages", JSON, body)
    assert upstream.requests[-1].body == body
    saved = int(answer.header("x-headroom-tokens-saved"))
    tokens = ask(observe.port, "GET", "/stats").json()["tokens"]
    assert tokens["observed_saving"] == saved > 0
    assert tokens["saved"] == 0


def test_the_answer_tells_what_was_done(shared_server: Server, upstream: Upstream) -> None:
    answer = ask(shared_server.port, "POST", "/v1/messages", JSON, results(literal(NUMBERED), literal(ANSI)))
    before, after, saved = (int(answer.header(f"x-headroom-tokens-{part}")) for part in ("before", "after", "saved"))
    assert before - after == saved > 0
    assert answer.header("x-headroom-transforms").count(",") == 1
    phases = [entry.partition(";dur=")[0] for entry in answer.header("server-timing").split(", ")]
    assert phases == ["headroom-read", "headroom-plan", "headroom-connect", "headroom-upstream"]
    assert answer.header("x-headroom-request-id").startswith("hr_")
    answer = ask(shared_server.port, "POST", "/v1/messages", JSON, b'{"messages":[{"role":"user","content":"hi"}]}')
    assert answer.header("x-headroom-tokens-before") == answer.header("x-headroom-tokens-saved") == "0"
    assert answer.header("x-headroom-transforms") == "none"


def message(random_: random.Random, number: int) -> bytes:
    """A user message with one to three tool results of mixed kinds, or the assistant's message with its calls."""
    if number % 2 == 0:
        calls = ",".join(
            f'{{"type":"tool_use","id":"t{number + 1}_{index}","name":"{random_.choice(["Read", "Bash", "Grep"])}",'
            f'"input":{{"n":{random_.randrange(9)}}}}}'
            for index in range(3)
        )
        return f'{{"role":"assistant","content":[{{"type":"text","text":"…"}},{calls}]}}'.encode()
    start = random_.randrange(1, 400)
    texts = [
        "\n".join(f"{n:6}→\tvalue_{n} = {n * random_.randrange(9)}" for n in range(start, start + 60)),
        ANSI[random_.randrange(900) :],
        RECORDS,
        "plain words " * random_.randrange(60),
        "",
        "\ud83d broken " * 40,
    ]
    blocks = [
        f'{{"type":"tool_result","tool_use_id":"t{number}_{index}","content":'.encode() + escaped(text) + b"}"
        for index, text in enumerate(random_.sample(texts, random_.randrange(1, 4)))
    ]
    return b'{ "role":"user", "content":[' + b", ".join(blocks) + b"]}"


def escaped(text: str) -> bytes:
    """A literal with every other-than-ASCII character escaped, lone surrogates too."""
    return b'"' + text.encode("unicode_escape").replace(b"\\x", b"\\u00").replace(b'"', b'\\"') + b'"'


@pytest.mark.parametrize("seed", [1, 2])
def test_each_turn_begins_with_what_was_sent_before_whichever_worker_gets_it(
    seed: int, shared_server: Server, upstream: Upstream
) -> None:
    random_ = random.Random(seed)
    head, messages = b'{"model":"m","messages":[', []
    bodies, received = [], []
    for number in range(60):
        messages.append(message(random_, number))
        bodies.append(head + b",".join(messages) + b"]}")
        # A new connection for each turn, so that either worker may get it.
        ask(shared_server.port, "POST", "/v1/messages", JSON, bodies[-1])
        received.append(upstream.requests[-1].body)
    for turn, following in itertools.pairwise(received):
        assert following.startswith(turn.removesuffix(b"]}"))
    assert len(received[-1]) < 0.9 * len(bodies[-1])
    # Another worker, with nothing in its memory, comes to the same bytes.
    assert ask(shared_server.port, "POST", "/v1/messages", JSON, bodies[-1]).status == 200
    assert upstream.requests[-1].body == received[-1]
