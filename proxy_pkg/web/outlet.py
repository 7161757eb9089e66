"""Where log lines leave a process: standard error, that somebody else reads, or stopped reading.

A pipe that nobody reads is full after 64 KiB, and writing to it waits without end; one whose reader is gone, or a file
on a full disk, fails. Neither may hold up or break a request, so a worker has a thread that waits for it. Without one,
as in the master, which forks, what the pipe has no room for now is dropped. What was dropped is counted, and told as
soon as somebody reads again.
"""

import asyncio
import logging
import os
import select
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

WAITING_BYTES_MAX: Final = 1 << 20
"""Of lines that the thread has not written yet."""
AT_ONCE_BYTES: Final = select.PIPE_BUF
"""What a pipe takes whole, so that lines of several workers stay apart."""
CLOSE_SECONDS_MAX: Final = 0.5
_DROPPED: Final = "%d log lines were dropped, since nobody read them or the disk was full"


class Outlet:
    """A stream for handlers of `logging`, and a function for lines that are bytes already. Safe for threads."""

    def __init__(self, descriptor: int) -> None:
        self.formatter = logging.Formatter()
        """Of the one line that is this stream's own."""
        self._descriptor = descriptor
        self._ready = threading.Condition()
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._dropped_lines = 0
        self._thread: threading.Thread | None = None

    def write(self, lines: bytes | str) -> None:
        """Have whole lines written. Returns at once and raises nothing."""
        data = lines.encode("utf-8", "backslashreplace") if isinstance(lines, str) else lines
        with self._ready:
            if self._thread is None:
                self._put(data, wait_ms=0)
            elif self._waiting_bytes + len(data) > WAITING_BYTES_MAX:
                self._dropped_lines += data.count(b"\n")
            else:
                self._waiting.append(data)
                self._waiting_bytes += len(data)
                self._ready.notify()

    def flush(self) -> None:
        """Nothing is held back."""

    def begin(self) -> None:
        """Have a thread write from now on; where none can be had, all stays as it is. Not before a fork."""
        thread = threading.Thread(target=self._run, name="log", daemon=True)
        with self._ready, suppress(RuntimeError):
            thread.start()
            self._thread = thread

    async def end(self) -> None:
        """Let the thread write what waits, for at most CLOSE_SECONDS_MAX, and do without it from now on."""
        with self._ready:
            thread, self._thread = self._thread, None
            self._ready.notify()
        if thread is not None:
            await asyncio.to_thread(thread.join, CLOSE_SECONDS_MAX)

    def _run(self) -> None:
        while True:
            with self._ready:
                while not self._waiting and self._thread is threading.current_thread():
                    self._ready.wait()
                if not self._waiting:
                    return
                data, self._waiting = b"".join(self._waiting), []
            self._put(data, wait_ms=None)
            with self._ready:
                self._waiting_bytes -= len(data)

    def _put(self, data: bytes, wait_ms: int | None) -> None:
        """Write a piece after the other, each if there is room for it in so many milliseconds; None waits for ever."""
        for piece in _pieces(data):
            try:
                self._tell_dropped(wait_ms)
                self._write_whole(piece, wait_ms)
            except OSError:  # no room now, nobody reads any more, or the disk is full
                with self._ready:
                    self._dropped_lines += piece.count(b"\n")

    def _tell_dropped(self, wait_ms: int | None) -> None:
        with self._ready:
            dropped = self._dropped_lines
        if dropped:
            record = logging.LogRecord("proxy_pkg", logging.WARNING, __file__, 0, _DROPPED, (dropped,), None)
            self._write_whole(self.formatter.format(record).encode() + b"\n", wait_ms)
            with self._ready:
                self._dropped_lines -= dropped

    def _write_whole(self, piece: bytes, wait_ms: int | None) -> None:
        """Raises OSError."""
        poller = select.poll()
        poller.register(self._descriptor, select.POLLOUT)
        while piece:
            if not poller.poll(wait_ms):
                raise BlockingIOError
            with suppress(BlockingIOError):  # somebody made it non-blocking, and another was faster
                piece = piece[os.write(self._descriptor, piece) :]


STANDARD_ERROR: Final = Outlet(2)


def _pieces(data: bytes) -> Iterator[bytes]:
    """Whole lines, as many at once as a pipe takes whole; a longer line by itself."""
    start = 0
    while start < len(data):
        end = len(data)
        if end - start > AT_ONCE_BYTES:
            end = data.rfind(b"\n", start, start + AT_ONCE_BYTES) + 1 or data.find(b"\n", start) + 1 or end
        yield data[start:end]
        start = end
