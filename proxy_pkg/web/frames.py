"""The text frames of one WebSocket, seen as a conversation: requests shrink on their way, answers are only read."""

import asyncio
from time import monotonic_ns

import msgspec

from proxy_pkg.errors import ScanError
from proxy_pkg.model import Level, Producer
from proxy_pkg.planning.find import outline
from proxy_pkg.planning.offload import Planner
from proxy_pkg.protocols.grammar import FrameMap
from proxy_pkg.stats.record import RequestRecord
from proxy_pkg.web.compression import replanned
from proxy_pkg.wire.scan import locate

_INLINE_FRAME_BYTES = 1 << 20
_CALL_BYTES_MAX = 256 << 10
_CALLS_BYTES_MAX = 4 << 20

_Members = dict[str, msgspec.Raw]
_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError, ScanError)


class Frames:
    """What is known of one socket: the tool calls its upstream made, and how many answers are on their way.

    A request over a WebSocket brings new results alone; the calls they answer came the other way. Remembered,
    they make a result come out as it would in a request that has the whole conversation.
    """

    def __init__(self, frames: FrameMap | None, planner: Planner, level: Level, record: RequestRecord) -> None:
        self._map = frames
        self._planner = planner
        self._level = level
        self._record = record
        self._calls: dict[str, Producer] = {}
        self._call_bytes: dict[str, int] = {}
        self._requests_signs = _quoted(frames.requests) if frames else ()
        self._answer_signs = _quoted(frames.brings + frames.ends) if frames else ()
        self._answers_due = 0
        self.idle = asyncio.Event()
        """Set while no answer is due."""
        self.idle.set()

    async def outgoing(self, text: str) -> str:
        """The frame to send for a client's frame; the same object unless a tool result in it shrank. Never raises."""
        frames = self._map
        if frames is None or not any(sign in text for sign in self._requests_signs):
            return text
        began = monotonic_ns()
        data = text.encode()
        try:
            place = await self._place(data, frames)
        except _UNREADABLE:
            place = None
        if place is None:
            return text
        start, end = place
        body = data[start:end]
        sent, _ = await replanned(
            self._planner, self._level, frames.conversation, body, self._record, known=self._calls
        )
        self._record.plan_ns += monotonic_ns() - began
        return text if sent is body else (data[:start] + sent + data[end:]).decode()

    def incoming(self, text: str) -> None:
        """Learn from an upstream's frame. Never raises."""
        if self._map is None or not any(sign in text for sign in self._answer_signs):
            return
        try:
            members = msgspec.json.decode(text, type=_Members)
            kind = _kind(members)
            if kind in self._map.ends:
                self._expect(-1)
            elif kind in self._map.brings:
                self._remember(bytes(members[self._map.item]), self._map)
        except (*_UNREADABLE, KeyError):
            return

    async def _place(self, data: bytes, frames: FrameMap) -> tuple[int, int] | None:
        """Where the object lies that holds the items of a request; None if the frame has none, or shall stay."""
        if len(data) <= _INLINE_FRAME_BYTES:
            found = _holder(data, frames)
        else:
            found = await self._planner.elsewhere(lambda: _holder(data, frames))
        if found is None:
            return None
        self._expect(1)
        start, end = found
        return found if end > start and self._level is not Level.OFF else None

    def _expect(self, answers: int) -> None:
        self._answers_due = max(0, self._answers_due + answers)
        if self._answers_due:
            self.idle.clear()
        else:
            self.idle.set()

    def _remember(self, item: bytes, frames: FrameMap) -> None:
        if len(item) > _CALL_BYTES_MAX:
            return
        for name, producer in outline(item, frames.conversation).calls:
            self._calls.pop(name, None)
            self._calls[name] = producer
            self._call_bytes[name] = len(item)
        while sum(self._call_bytes.values()) > _CALLS_BYTES_MAX:
            oldest = next(iter(self._calls))
            del self._calls[oldest], self._call_bytes[oldest]


def _holder(data: bytes, frames: FrameMap) -> tuple[int, int] | None:
    """None for a frame that is no request; an empty range for a request without items."""
    members = msgspec.json.decode(data, type=_Members)
    if _kind(members) not in frames.requests:
        return None
    for holder in frames.holders:
        if not holder and frames.conversation.items in members:
            return 0, len(data)
        if holder in members:
            return locate(data, [(holder,)])[(holder,)]
    return 0, 0


def _kind(members: _Members) -> str:
    return msgspec.json.decode(members["type"], type=str) if "type" in members else ""


def _quoted(kinds: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f'"{kind}"' for kind in kinds)
