"""A state directory stays within its bound, however hard all of it is used."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from proxy_pkg.cli.checkups.state_directory import state_bytes_max
from proxy_pkg.stats.counters import open_counters
from proxy_pkg.stats.directory import prepare
from proxy_pkg.stats.ledger_paths import LIFETIME
from proxy_pkg.stats.record import RequestRecord
from proxy_pkg.store.contract import NOTE_BYTES_MAX, Budget, Lease, Rate, StoreError
from proxy_pkg.store.decision_table import ENTRIES, DecisionTable, key_of
from proxy_pkg.store.decision_table import FILE as MARKS_FILE
from proxy_pkg.store.embedded import Embedded
from proxy_pkg.store.fleet_decisions import ASKED_FILE
from proxy_pkg.store.journal import LANES, Journal
from proxy_pkg.store.layout import FILE as CLAIMS
from proxy_pkg.store.turns import Turn, Turns
from proxy_pkg.store.values import FILE as VALUES

STORE_BYTES_MAX = 1 << 20
WORKERS = 2
ROUNDS = 3


def files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def taken(folder: Path) -> int:
    """Bytes on disk, or the length of a file where that is more."""
    stats = [path.stat() for path in files(folder)]
    return sum(max(stat.st_size, stat.st_blocks * 512) for stat in stats)


async def use_the_store(folder: Path, number: int) -> None:
    store = Embedded(str(folder), STORE_BYTES_MAX)
    note = os.urandom(NOTE_BYTES_MAX)
    with suppress(StoreError):  # there is no room for more stays
        for each in range(5000):
            await store.acquire(
                [Rate(f"r{each}", 1, 0, 60), Budget(f"b{each}", 1, 0, 60), Lease(f"s{each}", "n", 0, note)]
            )
    for each in range(40):
        await store.append(f"ring{each % 4}", [note] * 64)
    with suppress(StoreError):  # the first to find the file damaged
        await store.get("v")
    for each in range(24):
        await store.put_many({f"v{number}/{each}/{part}": os.urandom(20_000) for part in range(8)}, 3600)
        await store.add(f"t{each % 3}", {f"f{each}": each}, 3600)
    await store.close()


def use_the_tables(folder: Path, number: int) -> None:
    for file in (MARKS_FILE, ASKED_FILE):
        marks = DecisionTable(str(folder), file)
        for each in range(ENTRIES // 64):
            marks.first(key_of(b"%d" % number, b"%d" % each), each % 2)
    turns = Turns(str(folder))
    for each in range(2000):
        turns.put(turns.key(b"%d %d" % (number, each)), Turn(each, 1, 2, 3))
    for slot in range(8):
        journal = Journal(str(folder), slot)
        journal.sit()
        for lane in range(LANES):
            journal.begin(lane, slot + 1)


def run_once(folder: Path) -> None:
    """Workers come and go, each with all labels that it can think of."""
    with ExitStack() as running:
        running.callback(prepare(str(folder)).close)
        for slot in range(3 * WORKERS):
            worker = open_counters(str(folder), slot + 1)
            running.callback(worker.close)
            for each in range(50):
                worker.finished(RequestRecord(protocol=f"p{each}", client=f"c{each}", refusal=f"r{each}"))


async def test_the_state_directory_stays_within_its_bound(tmp_path: Path) -> None:
    most = 0
    for number in range(ROUNDS):
        run_once(tmp_path)
        await use_the_store(tmp_path, number)
        use_the_tables(tmp_path, number)
        most = max(most, taken(tmp_path))
        for name in (CLAIMS, VALUES, LIFETIME):  # damaged, they are set aside
            path = tmp_path / name
            path.write_bytes(os.urandom(path.stat().st_size))
    assert len(list(files(tmp_path))) > 8
    assert most <= state_bytes_max(WORKERS, STORE_BYTES_MAX)
    assert most > state_bytes_max(WORKERS, STORE_BYTES_MAX) // 3, "it was not used hard"
