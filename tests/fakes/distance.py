"""A server that is far away: what goes through here arrives later."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Distance:
    """Between a client and the server on `port`. `delay_new_seconds` is what a new connection waits for
    besides; `connections` counts them.
    """

    def __init__(self, port: int, one_way_seconds: float) -> None:
        self.one_way_seconds = one_way_seconds
        self.delay_new_seconds = 0.0
        self.connections = 0
        self._port = port

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        ends = [writer]
        try:
            await asyncio.sleep(
                2 * self.one_way_seconds + self.delay_new_seconds
            )  # what the handshake of TCP would take
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
            ends.append(far_writer)
            await asyncio.gather(self._later(reader, far_writer), self._later(far_reader, writer))
        except OSError:
            return
        finally:
            for end in ends:
                end.transport.abort()

    async def _later(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while data := await reader.read(1 << 16):
            loop.call_later(self.one_way_seconds, writer.write, data)
        await asyncio.sleep(self.one_way_seconds)
        writer.close()


@contextlib.asynccontextmanager
async def far_away(port: int, one_way_seconds: float) -> AsyncIterator[tuple[Distance, int]]:
    """A `Distance` and the port to connect to, on the running loop."""
    between = Distance(port, one_way_seconds)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(between.talk(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield between, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.05)
