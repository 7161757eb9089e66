"""The frames of one WebSocket, seen as a conversation: requests shrink on their way, answers are only read.

A binary frame stays as it is, but a request in one counts for limits like any other, and so does the end of an answer.
"""

import asyncio
from collections.abc import Callable
from time import monotonic_ns
from typing import Protocol

import msgspec

from proxy_pkg.billing.holdout import NOBODY, HoldOut
from proxy_pkg.errors import ScanError
from proxy_pkg.model import Level, Producer
from proxy_pkg.planning.find import outline
from proxy_pkg.planning.offload import Planner
from proxy_pkg.protocols.grammar import FrameMap
from proxy_pkg.stats.record import RequestRecord
from proxy_pkg.web.compression import replanned
from proxy_pkg.web.shared_calls import CallersCalls
from proxy_pkg.wire.scan import locate

_INLINE_FRAME_BYTES = 1 << 20
_CALL_BYTES_MAX = 256 << 10
_CALLS_BYTES_MAX = 4 << 20

_Members = dict[str, msgspec.Raw]
_NOTHING = (0, 0)
_GOING_ON = ('"previous_response_id":"', '"previous_response_id": "')
_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError, ScanError)


class Gate(Protocol):
    """Lets requests over a socket pass, or not."""

    async def admit(self, frame: bytes) -> bool:
        """Whether a request may go to the upstream. Whoever may not has been told."""

    def answered(self) -> None:
        """The answer to the oldest request that was admitted has ended."""


class Frames:
    """What is known of one socket: the tool calls its upstream made, and how many answers are on their way.

    A request over a WebSocket brings new results alone; the calls they answer came the other way. Remembered,
    they make a result come out as it would in a request that has the whole conversation.
    """

    def __init__(
        self,
        frames: FrameMap | None,
        planner: Planner,
        level: Level,
        record: RequestRecord,
        gate: Gate | None = None,
        hold_out: HoldOut = NOBODY,
        bill: Callable[[str, int], None] | None = None,
        failed: Callable[[str], None] | None = None,
        caller: int = 0,
        others: CallersCalls | None = None,
    ) -> None:
        """`bill` is shown each frame that ends an answer and tells usage, with the tokens that compression took from
        what it answers (estimate); it must not take long. `failed` is shown each that ends an answer with an error.
        `others` are the caller's calls on other sockets, and over HTTP.
        """
        self._map = frames
        self._planner = planner
        self._level = level
        self._record = record
        self._gate = gate
        self._hold_out = hold_out
        self._bill = bill
        self._failed = failed
        self._caller = caller
        self._others = others
        self._saved = 0
        self._calls: dict[str, Producer] = {}
        self._call_bytes: dict[str, int] = {}
        self._requests_signs = _quoted(frames.requests) if frames else ()
        self._answer_signs = _quoted(frames.brings + frames.ends) if frames else ()
        self._answers_due = 0
        self.idle = asyncio.Event()
        """Set while no answer is due."""
        self.idle.set()

    async def outgoing(self, frame: str | bytes) -> str | bytes | None:
        """The frame to send for a client's frame; the same object unless a tool result in it shrank. Never raises.

        None for a request that the gate refused.
        """
        is_text = isinstance(frame, str)
        frames = self._map
        if frames is None or (not is_text and self._gate is None):
            return frame
        text = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
        if not self._may_ask(text):
            return frame
        began = monotonic_ns()
        data = text.encode()
        try:
            place = await self._place(data, frames)
        except _UNREADABLE:
            place = _NOTHING if self._gate is not None else None
        if place is None:
            return frame
        if self._gate is not None and not await self._gate.admit(data):
            return None
        self._expect(1)
        if not is_text:
            return frame
        return await self._shrunk(text, data, place, frames, began)

    async def _shrunk(self, text: str, data: bytes, place: tuple[int, int], frames: FrameMap, began: int) -> str:
        """A request with the items at `place` as planned; the same object if they stay."""
        start, end = place
        if start == end or self._level is Level.OFF:
            return text
        body, saved_before = data[start:end], self._record.tokens_removed
        sent, _ = await replanned(
            self._planner,
            self._level,
            frames.conversation,
            body,
            self._record,
            self._calls,
            self._hold_out,
            self._caller,
            self._others,
        )
        # A request that goes on from an earlier answer has the upstream read all that was sent before again.
        goes_on = any(sign in text for sign in _GOING_ON)
        saved = self._record.tokens_removed - saved_before if sent is not body else 0
        self._saved = saved + (self._saved if goes_on else 0)
        self._record.plan_ns += monotonic_ns() - began
        return text if sent is body else (data[:start] + sent + data[end:]).decode()

    def incoming(self, frame: str | bytes) -> None:
        """Learn from an upstream's frame. Never raises."""
        if self._map is None:
            return
        if isinstance(frame, bytes) and len(frame) > _INLINE_FRAME_BYTES:
            return  # an event that ends an answer is shorter, and reading this would take the loop
        text = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
        if not any(sign in text for sign in self._answer_signs):
            return
        try:
            members = msgspec.json.decode(text, type=_Members)
            kind = _kind(members)
            if kind in self._map.ends:
                if self._failed is not None and kind in self._map.fails:
                    self._failed(text)
                if self._bill is not None and '"usage"' in text:
                    self._bill(text, self._saved)
                if self._gate is not None and self._answers_due:
                    self._gate.answered()
                self._expect(-1)
            elif kind in self._map.brings:
                self._remember(bytes(members[self._map.item]), self._map)
        except (*_UNREADABLE, KeyError):
            return

    async def _place(self, data: bytes, frames: FrameMap) -> tuple[int, int] | None:
        """Where the object lies that holds the items of a request; None if the frame is no request."""
        if len(data) <= _INLINE_FRAME_BYTES:
            return _holder(data, frames)
        return await self._planner.elsewhere(lambda: _holder(data, frames))

    def _may_ask(self, text: str) -> bool:
        """Whether the frame may be a request. Behind a gate, however its type is spelled."""
        if self._gate is not None and "\\u" in text:
            return True
        return any(sign in text for sign in self._requests_signs)

    def _expect(self, answers: int) -> None:
        self._answers_due = max(0, self._answers_due + answers)
        if self._answers_due:
            self.idle.clear()
        else:
            self.idle.set()

    def _remember(self, item: bytes, frames: FrameMap) -> None:
        if len(item) > _CALL_BYTES_MAX:
            return
        calls = outline(item, frames.conversation).calls
        if calls and self._others is not None:
            self._others.learn(calls)
        for name, producer in calls:
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
