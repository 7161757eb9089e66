"""Memory that was freed goes back to the system: soon where nobody is served, later where somebody always is."""

from pathlib import Path

from proxy_pkg.server.allocator import BUSY_LOOKS, FREED_BYTES_MIN, AllocatorTrim, allocator_trim


class Heap:
    unused_bytes = 0
    trims = 0

    def unused(self) -> int:
        return self.unused_bytes

    def trim(self) -> None:
        self.trims += 1


def test_what_became_free_is_given_back_once() -> None:
    heap = Heap()
    freed = AllocatorTrim(heap.unused, heap.trim)
    assert not freed.look(is_idle=True), "nothing is free"
    heap.unused_bytes = FREED_BYTES_MIN
    assert freed.look(is_idle=True)
    assert not freed.look(is_idle=True), "what was given back still counts as unused"
    heap.unused_bytes = 0
    freed.look(is_idle=True)
    heap.unused_bytes = FREED_BYTES_MIN
    assert freed.look(is_idle=True), "it was used again"
    assert heap.trims == 2


def test_a_process_that_is_never_idle_waits_with_it() -> None:
    heap = Heap()
    freed = AllocatorTrim(heap.unused, heap.trim)
    heap.unused_bytes = FREED_BYTES_MIN
    looks = [freed.look(is_idle=False) for _ in range(BUSY_LOOKS)]
    assert looks == [False] * (BUSY_LOOKS - 1) + [True]


def test_without_such_an_allocator_nothing_is_done() -> None:
    assert not AllocatorTrim(None, int).look(is_idle=True)


def test_this_process_gives_back_what_it_freed() -> None:
    held = [bytes(60_000) for _ in range(2000)]
    kept = held[::50]
    freed = allocator_trim()
    freed.look(is_idle=True)
    before = _resident_pages()
    del held
    assert freed.look(is_idle=True)
    assert before - _resident_pages() > 10_000
    assert kept


def _resident_pages() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1])
