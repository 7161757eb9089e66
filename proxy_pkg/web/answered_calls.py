"""The tool calls that an answer makes, read from a copy of its bytes after these were relayed.

Only the events that bring a call are read, each by itself. What is kept between two looks is the line that has not
ended yet, and of a whole answer all of it, both up to a bound: the calls of what is longer stay unknown.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from proxy_pkg.errors import ScanError
from proxy_pkg.model import Producer
from proxy_pkg.planning.find import is_worth_reading, outline
from proxy_pkg.protocols.grammar import AnswerMap, Conversation
from proxy_pkg.web.calls import CallersCalls

LINE_BYTES_MAX: Final = 256 << 10
ANSWER_BYTES_MAX: Final = 1 << 20
"""Of an answer that is no stream of events."""

_Members = dict[str, msgspec.Raw]
_members = msgspec.json.Decoder(_Members).decode
_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError, ScanError)

Learn = Callable[[Sequence[tuple[str, Producer]]], None]


class CallWatch:
    """Reads the calls of one answer; `learn` is told of them as they come."""

    def __init__(self, conversation: Conversation, answer: AnswerMap, learn: Learn, *, is_stream: bool) -> None:
        self._conversation = conversation
        self._answer = answer
        self._learn = learn
        self._is_stream = is_stream
        self._sign = b'"%s"' % answer.event.encode()
        self._rest = b""
        self._skips = False
        """What is left of the line, or of the answer, is too much."""

    def feed(self, data: bytes) -> None:
        """Read what has come since the last time. Never raises."""
        if not self._is_stream:
            self._skips = self._skips or len(self._rest) + len(data) > ANSWER_BYTES_MAX
            self._rest = b"" if self._skips else self._rest + data
            return
        end = data.rfind(b"\n") + 1
        if end:
            if self._skips:
                start = data.find(b"\n") + 1
                self._skips = False
            else:
                start = 0
            self._read_lines(self._rest + data[start:end])
            self._rest = b""
        if not self._skips:
            self._rest += data[end:]
            if len(self._rest) > LINE_BYTES_MAX:
                self._rest, self._skips = b"", True

    def end(self) -> None:
        """Read what is left when the answer is over. Never raises."""
        rest, self._rest = self._rest, b""
        if self._skips or not rest:
            return
        if self._is_stream:
            self._read_lines(rest)
        elif is_worth_reading(rest, self._conversation):
            self._read_answer(rest)

    def _read_lines(self, data: bytes) -> None:
        at = data.find(self._sign)
        while at >= 0:
            start, end = data.rfind(b"\n", 0, at) + 1, data.find(b"\n", at)
            end = len(data) if end < 0 else end
            line = data[start:end]
            if line.startswith(b"data:") and is_worth_reading(line, self._conversation):
                self._read_event(line[5:])
            at = data.find(self._sign, end)

    def _read_event(self, event: bytes) -> None:
        try:
            members = _members(event)
            if _text(members["type"]) == self._answer.event:
                self._read_item(bytes(members[self._answer.item]))
        except (*_UNREADABLE, KeyError):
            return

    def _read_answer(self, answer: bytes) -> None:
        try:
            for item in _list(_members(answer)[self._answer.items]):
                self._read_item(bytes(item))
        except (*_UNREADABLE, KeyError):
            return

    def _read_item(self, item: bytes) -> None:
        if calls := outline(item, self._conversation).calls:
            self._learn(calls)


def watch_of(calls: CallersCalls | None, conversation: Conversation | None, *, is_stream: bool) -> CallWatch | None:
    """What reads the calls of an answer to one of a caller's requests; None if later requests cannot leave them out."""
    if calls is None or not calls.goes_on or conversation is None or conversation.answer is None:
        return None
    return CallWatch(conversation, conversation.answer, calls.learn, is_stream=is_stream)
