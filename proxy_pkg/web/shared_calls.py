"""Tool calls that answers and requests made, kept for requests that have the results alone.

`previous_response_id`, `conversation` and `item_reference` stand for what the provider has, and a new socket goes on
from where another one broke. So the call that a result names may have passed another worker, or another server. The
store is what they share: one value for each call of each caller. The first value holds: the call, or that it was not
known when its result was sent, so that the result is sent the same again.

Some servers name calls `call_0` in every conversation. Only names drawn at random are kept; others stay unknown.

Answers are read from a copy of their bytes after these were relayed: the events that bring a call, each by itself, or
a whole answer. Both have a bound in bytes. The calls of what is longer stay unknown.
"""

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import islice
from types import MappingProxyType
from typing import Any, Final

import msgspec

from proxy_pkg.billing.shared_turns import Digest
from proxy_pkg.errors import ScanError
from proxy_pkg.model import Producer
from proxy_pkg.planning.callers import call_bytes
from proxy_pkg.planning.find import is_worth_reading, outline
from proxy_pkg.protocols.grammar import AnswerMap, Conversation
from proxy_pkg.store.contract import MANY_MAX
from proxy_pkg.store.fallback import Fallback

KEPT_SECONDS: Final = 2 * 86_400
"""How long the store knows a call that nobody asks for."""
HELD_SECONDS: Final = 86_400
"""How long a worker knows it by itself; then it asks the store again, which renews it there."""
HELD_BYTES_MAX: Final = 4 << 20
VALUE_BYTES_MAX: Final = 32 << 10
"""A call with more arguments is not kept."""
WAITING_MAX: Final = 4096
"""Calls that wait for the store; further ones are known to this worker alone."""
BATCH_MAX: Final = 64
NAME_CHARS_MAX: Final = 256
LINE_BYTES_MAX: Final = 256 << 10
ANSWER_BYTES_MAX: Final = 1 << 20
"""Of an answer that is no stream of events."""

_FRAME_BYTES: Final = 400
_UNKNOWN: Final = b"?"
_random_run = re.compile(r"[A-Za-z0-9]{12,}").findall
_LONG_RUN: Final = 16
_TOOL_CHARS_MIN: Final = 4  # a shorter name of a tool is in others by chance
_Value = tuple[str, dict[str, Any], bool]
_value = msgspec.msgpack.Decoder(_Value).decode
_Members = dict[str, msgspec.Raw]
_members = msgspec.json.Decoder(_Members).decode
_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError, ScanError)

Learn = Callable[[Sequence[tuple[str, Producer]]], None]


class _Held(msgspec.Struct):
    """A call as this worker knows it, None for one that is unknown for good."""

    producer: Producer | None
    at_s: float
    size_bytes: int
    agreed: bool = False
    """The store has it so, or could not be asked."""


class SharedCalls:
    """The calls that one worker knows, bounded in bytes, and its part in sharing them. Never raises."""

    def __init__(self, store: Fallback, digest: Digest, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._digest = digest
        self._clock = clock
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._bytes = 0
        self._waiting: dict[str, bytes] = {}
        self._sharing: asyncio.Task[None] | None = None

    @property
    def size_bytes(self) -> int:
        """What the calls take in memory."""
        return self._bytes

    @property
    def waiting(self) -> int:
        """Calls that the store does not have yet."""
        return len(self._waiting)

    def of(self, name_owner: Callable[[], str]) -> "CallersCalls":
        """The calls of one caller, who is named when that is needed."""
        return CallersCalls(self, name_owner)

    def learn(self, owner: bytes, calls: Sequence[tuple[str, Producer]]) -> None:
        """Keep these calls of a caller, unless they are known, or known to be unknown."""
        for name, producer in calls:
            if not is_drawn(name, producer.name):
                continue
            key = self._key(owner, name)
            if self._get(key) is not None or (value := _packed(producer)) is None:
                continue
            self._put(key, producer, agreed=False)
            if len(self._waiting) < WAITING_MAX:
                self._waiting[key] = value
        if self._waiting and (self._sharing is None or self._sharing.done()):
            self._sharing = asyncio.get_running_loop().create_task(self._share())

    async def find(self, owner: bytes, names: Sequence[str]) -> dict[str, Producer]:
        """The calls of a caller that are known. Those that are not are so from now on, for all workers."""
        keys = {name: self._key(owner, name) for name in names if is_drawn(name)}
        known: dict[str, Producer | None] = {}
        for key in keys.values():
            if (held := self._get(key)) is not None and held.agreed:
                known[key] = held.producer
        to_ask = [key for key in keys.values() if key not in known]
        for start in range(0, len(to_ask), MANY_MAX):
            known |= await self._agree(to_ask[start : start + MANY_MAX])
        return {name: producer for name, key in keys.items() if (producer := known.get(key)) is not None}

    async def close(self) -> None:
        """Share the calls that still wait, if the store takes them at once."""
        if self._sharing is not None:
            await asyncio.gather(self._sharing, return_exceptions=True)

    async def _agree(self, keys: list[str]) -> dict[str, Producer | None]:
        """Take over what the store has; where it has nothing, what this worker knows holds from now on."""
        values = await self._store.get_many(keys, KEPT_SECONDS)
        absent: dict[str, bytes] = {}
        for key in keys:
            if key not in values:
                held = self._get(key)
                known = _packed(held.producer) if held is not None and held.producer is not None else None
                absent[key] = known or _UNKNOWN
        if absent:
            values |= await self._store.put_many(absent, KEPT_SECONDS, keep=True)
        return self._take_over(values)

    async def _share(self) -> None:
        while self._waiting:
            batch = dict(islice(self._waiting.items(), BATCH_MAX))
            self._take_over(await self._store.put_many(batch, KEPT_SECONDS, keep=True))
            for key in batch:
                self._waiting.pop(key, None)

    def _take_over(self, values: Mapping[str, bytes]) -> dict[str, Producer | None]:
        found = {key: _unpacked(value) for key, value in values.items()}
        for key, producer in found.items():
            self._put(key, producer, agreed=True)
        return found

    def _key(self, owner: bytes, name: str) -> str:
        return f"call/{self._digest(owner, name.encode('utf-8', 'surrogatepass'))}"

    def _get(self, key: str) -> _Held | None:
        held = self._held.get(key)
        if held is None:
            return None
        if self._clock() - held.at_s > HELD_SECONDS:
            self._forget(key)
            return None
        self._held.move_to_end(key)
        return held

    def _put(self, key: str, producer: Producer | None, *, agreed: bool) -> None:
        self._forget(key)
        size_bytes = _FRAME_BYTES + len(key) + (0 if producer is None else call_bytes((key, producer)))
        self._held[key] = _Held(producer, self._clock(), size_bytes, agreed)
        self._bytes += size_bytes
        while self._bytes > HELD_BYTES_MAX:
            self._forget(next(iter(self._held)))

    def _forget(self, key: str) -> None:
        held = self._held.pop(key, None)
        if held is not None:
            self._bytes -= held.size_bytes


class CallersCalls:
    """The calls of one caller, for one request or socket."""

    def __init__(self, shared: SharedCalls, name_owner: Callable[[], str]) -> None:
        self._shared = shared
        self._name_owner = name_owner
        self.goes_on = False
        """Whether later requests can leave out what this one, or its answer, has."""

    @cached_property
    def owner(self) -> bytes:
        """Tells the caller from others, and gives no credential away."""
        return self._name_owner().encode("utf-8", "surrogatepass")

    def asked(self, body: bytes, answer: AnswerMap) -> None:
        """Look whether the provider keeps what `body` asks and is answered."""
        self.goes_on = not any(sign in body for sign in answer.unless)

    async def find(self, names: Sequence[str]) -> Mapping[str, Producer]:
        """As `SharedCalls.find`."""
        return await self._shared.find(self.owner, names)

    def learn(self, calls: Sequence[tuple[str, Producer]]) -> None:
        """Keep these calls, if later requests can leave them out."""
        if self.goes_on:
            self._shared.learn(self.owner, calls)


def is_drawn(name: str, tool: str = "") -> bool:
    """Whether the name of a call was drawn at random, so that no other call has it."""
    if len(name) > NAME_CHARS_MAX or (len(tool) >= _TOOL_CHARS_MIN and tool in name):
        return False
    for run in _random_run(name):
        digits = sum(map(str.isdigit, run))
        if digits > 1 or (digits and len(run) >= _LONG_RUN):
            return True
    return False


def _packed(producer: Producer) -> bytes | None:
    """A call for the store, None for one that it cannot hold."""
    try:
        value = msgspec.msgpack.encode((producer.name, dict(producer.arguments), producer.for_program))
    except (msgspec.MsgspecError, UnicodeError, OverflowError, RecursionError, TypeError):
        return None
    return value if len(value) <= VALUE_BYTES_MAX else None


def _unpacked(value: bytes) -> Producer | None:
    """The call that the store holds; None if it says that the call is unknown, or something else."""
    if value == _UNKNOWN:
        return None
    try:
        name, arguments, for_program = _value(value)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return Producer(name, MappingProxyType(arguments), for_program=for_program)


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
