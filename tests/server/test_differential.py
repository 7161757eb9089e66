"""Generated streams of requests mean to our connections what they mean to h11, or are refused (`make fuzz-framing`)."""

import pytest

from bench.framing import Ours, judged, read_by_h11, run
from bench.framing_streams import Stream
from proxy_pkg.server.framing import StrictConnection

STREAMS = 2_000
HEAD = b"POST /v1/files HTTP/1.1\r\nhost: a\r\n"
HIDDEN = b"GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"


@pytest.mark.parametrize("first_seed", range(0, STREAMS, 500))
async def test_generated_streams_are_read_as_h11_reads_them_or_refused(first_seed: int) -> None:
    counts, faults = await run(range(first_seed, first_seed + 500))
    assert not faults, "\n".join(faults)
    assert counts["agreed"] > 250
    assert counts["refused"] > 100
    assert counts["upgrade, agreed"] > 50


@pytest.mark.parametrize("offer", ["h2c", "websocket", "TLS/1.0", "h2c, websocket", ""])
@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_the_body_behind_an_upgrade_is_read_wherever_the_bytes_are_cut(offer: str, framing: str) -> None:
    """Java's HTTP client offers h2c with every request."""
    head = HEAD + b"connection: Upgrade, HTTP2-Settings\r\nupgrade: %b\r\nhttp2-settings: AAMA\r\n" % offer.encode()
    one = head + b"content-length: %d\r\n\r\n%b" % (len(HIDDEN), HIDDEN)
    if framing == "chunks":
        one = head + b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
    data = one * 2 + b"GET /v1/models HTTP/1.1\r\nhost: a\r\n\r\n"
    ours = Ours()
    for turns in (True, False):
        for cuts in ((), tuple(range(1, len(data))), *((at,) for at in range(1, len(data)))):
            reading = await ours.read(Stream(0, data, cuts, proper=True, kinds=frozenset(), turns=turns))
            assert [(seen.target, seen.body) for seen in reading.requests] == [
                (b"/v1/files", HIDDEN),
                (b"/v1/files", HIDDEN),
                (b"/v1/models", b""),
            ]
            assert (reading.statuses, reading.refused) == ([200, 200, 200], False)


async def test_answers_of_earlier_requests_come_before_a_refusal() -> None:
    data = (
        HEAD + b"content-length: 3\r\n\r\nabc" + HEAD + b"content-length: 3\r\n\r\nabc" + b"nonsense\r\n\r\n" + HIDDEN
    )
    reading = await Ours().read(Stream(0, data, (), proper=False, kinds=frozenset(), turns=False))
    assert (reading.statuses, reading.answers, reading.refused) == ([200, 200, 400], [0, 1], True)
    assert len(reading.requests) == 2


async def test_a_broken_body_that_waits_for_its_turn_is_refused_in_its_turn() -> None:
    data = HEAD + b"content-length: 3\r\n\r\nabc" + HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n" + HIDDEN
    reading = await Ours().read(Stream(0, data, (), proper=False, kinds=frozenset(), turns=False))
    assert (reading.statuses, reading.answers, reading.refused) == ([200, 400], [0], True)


HANDSHAKE = b"GET /v1/responses HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n"


async def test_a_handshake_on_a_free_connection_takes_it_over() -> None:
    data = HEAD + b"content-length: 0\r\n\r\n" + HANDSHAKE + HIDDEN
    edge = len(data) - len(HIDDEN)
    cuts = (edge - len(HANDSHAKE), edge)
    reading = await Ours().read(Stream(0, data, cuts, proper=True, kinds=frozenset()))
    assert [seen.target for seen in reading.requests] == [b"/v1/files", b"/v1/responses"]
    assert reading.requests[-1].socket


@pytest.mark.parametrize(
    "before", [b"", HEAD + b"content-length: 0\r\n\r\n"], ids=["frames too early", "behind a request"]
)
async def test_a_handshake_that_is_not_alone_is_refused_in_its_turn(before: bytes) -> None:
    data = before + HANDSHAKE + (b"" if before else HIDDEN)
    reading = await Ours().read(Stream(0, data, (), proper=True, kinds=frozenset(), turns=False))
    assert reading.statuses == [200, 400] if before else [400]
    assert reading.refused
    assert not any(seen.socket for seen in reading.requests)


@pytest.mark.parametrize("length", [b"content-length: 5\r\n", b"transfer-encoding: chunked\r\n"])
async def test_an_answer_before_100_continue_ends_the_connection(length: bytes) -> None:
    """The client may send the body or not, so the next request may begin in two places."""
    data = HEAD + length + b"expect: 100-continue\r\n\r\n"
    given = Stream(0, data + HIDDEN, (len(data),), proper=True, kinds=frozenset(), reads_body=False)
    reading = await Ours().read(given)
    assert (reading.statuses, reading.refused) == ([200], True)
    assert [seen.target for seen in reading.requests] == [b"/v1/files"]


async def test_whoever_expects_100_continue_and_has_sent_all_of_it_keeps_the_connection() -> None:
    data = HEAD + b"content-length: 3\r\nexpect: 100-continue\r\n\r\nabc" + HEAD + b"expect: 100-continue\r\n\r\n"
    given = Stream(0, data + data, (), proper=True, kinds=frozenset(), reads_body=False)
    reading = await Ours().read(given)
    assert (reading.statuses, reading.refused) == ([200] * 4, False)


async def test_the_harness_sees_a_body_that_is_read_as_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """uvicorn's own way with an upgrade, which is what this guards against."""
    data = HEAD + b"connection: Upgrade\r\nupgrade: h2c\r\ncontent-length: %d\r\n\r\n" % len(HIDDEN)
    given = Stream(0, data + HIDDEN, (len(data),), proper=True, kinds=frozenset())
    assert len(read_by_h11(given.data).requests) == 1
    monkeypatch.setattr(StrictConnection, "_should_upgrade", lambda _: False)
    monkeypatch.setattr(StrictConnection, "_read_without_upgrade", lambda *_: None)
    assert (await judged(Ours(), given))[0]
