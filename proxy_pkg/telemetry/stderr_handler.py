"""Where log lines leave a process: standard error, that somebody else reads, or stopped reading.

A pipe that nobody reads is full after 64 KiB, and writing to it waits without end; one whose reader is gone, or a file
on a full disk, fails. Neither may hold up or break a request: what there is no room for is left to a thread that waits.
Without one, as in the master, which forks, it is dropped. What was dropped is counted, and told as soon as somebody
reads again.
"""

import logging
import os
import select
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from proxy_pkg.telemetry.run_in_thread import run_in_thread

WAITING_BYTES_MAX: Final = 1 << 20
"""Of lines that the thread has not written yet."""
PIPE_PIECE_BYTES: Final = select.PIPE_BUF
"""What a pipe that has room takes whole and at once, so that lines of several workers stay apart."""
CLOSE_SECONDS_MAX: Final = 0.5
_DROPPED: Final = "%d log lines were dropped, since nobody read them or the disk was full"


class StderrHandler:
    """A stream for handlers of `logging`, and a function for lines that are bytes already. Safe for threads."""

    def __init__(self, descriptor: int) -> None:
        self.formatter = logging.Formatter()
        """Of the one line that is this stream's own."""
        self._descriptor = descriptor
        self._at_once_bytes = _at_once_bytes(descriptor)
        self._ready = threading.Condition()  # who has its lock may take it again
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._dropped_lines = 0
        self._thread: threading.Thread | None = None

    def write(self, lines: bytes | str) -> None:
        """Have whole lines written: now, as far as there is room, or soon. Returns at once and raises nothing."""
        data = lines.encode("utf-8", "backslashreplace") if isinstance(lines, str) else lines
        with self._ready:
            if not self._waiting_bytes:
                data = self._put(data, wait_ms=0)
            if not data:
                return
            if self._thread is None or self._waiting_bytes + len(data) > WAITING_BYTES_MAX:
                self._dropped_lines += data.count(b"\n")
            else:
                self._waiting.append(data)
                self._waiting_bytes += len(data)
                self._ready.notify()

    def flush(self) -> None:
        """Nothing is held back."""

    def begin(self) -> None:
        """Have a thread write what there is no room for, if one can be had. Not before a fork."""
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
            await run_in_thread(thread.join, CLOSE_SECONDS_MAX)

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

    def _put(self, data: bytes, wait_ms: int | None) -> bytes:
        """Write a piece after the other, each when there is room for it, for which it waits so many milliseconds, with
        None for ever. Returns what there was no room for.
        """
        at = 0
        for end in _piece_ends(data, self._at_once_bytes):
            try:
                at += self._write(data[at:end], wait_ms) if self._report_dropped(wait_ms) else 0
                if at < end:
                    return data[at:]
            except OSError:  # nobody reads any more, or the disk is full
                with self._ready:
                    self._dropped_lines += data.count(b"\n", at, end)
                at = end
        return b""

    def _report_dropped(self, wait_ms: int | None) -> bool:
        """Tell what was dropped, if anything; False without room for that. Raises OSError."""
        with self._ready:
            dropped = self._dropped_lines
        if not dropped:
            return True
        record = logging.LogRecord("proxy_pkg", logging.WARNING, __file__, 0, _DROPPED, (dropped,), None)
        if not self._write(self.formatter.format(record).encode() + b"\n", wait_ms):
            return False
        with self._ready:
            self._dropped_lines -= dropped
        return True

    def _write(self, piece: bytes, wait_ms: int | None) -> int:
        """Returns how much there was room for, at no moment waiting in the write itself. Raises OSError."""
        poller = select.poll()
        poller.register(self._descriptor, select.POLLOUT)
        written = 0
        while written < len(piece) and poller.poll(wait_ms):
            try:
                written += os.write(self._descriptor, piece[written : written + self._at_once_bytes])
            except BlockingIOError:  # somebody made it non-blocking, and another was faster
                if wait_ms == 0:
                    break
        return written


def _at_once_bytes(descriptor: int) -> int:
    """How long a piece may be. A file takes any whole, and other processes' pieces stay apart from it."""
    try:
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
    except OSError:
        return PIPE_PIECE_BYTES
    return WAITING_BYTES_MAX if is_file else PIPE_PIECE_BYTES


def _piece_ends(data: bytes, at_once_bytes: int) -> Iterator[int]:
    """Where pieces end that hold whole lines, as many as fit; a longer line is a piece by itself."""
    start = 0
    while start < len(data):
        end = len(data)
        if end - start > at_once_bytes:
            end = data.rfind(b"\n", start, start + at_once_bytes) + 1 or data.find(b"\n", start) + 1 or end
        yield end
        start = end


STANDARD_ERROR: Final = StderrHandler(2)
