"""Wait for the bodies of clients that may be slow: as long as one is waited for, its request takes nobody's room."""

from collections.abc import AsyncIterator, Callable
from io import BytesIO
from typing import Final

from proxy_pkg.errors import ClientGoneError, RefusedError
from proxy_pkg.stats.record import RequestRecord
from proxy_pkg.web.admission import Admission
from proxy_pkg.web.body import BodyReader

OPENING_BYTES: Final = 64 << 10
"""How much of a body that streams through has to be here, or all of it, before its upstream is asked, while many others
stream through. At other times its first byte is enough.
"""


async def whole_body(reader: BodyReader, admission: Admission, hold: Callable[[int], None]) -> bytes:
    """All of a body. Raises as `BodyReader.whole` does, and RefusedError (503) if there is no room any more."""
    admission.await_client()
    try:
        body = await reader.whole(hold, admission.coming)
    finally:
        admission.resume()
    admission.ask_for_room()
    return body


class Upload:
    """A body that streams through. `error` is why it broke off: whoever sends it on knows only that it did."""

    error: RefusedError | ClientGoneError | None = None
    _is_open = False

    def __init__(
        self, reader: BodyReader, admission: Admission, record: RequestRecord, on_end: Callable[[], object]
    ) -> None:
        self._coming = reader.parts()
        self._admission = admission
        self._record = record
        self._on_end = on_end

    async def begin(self) -> AsyncIterator[bytes]:
        """The parts, once the first of them are here: a crowd of clients that send next to nothing takes few of the
        connections to upstreams. Raises as `whole_body` does.
        """
        opening = BytesIO()
        while opening.tell() < self._wanted_bytes and (part := await self._next()):
            opening.write(part)
        self._admission.ask_for_room()
        self._is_open = True
        self._admission.uploads += 1
        return self._parts(opening.getvalue())

    @property
    def _wanted_bytes(self) -> int:
        return OPENING_BYTES if self._admission.has_many_uploads else 1

    async def _next(self) -> bytes:
        """The next part, empty at the end."""
        self._admission.await_client()
        try:
            return await anext(self._coming, b"")
        finally:
            self._admission.resume()

    async def _parts(self, part: bytes) -> AsyncIterator[bytes]:
        try:
            while part:
                self._record.request_bytes += len(part)
                yield part
                part = await self._next()
        except (RefusedError, ClientGoneError) as error:
            self.error = error
            raise
        self.close()
        self._on_end()

    def close(self) -> None:
        """Nothing of it is waited for any more. Call it whatever happened; a second call does no harm."""
        if self._is_open:
            self._is_open = False
            self._admission.uploads -= 1
