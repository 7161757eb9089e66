"""What a fake upstream plays: a script is a list of steps, and builders that make the usual ones.

A step is a tuple, its name first:
    ("send", bytes)             write them, wait until the socket takes more
    ("drip", bytes, n, s)       write n bytes at a time, s seconds apart
    ("wait", s)                 pause
    ("hold", name)              pause until the test calls `upstream.release(name)`
    ("stall",)                  say nothing more until the peer leaves
    ("reset",)                  end the connection with RST
    ("close",)                  end it with FIN
    ("half_close",)             FIN for our direction, go on reading
    ("deaf",)                   read nothing more, so that the sender meets back-pressure
    ("talk", coroutine function)  hand it the connection, for another protocol
After its last step a connection goes on to the next request.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Step = tuple[Any, ...]
Headers = Sequence[tuple[str, str]]
Chunk = bytes | tuple[float, bytes]
When = Literal["connect", "head", "body"]

REASONS = {
    200: "OK",
    201: "Created",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    413: "Too Large",
}
REASONS |= {
    408: "Timeout",
    429: "Too Many Requests",
    500: "Server Error",
    503: "Unavailable",
    529: "Overloaded",
}
JSON = (("content-type", "application/json"),)
SSE = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"))
CONTINUE: Step = ("send", b"HTTP/1.1 100 Continue\r\n\r\n")


@dataclass(frozen=True)
class Script:
    """Steps, and when they begin: as a connection opens, after a request's head or after its whole body."""

    steps: tuple[Step, ...]
    when: When = "body"


def head(status: int, headers: Headers) -> bytes:
    """A response head with these headers in this order and spelling, and nothing else."""
    lines = [
        f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunk(data: bytes) -> bytes:
    """One chunk of the chunked coding. Empty data gives nothing: an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def last_chunk(trailers: Headers = ()) -> bytes:
    return ("0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in trailers) + "\r\n").encode("latin-1")


def reply(body: bytes = b"{}", status: int = 200, headers: Headers = JSON) -> Script:
    """A whole answer with its content-length. An own content-length in `headers`, right or wrong, is kept."""
    named = {name.lower() for name, _ in headers}
    length = () if "content-length" in named else (("content-length", str(len(body))),)
    return Script((("send", head(status, (*headers, *length)) + body),))


def stream(
    chunks: Sequence[Chunk],
    headers: Headers = SSE,
    status: int = 200,
    trailers: Headers = (),
) -> Script:
    """A chunked answer. A chunk may be (seconds to wait before it, bytes)."""
    steps: list[Step] = [("send", head(status, (*headers, ("transfer-encoding", "chunked"))))]
    for item in chunks:
        delay_seconds, data = item if isinstance(item, tuple) else (0.0, item)
        if delay_seconds:
            steps.append(("wait", delay_seconds))
        steps.append(("send", chunk(data)))
    return Script((*steps, ("send", last_chunk(trailers))))


def byte_by_byte(body: bytes, headers: Headers = SSE, delay_seconds: float = 0.0) -> Script:
    """A chunked answer in chunks of one byte, each written on its own."""
    return stream([(delay_seconds, body[i : i + 1]) for i in range(len(body))], headers)


def begin(chunks: Sequence[Chunk], then: Step, headers: Headers = SSE) -> Script:
    """A chunked answer without its end: after these chunks comes `then`, such as ("reset",) or ("stall",)."""
    return Script((*stream(chunks, headers).steps[:-1], then))


RESET_ON_CONNECT = Script((("reset",),), when="connect")
RESET_AFTER_HEAD = Script((("reset",),), when="head")
RESET_AFTER_BODY = Script((("reset",),))
CLOSE_AFTER_BODY = Script((("close",),))
STALL_AFTER_BODY = Script((("stall",),))
RESET_WHEN_IDLE = Script((*reply().steps, ("hold", "idle"), ("reset",)))
CUT_SHORT = Script((("send", head(200, (*JSON, ("content-length", "1000"))) + b'{"cut":'), ("close",)))
