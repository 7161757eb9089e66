"""Log lines never hold up who writes them, whatever became of who reads them."""

import asyncio
import fcntl
import os
import select
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from proxy_pkg.telemetry.stderr_handler import PIPE_PIECE_BYTES, WAITING_BYTES_MAX, StderrHandler

PIPE_BYTES = 8192
LINE = b"x" * 99 + b"\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    yield reader, writer
    for end in (reader, writer):
        os.close(end)


def read_until(reader: int, wanted: Callable[[bytes], bool]) -> bytes:
    os.set_blocking(reader, False)
    read, end = b"", time.monotonic() + 10
    while not wanted(read):
        assert time.monotonic() < end, read[-200:]
        try:
            read += os.read(reader, 1 << 16)
        except BlockingIOError:
            time.sleep(0.001)
    return read


async def test_lines_wait_for_a_reader_that_is_slow(pipe: tuple[int, int]) -> None:
    stderr_handler = StderrHandler(pipe[1])
    stderr_handler.begin()
    for _ in range(1000):  # many times what the pipe holds
        stderr_handler.write(LINE)
    assert read_until(pipe[0], lambda read: len(read) >= 100_000) == LINE * 1000
    await stderr_handler.end()


async def test_a_reader_that_reads_nothing_costs_lines_which_are_counted(pipe: tuple[int, int]) -> None:
    stderr_handler = StderrHandler(pipe[1])
    stderr_handler.begin()
    lines = 2 * WAITING_BYTES_MAX // len(LINE)
    for _ in range(lines):
        stderr_handler.write(LINE)
    ended = asyncio.create_task(stderr_handler.end())
    read = await asyncio.to_thread(read_until, pipe[0], lambda _: ended.done())
    await ended
    read += os.read(pipe[0], PIPE_BYTES) if select.select(pipe[:1], (), (), 0)[0] else b""  # room for one line more
    stderr_handler.write("the \ud83d last\n")
    read += read_until(pipe[0], lambda read: b"last\n" in read)
    dropped = sum(int(line.split()[0]) for line in read.splitlines() if b"dropped" in line)
    assert read.count(LINE) + dropped == lines
    assert dropped > lines // 3


def test_without_a_thread_what_finds_no_room_is_dropped(pipe: tuple[int, int]) -> None:
    stderr_handler = StderrHandler(pipe[1])
    for _ in range(100):
        stderr_handler.write(LINE)
    kept = os.read(pipe[0], 1 << 16)
    stderr_handler.write("after\n")
    dropped, after = os.read(pipe[0], 1 << 16).splitlines()
    assert int(dropped.split()[0]) == 100 - kept.count(LINE)
    assert after == b"after"


@pytest.mark.parametrize("threaded", [True, False])
async def test_a_reader_that_is_gone_and_a_full_disk_are_no_faults(threaded: bool) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    full = os.open("/dev/full", os.O_WRONLY)
    for descriptor in (writer, full):
        stderr_handler = StderrHandler(descriptor)
        if threaded:
            stderr_handler.begin()
        for _ in range(100):
            stderr_handler.write(LINE)
        await stderr_handler.end()
        os.close(descriptor)


def test_a_line_is_written_by_who_has_it_where_there_is_room(pipe: tuple[int, int]) -> None:
    """No other thread has to wake up for it, nor does one that waits come in between."""
    stderr_handler = StderrHandler(pipe[1])
    stderr_handler.begin()
    with stderr_handler._ready:  # the thread sleeps on
        stderr_handler.write(LINE)
        assert os.read(pipe[0], PIPE_BYTES) == LINE


async def test_a_line_longer_than_a_pipe_is_written_in_parts_and_holds_up_nobody(pipe: tuple[int, int]) -> None:
    stderr_handler, long = StderrHandler(pipe[1]), b"y" * (5 * PIPE_BYTES) + b"\n"
    stderr_handler.begin()
    stderr_handler.write(long)
    stderr_handler.write(LINE)
    assert read_until(pipe[0], lambda read: len(read) >= len(long + LINE)) == long + LINE
    await stderr_handler.end()


async def test_the_end_waits_for_lines_and_not_for_a_reader(pipe: tuple[int, int]) -> None:
    stderr_handler = StderrHandler(pipe[1])
    stderr_handler.begin()
    stderr_handler.write(LINE)
    await stderr_handler.end()
    assert os.read(pipe[0], 1 << 16) == LINE
    stderr_handler.begin()
    for _ in range(100):
        stderr_handler.write(LINE)
    await stderr_handler.end()  # nobody reads
    stderr_handler.write("late\n")
    read_until(pipe[0], lambda read: len(read) >= 100 * len(LINE))


def test_lines_of_two_writers_stay_whole(pipe: tuple[int, int]) -> None:
    lines = [letter * length + b"\n" for letter in (b"a", b"b") for length in (10, 700, 3000, PIPE_PIECE_BYTES - 1)]
    outlets = [StderrHandler(pipe[1]) for _ in range(2)]
    for stderr_handler in outlets:
        stderr_handler.begin()

    def write(stderr_handler: StderrHandler, own: list[bytes]) -> None:
        for _ in range(50):
            stderr_handler.write(b"".join(own))

    writers = [threading.Thread(target=write, args=pair) for pair in zip(outlets, (lines[:4], lines[4:]), strict=True)]
    for writer in writers:
        writer.start()
    read = read_until(pipe[0], lambda read: len(read) >= 50 * sum(map(len, lines)))
    assert {line + b"\n" for line in read.splitlines()} == set(lines)
