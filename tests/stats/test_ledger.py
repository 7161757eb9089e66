"""The format: whatever was cut off or damaged, the next owner goes on with what was whole."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.stats import ledger as at
from proxy_pkg.stats.ledger import LEDGER_BYTES, Ledger, entries


def filled(keys: int) -> bytearray:
    buffer = bytearray(LEDGER_BYTES)
    ledger = Ledger(memoryview(buffer))
    for number in range(keys):
        entry = ledger.add(f"key {number}", 1 + number % 3)
        assert entry is not None
        ledger.cells[entry.first] = 1000 + number
    ledger.release()
    return buffer


def contents(buffer: bytearray) -> dict[str, int]:
    ledger = Ledger(memoryview(buffer))
    found = {key: ledger.cells[entry.first] for key, entry in ledger.entries.items()}
    ledger.release()
    return found


def test_a_successor_finds_every_key_and_value() -> None:
    assert contents(filled(20)) == {f"key {number}": 1000 + number for number in range(20)}


def test_a_known_key_keeps_its_cells_and_a_new_one_gets_its_own() -> None:
    ledger = Ledger(memoryview(filled(3)))
    assert ledger.add("key 1", 2) is ledger.entries["key 1"]
    assert ledger.add("key 1", 3) is None
    new = ledger.add("new", 2)
    assert new is not None
    taken = {cell for entry in ledger.entries.values() for cell in range(entry.first, entry.first + entry.cells)}
    assert len(taken) == sum(entry.cells for entry in ledger.entries.values())
    assert list(ledger.cells[new.first : new.first + 2]) == [0, 0]


def test_a_full_ledger_refuses_and_what_it_has_still_counts() -> None:
    buffer = bytearray(LEDGER_BYTES)
    ledger = Ledger(memoryview(buffer))
    added = 0
    while ledger.add(f"{added:0500d}", 1):
        added += 1
    assert 100 < added < at.KEYS_BYTES_MAX // 500
    by_cells = Ledger(memoryview(bytearray(LEDGER_BYTES)))
    count = 0
    while by_cells.add(str(count), at.SERIES_CELLS_MAX):
        count += 1
    assert count == at.NOWHERE // at.SERIES_CELLS_MAX
    assert len(list(entries(memoryview(buffer)))) == added


def test_a_writer_killed_between_any_two_instructions_leaves_all_or_nothing() -> None:
    buffer = filled(6)  # its last key stays behind as stale bytes, for which a half-made entry must not be taken
    memoryview(buffer).cast("q")[at.WORD_KEYS_USED] -= 16
    before = contents(bytearray(buffer))
    assert len(before) == 5
    ledger = Ledger(memoryview(buffer))
    images: set[bytes] = set()
    snapshot(lambda: ledger.add("the new one", 4), lambda: images.add(bytes(buffer)))
    assert len(images) >= 3  # before, entry written but not committed, committed
    found = [contents(bytearray(image)) for image in images]
    assert all(image in (before, before | {"the new one": 0}) for image in found)
    assert before in found
    assert before | {"the new one": 0} in found


def test_a_first_owner_killed_between_any_two_instructions_leaves_a_usable_file() -> None:
    garbage = filled(5)
    garbage[:8] = b"ledger00"  # an unknown format, with content that could be taken for ours
    images: set[bytes] = set()
    snapshot(lambda: Ledger(memoryview(garbage)).release(), lambda: images.add(bytes(garbage)))
    assert len(images) >= 3
    assert [contents(bytearray(image)) for image in images] == [{}] * len(images)


def snapshot(run: Callable[[], object], take: Callable[[], object]) -> None:
    """Run something and call `take` before each bytecode instruction of the ledger's code, and at the end."""

    def trace(frame: FrameType, _event: str, _arg: Any) -> Any:
        if not frame.f_code.co_filename.endswith("ledger.py") or frame.f_code.co_name not in TRACED:
            return None
        frame.f_trace_opcodes = True
        take()
        return trace

    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(previous)
    take()


TRACED = ("add", "__init__", "_clear", "_forget_after")


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, LEDGER_BYTES), keys=st.integers(1, 12))
def test_a_file_cut_anywhere_keeps_a_prefix_of_its_keys_with_their_values(cut: int, keys: int) -> None:
    whole = filled(keys)
    image = bytearray(whole[:cut].ljust(LEDGER_BYTES, b"\0"))
    found = contents(image)
    assert list(found) == [f"key {number}" for number in range(len(found))]
    assert all(value in (1000 + int(key[4:]), 0) for key, value in found.items())
    assert cut < LEDGER_BYTES or len(found) == keys


@settings(max_examples=100, deadline=None)
@given(
    position=st.one_of(st.integers(0, 127), st.integers(at.KEYS_AT, at.KEYS_AT + 200)),
    noise=st.binary(min_size=1, max_size=24),
)
def test_noise_over_header_or_keys_is_survived_and_the_ledger_works_on(position: int, noise: bytes) -> None:
    image = filled(8)
    image[position : position + len(noise)] = noise
    assert isinstance(list(entries(memoryview(image))), list)
    ledger = Ledger(memoryview(image))
    entry = ledger.add("after the damage", 2)
    assert entry is not None
    assert list(ledger.cells[entry.first : entry.first + 2]) == [0, 0]
    ledger.cells[entry.first] = 7
    ledger.release()
    assert contents(image)["after the damage"] == 7
