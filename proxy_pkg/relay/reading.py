"""How much of an answer is read at once.

uvloop hands over up to 250 KiB of it in one piece, and twice that where TLS is undone. Behind a client that does not
read, such pieces stay: in the upstream's connection, in the pump, and in what waits to be written.
"""

import asyncio
from typing import Any


class ReadBuffer:
    """Where the bytes of all connections of a worker arrive, one after the other."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.view = memoryview(bytearray(size_bytes))


class _Parts(asyncio.BufferedProtocol):
    """Stands between a transport and its protocol, which is no BufferedProtocol itself: uvloop takes no class for one
    that is a Protocol too.
    """

    def __init__(self, protocol: Any, buffer: ReadBuffer) -> None:
        self._view = buffer.view
        self._data_received = protocol.data_received
        # Nothing stands between them for the rest.
        self.eof_received = protocol.eof_received  # type: ignore[method-assign]
        self.pause_writing = protocol.pause_writing  # type: ignore[method-assign]
        self.resume_writing = protocol.resume_writing  # type: ignore[method-assign]
        self.connection_lost = protocol.connection_lost  # type: ignore[method-assign]

    def get_buffer(self, _: int) -> memoryview:
        return self._view

    def buffer_updated(self, size_bytes: int) -> None:
        self._data_received(self._view[:size_bytes].tobytes())


def read_in_parts(transport: Any, protocol: Any, buffer: ReadBuffer) -> None:
    """Have `transport` give its bytes to `protocol` in parts that fit into `buffer`.

    To be called in `connection_made`. What one connection has there is copied before another one reads.
    """
    transport.set_protocol(_Parts(protocol, buffer))
    if hasattr(transport, "set_read_buffer_limits"):  # of what is not decrypted yet
        transport.set_read_buffer_limits(buffer.size_bytes)
