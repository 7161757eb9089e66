"""The table in docs/faults.md is what happens: each row is played, for an answer in one piece and for a stream."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.processes import Server
from tests.fakes.client import Answer, Caller, request_bytes
from tests.fakes.scripts import (
    CLOSE_AFTER_BODY,
    JSON,
    RESET_AFTER_BODY,
    RESET_AFTER_HEAD,
    RESET_ON_CONNECT,
    RESET_WHEN_IDLE,
    SSE,
    STALL_AFTER_BODY,
    Headers,
    Script,
    Step,
    chunk,
    head,
    last_chunk,
    reply,
)
from tests.fakes.upstream import Upstream
from tests.system.conftest import starting
from tests.system.patience import stats

PAGE = Path(__file__).parents[2] / "docs/faults.md"
SHORT = "0.4"
EVENT = b'event: ping\ndata: {"type": "ping"}\n\n'
STRAY = b'"nobody asked"'
CHUNKED = ("transfer-encoding", "chunked")
TARGET = "/v1/messages"
LARGE = b'{"messages":"' + b"x" * (24 << 20) + b'"}'
SMALL = b'{"model":"m","messages":[]}'
WHOLE, STREAM = "an answer in one piece", "a stream"

Play = Callable[[Headers], Script]
"""The script for an answer whose content type is in these headers."""


def begun(*steps: Step) -> Play:
    """A chunked answer of one event, and then these steps."""
    return lambda kind: Script((("send", head(200, (*kind, CHUNKED)) + chunk(EVENT)), ("hold", "seen"), *steps))


def of_length(length: str, *steps: Step) -> Play:
    return lambda kind: Script((("send", head(200, (*kind, ("content-length", length))) + EVENT), *steps))


def always(script: Script) -> Play:
    return lambda _: script


def complete(data: bytes, size: int, pause_seconds: float, extra: Headers = ()) -> Play:
    """A whole chunked answer, written in pieces of `size`."""
    return lambda kind: Script(
        (("drip", head(200, (*kind, *extra, CHUNKED)) + chunk(data) + last_chunk(), size, pause_seconds),)
    )


FAULTS: dict[str, Play] = {
    "resets the connection as it opens": always(RESET_ON_CONNECT),
    "resets a connection that was idle": lambda kind: reply(EVENT, headers=kind),
    "resets after the head of the request": always(RESET_AFTER_HEAD),
    "resets after the whole request": always(RESET_AFTER_BODY),
    "closes after the whole request": always(CLOSE_AFTER_BODY),
    "half-closes after the whole request": always(Script((("half_close",), ("stall",)))),
    "stops reading the request": always(Script((("deaf",), ("stall",)), when="head")),
    "stalls before its answer": always(STALL_AFTER_BODY),
    "resets within the head of its answer": always(Script((("send", b"HTTP/1.1 200 OK\r\ncontent-le"), ("reset",)))),
    "answers what is not HTTP": always(Script((("send", b"220 mail.test ESMTP\r\n\r\n"), ("close",)))),
    "resets after the head of its answer": lambda kind: Script(
        (("send", head(200, (*kind, CHUNKED))), ("hold", "seen"), ("reset",))
    ),
    "resets in the middle of the body": begun(("reset",)),
    "closes in the middle of an event": begun(("send", chunk(EVENT[:9])), ("close",)),
    "half-closes in the middle of the body": begun(("half_close",), ("stall",)),
    "stalls after a whole event": begun(("stall",)),
    "stalls in the middle of an event": begun(("send", chunk(EVENT[:9])), ("stall",)),
    "sends 64 KiB of headers": complete(EVENT, 1 << 20, 0.0, [(f"x-{n}", "y" * 4089) for n in range(16)]),
    "sends one header of 64 KiB": complete(EVENT, 1 << 20, 0.0, [("x-long", "y" * 65536)]),
    "sends one header of 128 KiB": complete(EVENT, 1 << 20, 0.0, [("x-long", "y" * 131_072)]),
    "drips its answer byte by byte": complete(EVENT, 1, 0.001),
    "answers with a status of no meaning": lambda kind: reply(EVENT, 799, kind),
    "switches protocols unasked": lambda kind: reply(b"", 101, (*kind, ("connection", "upgrade"), ("upgrade", "h2c"))),
    "announces more bytes than it sends": of_length("1000", ("close",)),
    "announces fewer bytes than it sends": of_length(str(len(EVENT) - 9)),
    "sends a second answer unasked": lambda kind: Script(
        (("send", b"".join(reply(each, headers=kind).steps[0][1] for each in (EVENT, STRAY))),)
    ),
    "sends a body with a 204": lambda kind: reply(EVENT, 204, kind),
    "announces a length that is no number": of_length("many", ("close",)),
    "announces two lengths": lambda kind: of_length("1", ("close",))((*kind, ("content-length", "2"))),
    "breaks the chunked coding": begun(("send", b"zz\r\n"), ("stall",)),
    "refuses with 429": lambda kind: reply(b"{}", 429),
    "fails with 500": lambda kind: reply(b"{}", 500),
}


@pytest.fixture(scope="module")
def hasty(upstream_of_module: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One worker that waits for nothing long."""
    with starting(upstream_of_module.url, tmp_path_factory.mktemp("hasty")) as start:
        limits = {f"HEADROOM_{name}_TIMEOUT_SECONDS": SHORT for name in ("FIRST_BYTE", "GAP")}
        yield start(HEADROOM_WORKERS="1", **limits)


def table() -> dict[str, dict[str, str]]:
    """The rows of the page: what the upstream does -> column -> what the page says."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    columns = rows[0][1:]
    return {row[0]: dict(zip(columns, row[1:], strict=True)) for row in rows[2:]}


def outcome(answer: Answer) -> str:
    """What the client got, in the words of the page."""
    if code := answer.header("x-headroom-error"):
        assert answer.complete
        assert answer.json()["error"]["message"]
        return f"{answer.status} {code}"
    if answer.complete:
        return f"{answer.status} whole"
    told = b"event: error\n" in answer.body and answer.body.endswith(b"\n\n")
    return f"{answer.status} cut, told" if told else f"{answer.status} cut"


def failures(server: Server) -> dict[str, int]:
    found: dict[str, int] = stats(server)["requests"]["failed"]
    return found


def play(fault: str, kind: Headers, server: Server, upstream: Upstream) -> Answer:
    """One request that meets the fault; counts as `upstream.requests` what is its own."""
    with Caller(server.port) as caller:
        if fault == "resets a connection that was idle":
            upstream.play(RESET_WHEN_IDLE)
            assert caller.ask("POST", TARGET, (), SMALL).status == 200
            upstream.release("idle")
            upstream.wait_until(lambda it: it.open_connections == 0)
            upstream.settle()
            upstream.requests.clear()
        upstream.play(FAULTS[fault](kind))
        caller.write(request_bytes("POST", TARGET, (), LARGE if fault.startswith("stops reading") else SMALL))
        answer = caller.begin()
        upstream.release("seen")
        return caller.finish(answer)


@pytest.mark.parametrize("column", [WHOLE, STREAM], ids=["plain", "stream"])
@pytest.mark.parametrize("fault", FAULTS)
def test_the_page_says_what_happens(fault: str, column: str, hasty: Server, upstream: Upstream) -> None:
    row = table()[fault]
    before = failures(hasty)
    answer = play(fault, JSON if column == WHOLE else SSE, hasty, upstream)
    assert outcome(answer) == row[column]
    assert str(len(upstream.requests)) == row["requests"]
    counted = [phase for phase, count in failures(hasty).items() if count != before.get(phase, 0)]
    assert (counted or ["-"])[0] in row["counted"].split(" or ")
    assert len(counted) <= 1
    if "cut" in row[column]:
        assert EVENT.startswith(answer.body[: len(EVENT)]), "nothing but what the upstream said, and perhaps our event"
    with Caller(hasty.port) as caller:
        following = caller.ask("POST", TARGET, (), SMALL)
        assert (following.status, STRAY in following.body) == (200, False), "the next request is not harmed"


def test_the_page_has_these_faults_and_no_others() -> None:
    assert list(table()) == list(FAULTS)
