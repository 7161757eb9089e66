"""An answer whose head is checked and put together as a whole; uvicorn does it field by field, in three times the time.

What is checked, and what framing follows from it, is as uvicorn has it.
"""

from collections.abc import Awaitable, Generator
from functools import lru_cache
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HEADER_RE, STATUS_LINE, RequestResponseCycle

from proxy_pkg.relay.headers import BODILESS

_FRAMING: Final = frozenset((b"content-length", b"transfer-encoding", b"connection"))
_IN_VALUES: Final = bytes((9, *range(32, 127), *range(128, 256)))


class _Done:
    """What has been done already and may be awaited all the same."""

    def __await__(self) -> Generator[None, None, None]:
        return iter(())  # type: ignore[return-value]  # an iterator will do


_DONE: Final = _Done()


class SingleWriteCycle(RequestResponseCycle):
    """One request and its answer."""

    def send(self, message: Any) -> Awaitable[None]:  # type: ignore[override]  # awaited at once, as a coroutine is
        is_head = message["type"] == "http.response.start" and not self.response_started
        if not is_head or self.disconnected or self.flow.write_paused or self.access_log:
            return super().send(message)
        self._begin(message["status"], [*self.default_headers, *message.get("headers", ())])
        return _DONE

    def _begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Write the head. Raises RuntimeError if it could be taken for something else, and then nothing is written."""
        if b"".join([value for _, value in headers]).translate(None, _IN_VALUES):
            raise RuntimeError("Invalid HTTP header value.")
        headers = [(_checked(name), value) for name, value in headers]
        self.response_started, self.waiting_for_100_continue = True, False
        lines = [STATUS_LINE[status]]
        is_sent = False
        for name, value in headers:
            if name in _FRAMING:
                is_sent = self._frame(name, value) or is_sent
            lines += (name, b": ", value, b"\r\n")
        if not self.keep_alive and not is_sent:
            lines.append(b"connection: close\r\n")
        if self.chunked_encoding is None and self.scope["method"] != "HEAD" and status not in BODILESS:
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(b"\r\n")
        self.transport.write(b"".join(lines))

    def _frame(self, name: bytes, value: bytes) -> bool:
        """Note what a field says of the framing; True for the one that ends the connection."""
        if name == b"content-length":
            if self.chunked_encoding is None:
                self.expected_content_length, self.chunked_encoding = int(value.decode()), False
        elif name == b"transfer-encoding":
            if value.lower() == b"chunked":
                self.expected_content_length, self.chunked_encoding = 0, True
        elif b"close" in [token.lower().strip() for token in value.split(b",")]:
            self.keep_alive = False
            return True
        return False


@lru_cache(maxsize=512)  # the names of all answers are few
def _checked(name: bytes) -> bytes:
    """A field's name in lower case. Raises RuntimeError if it is none."""
    if HEADER_RE.search(name):
        raise RuntimeError("Invalid HTTP header name.")
    return name.lower()
