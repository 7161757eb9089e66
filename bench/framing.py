"""`python -m bench.framing`: generated streams of requests, read by our connections and by h11, which must agree.

Each stream comes from its seed alone. What our app was given and where the next request begins must be what h11 reads,
or ours must have refused and closed: stricter is allowed, laxer is not. What differs is made as short as it can be.
"""

import argparse
import asyncio
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.server import ServerState

from bench.framing_streams import Stream, stream
from proxy_pkg.server.connection import Connection

TURNS_MAX = 60
"""Of the loop, in which the app answers whatever came whole; it may wait for the rest for ever."""
HEAD_BYTES_MAX = 1 << 16
_DROPPED = frozenset((b"upgrade",))
_REQUEST_LINE = re.compile(rb"([A-Z-]+) +([^\s]+) +(?:HTTP|RTSP)(/1\.[01]\r\n)")


@dataclass
class Seen:
    """One request as somebody read it; `body` is None where nobody looked."""

    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes | None = b""
    complete: bool = False
    socket: bool = False

    @property
    def head(self) -> tuple[bytes, bytes, list[tuple[bytes, bytes]]]:
        return self.method, self.target, self.headers


@dataclass
class Reading:
    """What one reader made of a stream, and whether it went on to the end or refused the rest."""

    requests: list[Seen] = field(default_factory=list)
    refused: bool = False
    statuses: list[int] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    """Which request each answer is for, as the client learns it."""


def comparable(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    pairs = [(bytes(name).lower(), bytes(value).strip(b" \t")) for name, value in headers]
    return [
        (name, value.lower() if name == b"transfer-encoding" else value)
        for name, value in pairs
        if name not in _DROPPED
    ]


def comparable_target(target: bytes) -> bytes:
    """Without what no server passes on: the fragment, and the authority of the absolute form."""
    target = target.partition(b"#")[0]
    if not target.startswith(b"/") and b"://" in target:
        target = b"/" + target.split(b"://", 1)[1].partition(b"/")[2]
    return target.removesuffix(b"?")


def read_by_h11(data: bytes) -> Reading:
    """The reference: one h11 for each request, which begins where the one before says that its own ends."""
    reading = Reading()
    while (data := in_one_spelling(data)) and not reading.refused:
        server = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES_MAX)
        server.receive_data(data)
        try:
            ended = _read_one(server, reading)
        except h11.RemoteProtocolError:
            reading.refused = True
            return reading
        if not ended or reading.requests[-1].socket:
            return reading
        server.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
        server.send(h11.EndOfMessage())
        reading.refused = server.our_state is not h11.DONE or server.their_state is not h11.DONE
        data = server.trailing_data[0]
    return reading


def _read_one(server: h11.Connection, reading: Reading) -> bool:
    """Read one request; False if it is not complete. Raises h11.RemoteProtocolError."""
    event = server.next_event()
    if not isinstance(event, h11.Request):
        return False
    if event.method in (b"CONNECT", b"TRACE") or event.http_version not in (b"1.0", b"1.1"):
        raise h11.RemoteProtocolError("to be refused, whatever h11 says")
    seen = Seen(event.method, comparable_target(event.target), comparable(event.headers))
    seen.socket = opens_socket(event)
    reading.requests.append(seen)
    while isinstance(event := server.next_event(), h11.Data):
        assert seen.body is not None
        seen.body += bytes(event.data)
    seen.complete = isinstance(event, h11.EndOfMessage)
    return seen.complete


def in_one_spelling(data: bytes) -> bytes:
    """What comes next, without what RFC 9112 lets a server read past and h11 does not.

    That is more than one blank in a request line (section 3), and empty lines before it (section 2.2). Our
    parser takes RTSP/1.0 for HTTP/1.0 as well, whose heads and bodies end alike.
    """
    data = data.lstrip(b"\r\n")
    if line := _REQUEST_LINE.match(data):
        return b"%b %b HTTP%b" % line.groups() + data[line.end() :]
    return data


def opens_socket(request: h11.Request) -> bool:
    named: dict[bytes, list[bytes]] = {}
    for name, value in request.headers:
        named.setdefault(bytes(name), []).append(bytes(value).strip(b" \t").lower())
    options = [option.strip(b" \t") for value in named.get(b"connection", []) for option in value.split(b",")]
    empty = b"transfer-encoding" not in named and not any(int(length) for length in named.get(b"content-length", []))
    return (
        request.method == b"GET"
        and request.http_version == b"1.1"
        and b"upgrade" in options
        and named.get(b"upgrade") == [b"websocket"]
        and empty
    )


class Wire(asyncio.Transport):
    """A transport without a peer. It closes as asyncio's do, in the next turn of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.loop = loop
        self.written = bytearray()
        self.closing = False
        self.protocol: Any = None

    def write(self, data: Any) -> None:
        if not self.closing:
            self.written += data

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            self.loop.call_soon(lambda: self.protocol.connection_lost(None))

    def is_closing(self) -> bool:
        return self.closing

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def resume_reading(self) -> None: ...


class Socket:
    """Stands for the WebSocket's protocol: takes the handshake, and whatever follows is no request."""

    def __init__(self, app_state: Any, **_: Any) -> None:
        self.reading: Reading = app_state["reading"]

    def connection_made(self, _: Any) -> None: ...

    def connection_lost(self, _: Any) -> None: ...

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET ") and not any(seen.socket for seen in self.reading.requests):
            method, target, _ = data.split(b"\r\n", 1)[0].split(b" ")
            pairs = [line.partition(b": ") for line in data.split(b"\r\n")[1:-2]]
            headers = comparable((name, value) for name, _, value in pairs)
            self.reading.requests.append(Seen(method, comparable_target(target), headers, b"", True, True))


class Ours:
    """Our connections over a transport without a peer, before an app that writes down what it is given."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.config = Config(
            self._serve, http=Connection, interface="asgi3", lifespan="off", log_config=None, proxy_headers=False
        )
        self.config.h11_max_incomplete_event_size = HEAD_BYTES_MAX
        self.config.load()
        self.config.ws_protocol_class = Socket  # type: ignore[assignment]  # a protocol in all that is asked of it

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        state = scope["state"]
        reading: Reading = state["reading"]
        query = scope["query_string"]
        target = scope["raw_path"] + (b"?" + query if query else b"")
        seen = Seen(scope["method"].encode(), comparable_target(target), comparable(scope["headers"]))
        number = len(reading.requests)
        reading.requests.append(seen)
        if state["reads_body"]:
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                assert seen.body is not None
                seen.body += message["body"]
                more = message["more_body"]
            seen.complete = True
        else:
            seen.body = None
        headers = [(b"content-length", b"0"), (b"x-number", b"%d" % number)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def read(self, given: Stream) -> Reading:
        """What the app saw of a stream, and what the client got."""
        reading, state = Reading(), ServerState()
        connection = Connection(self.config, state, {"reading": reading, "reads_body": given.reads_body}, self.loop)
        wire = Wire(self.loop)
        wire.protocol = connection
        connection.connection_made(wire)
        for piece in given.pieces:
            if wire.closing:
                break
            wire.protocol.data_received(piece)
            if given.turns:
                await self._settle(state, 3)
        await self._settle(state, TURNS_MAX)
        reading.refused = wire.closing
        take_answers(bytes(wire.written), reading)
        wire.close()
        await self._settle(state, TURNS_MAX)
        assert not state.tasks, "a request that never ends"
        return reading

    async def _settle(self, state: ServerState, turns: int) -> None:
        for turn in range(turns):
            await asyncio.sleep(0)
            if turn > 1 and not state.tasks:
                return


def take_answers(written: bytes, reading: Reading) -> None:
    """The final answers, in order; ours have no body but refusals, which close."""
    for part in written.split(b"HTTP/1.1 ")[1:]:
        status = int(part[:3])
        if status >= 200:
            reading.statuses.append(status)
            if b"x-number: " in part:
                reading.answers.append(int(part.split(b"x-number: ")[1].split(b"\r\n")[0]))


def difference(given: Stream, ours: Reading, reference: Reading) -> str:
    """Where ours is laxer than the reference, or wrong by itself; empty if it is not."""
    if len(ours.requests) > len(reference.requests):
        return f"a request that the reference does not see: {ours.requests[len(reference.requests)]}"
    for number, (mine, theirs) in enumerate(zip(ours.requests, reference.requests, strict=False)):
        if mine.head != theirs.head or mine.socket != theirs.socket:
            return f"request {number} is {mine}, for the reference {theirs}"
        if mine.body is not None and theirs.body is not None:
            if mine.complete and not (theirs.complete and mine.body == theirs.body):
                return f"the body of request {number} is {mine.body!r}, for the reference {theirs.body!r}"
            if not theirs.body.startswith(mine.body):
                return f"the body of request {number} begins {mine.body!r}, for the reference {theirs.body!r}"
    if len(ours.requests) < len(reference.requests) and not ours.refused:
        return f"only {len(ours.requests)} of {len(reference.requests)} requests, and the connection stays open"
    if ours.answers != list(range(len(ours.answers))):
        return f"answers in the order {ours.answers}"
    if any(status != 200 for status in ours.statuses[:-1]) or ours.statuses.count(200) != len(ours.answers):
        return f"answers with the statuses {ours.statuses}"
    complete = [seen for seen in ours.requests if not seen.socket and seen.complete]
    if given.reads_body and len(complete) != len(ours.answers):
        return f"{len(complete)} requests with {len(ours.answers)} answers"
    if given.proper and ours.statuses and ours.statuses[-1] != 200 and b"websocket" not in given.data.lower():
        return f"a proper stream is refused with {ours.statuses[-1]}"
    if b"/smuggled" in given.data and given.proper and any(seen.target == b"/smuggled" for seen in ours.requests):
        return "a body was read as a request"
    return ""


async def judged(ours: Ours, given: Stream) -> tuple[str, str]:
    """What is wrong, and how it went: agreed or refused."""
    reference, mine = read_by_h11(given.data), await ours.read(given)
    wrong = difference(given, mine, reference)
    same = len(mine.requests) == len(reference.requests) and all(
        one.complete == other.complete or one.body is None
        for one, other in zip(mine.requests, reference.requests, strict=True)
    )
    return wrong, "agreed" if same and not (mine.statuses and mine.statuses[-1] != 200) else "refused"


def shorter(given: Stream) -> Iterator[Stream]:
    """The same stream with less in it, the largest cuts first."""
    if given.cuts:
        yield replace(given, cuts=())
    size = len(given.data) // 2
    while size:
        for start in range(0, len(given.data), size):
            data = given.data[:start] + given.data[start + size :]
            yield replace(given, data=data, cuts=tuple(cut for cut in given.cuts if cut < len(data)), proper=False)
        size //= 2


async def smallest(ours: Ours, given: Stream) -> Stream:
    """A stream with a difference from which nothing can be taken without losing it."""
    found = True
    while found:
        found = False
        for candidate in shorter(given):
            if (await judged(ours, candidate))[0]:
                given, found = candidate, True
                break
    return given


async def run(seeds: Iterable[int]) -> tuple[Counter[str], list[str]]:
    """How many streams agreed or were refused, by kind too; and what each difference is."""
    ours, counts, faults = Ours(), Counter[str](), []
    for seed in seeds:
        given = stream(seed)
        wrong, how = await judged(ours, given)
        counts[how] += 1
        counts.update(f"{kind}, {how}" for kind in given.kinds)
        if wrong:
            least = await smallest(ours, given)
            why = (await judged(ours, least))[0]
            faults.append(f"seed {seed}: {wrong[:300]}\n  least: {least.data!r} cut at {least.cuts} ({why[:300]})")
            if len(faults) >= 20:
                break
    return counts, faults


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.framing", description=__doc__)
    parser.add_argument("--streams", type=int, default=100_000)
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.streams)
    counts, faults = asyncio.run(run(seeds))
    agreed, refused = counts["agreed"], counts["refused"]
    print(f"{agreed + refused} streams: {agreed} agreed, {refused} refused and closed")
    for kind in sorted({name.rpartition(", ")[0] for name in counts} - {""}):
        print(f"  {kind:<20} {counts[f'{kind}, agreed']:>8} agreed {counts[f'{kind}, refused']:>8} refused")
    for fault in faults:
        print(fault)
    print(f"{len(faults)} differences")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
