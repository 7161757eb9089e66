"""Coded messages in steps: what comes of them is what the library makes of them, and nobody grows without end."""

import zlib

import pytest
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from proxy_pkg.server.inflating import INLINE_BYTES, CodedFrame, InflatingError, Later
from proxy_pkg.wire.encoding import PARTS_MAX, Steps

MIB = 1 << 20
TEXT = b" ".join(b"word%d" % (number * 7919 % 1000) for number in range(400_000))
EMPTY_STREAM = b"\x03\x00"


def peer(*, forgets: bool = False) -> PerMessageDeflate:
    return PerMessageDeflate(forgets, forgets, 12, 12)


def later(*, forgets: bool = False, bytes_max: int = 8 * MIB) -> Later:
    return Later(peer(forgets=forgets), bytes_max)


def whole(steps: Steps) -> bytes:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: bytes = end.value
            return result


def coded(sender: PerMessageDeflate, data: bytes) -> bytes:
    return bytes(sender.encode(Frame(Opcode.TEXT, data)).data)


@pytest.mark.parametrize("forgets", [False, True])
def test_messages_come_out_as_they_were_sent(forgets: bool) -> None:
    sender, taker = peer(forgets=forgets), later(forgets=forgets)
    for data in (b"", b"x", TEXT[:1000], TEXT, bytes(256 << 10), bytes((256 << 10) + 1), TEXT[:500]):
        assert whole(taker.steps(coded(sender, data))) == data


def test_each_step_is_short() -> None:
    seen = list(later().steps(coded(peer(), bytes(6 * MIB))))
    assert max(after - before for before, after in zip([0, *seen], seen, strict=False)) <= INLINE_BYTES
    assert seen[-1] == 6 * MIB


def test_what_inflates_to_more_than_a_message_may_be_stops_there() -> None:
    seen = []
    with pytest.raises(InflatingError) as raised:
        for size_bytes in later(bytes_max=MIB).steps(coded(peer(), bytes(64 * MIB))):
            seen.append(size_bytes)
    assert (raised.value.code, max(seen)) == (1009, MIB)


def test_what_is_no_deflate_is_refused() -> None:
    with pytest.raises(InflatingError) as raised:
        whole(later().steps(b"\xff\xff\xff"))
    assert raised.value.code == 1002


def test_a_stream_may_end_and_another_begin_but_not_for_ever() -> None:
    taker = later()
    stream = zlib.compressobj(wbits=-12)
    ends = stream.compress(b"Hello") + stream.flush() + b"\x00"  # RFC 7692 7.2.3.5
    assert whole(taker.steps(ends)) == b"Hello"
    assert whole(taker.steps(coded(peer(), b"again"))) == b"again", "the end of a stream is not the socket's"
    with pytest.raises(InflatingError) as raised:
        whole(taker.steps(EMPTY_STREAM * (PARTS_MAX + 1)))
    assert raised.value.code == 1002


def test_frames_are_taken_as_they_come_and_long_ones_are_sent_as_they_are() -> None:
    taker = later()
    frame = taker.decode(Frame(Opcode.TEXT, b"coded", rsv1=True))
    assert isinstance(frame, CodedFrame)
    assert (frame.data, frame.rsv1, frame.fin) == (b"coded", False, True)
    assert taker.encode(Frame(Opcode.TEXT, bytes(INLINE_BYTES))).rsv1
    long = Frame(Opcode.TEXT, bytes(INLINE_BYTES + 1))
    assert taker.encode(long) is long
