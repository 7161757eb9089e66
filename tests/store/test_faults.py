"""Damaged files, full disks, workers that stand still: the embedded engine goes on, or says so at once."""

import asyncio
import fcntl
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy_pkg.store import values
from proxy_pkg.store.contract import Budget, Lease, Rate, StoreError
from proxy_pkg.store.embedded import Embedded, prepare
from proxy_pkg.store.layout import FILE, REGION_BYTES
from proxy_pkg.store.values import Values

ROOT = Path(__file__).parents[2]


def cut(path: Path) -> None:
    os.truncate(path, 5000)


def overwrite(path: Path) -> None:
    path.write_bytes(os.urandom(20_000))


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut, overwrite, grow, empty])
async def test_a_damaged_file_of_claims_is_set_aside(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    assert prepare(str(tmp_path)) == ""
    damage(tmp_path / FILE)
    warning = prepare(str(tmp_path))
    assert ("damaged" in warning) == (damage is not empty)
    assert (tmp_path / FILE).with_suffix(".damaged").exists() == (damage is not empty)
    store = Embedded(str(tmp_path))
    assert not store.problem
    assert (await store.acquire([Rate("a", 1, 1, 60)])).granted
    assert not (await store.acquire([Rate("a", 1, 1, 60)])).granted
    await store.close()
    assert (tmp_path / FILE).stat().st_size == REGION_BYTES


async def test_budgets_survive_a_restart_and_stays_do_not(tmp_path: Path) -> None:
    first = Embedded(str(tmp_path))
    await first.acquire([Budget("b", 3, 5, 3600), Lease("s", "one", 1)])
    await first.close()
    second = Embedded(str(tmp_path))
    assert not (await second.acquire([Budget("b", 3, 5, 3600)])).granted
    assert (await second.acquire([Lease("s", "two", 1)])).granted
    await second.close()


def test_values_that_are_damaged_at_the_start_are_set_aside(tmp_path: Path) -> None:
    assert prepare(str(tmp_path)) == ""
    overwrite(tmp_path / values.FILE)
    assert "damaged" in prepare(str(tmp_path))
    assert prepare(str(tmp_path)) == ""


async def test_values_that_are_damaged_in_use_are_made_anew_for_all(tmp_path: Path) -> None:
    one, two = Embedded(str(tmp_path)), Embedded(str(tmp_path))
    for store in (one, two):
        for number in range(60):
            await store.put(f"k{number}", os.urandom(3000), 3600)
    path = tmp_path / values.FILE
    with path.open("r+b") as file:
        file.seek(0)
        file.write(b"\xff" * 100_000)
    losses = 0
    for store in (one, two) * 3:
        try:
            await store.put("after", b"v", 3600)
        except StoreError:
            losses += 1
    assert losses <= 4
    assert await one.get("after") == await two.get("after") == b"v"
    assert path.with_suffix(".damaged").exists()
    for store in (one, two):
        await store.close()


def test_values_stay_within_their_bound_and_old_ones_make_room(tmp_path: Path) -> None:
    bound = 1024 * 1024
    store = Values(tmp_path, bound, pytest.fail)
    store.add("t", {"n": 7}, 3600)
    for number in range(100):
        store.put(f"k{number}", os.urandom(20_000), 3600, False)
    assert (tmp_path / values.FILE).stat().st_size <= bound
    assert store.get("k99") is not None
    assert store.get("k0") is None
    assert store.totals("t") == {"n": 7}
    store.close()


def test_a_value_beyond_the_bound_is_refused(tmp_path: Path) -> None:
    store = Values(tmp_path, 1024 * 1024, pytest.fail)
    with pytest.raises(StoreError) as caught:
        store.put("k", bytes(1024 * 1024), 60, False)
    assert caught.value.reason == "size"
    store.close()


def test_nothing_ends_before_its_time_wherever_in_a_second_it_began(tmp_path: Path) -> None:
    now = [1000.999]
    store = Values(tmp_path, 1 << 20, pytest.fail, clock=lambda: now[0])
    store.put("put", b"v", 1, False)
    store.put("renewed", b"v", 1, False)
    store.add("totals", {"n": 1}, 1)
    assert store.get_many(["renewed"], 1)
    now[0] += 0.99
    assert store.get_many(["put", "renewed"], 0) == {"put": b"v", "renewed": b"v"}
    assert store.totals("totals") == {"n": 1}
    now[0] += 1.01
    assert (store.get_many(["put", "renewed"], 0), store.totals("totals")) == ({}, {})
    store.close()


def test_values_and_totals_end_with_their_time(tmp_path: Path) -> None:
    now = [1000.0]
    store = Values(tmp_path, 1 << 20, pytest.fail, clock=lambda: now[0])
    store.put("k", b"v", 10, False)
    store.add("t", {"n": 1}, 10)
    now[0] += 9
    assert (store.get("k"), store.totals("t")) == (b"v", {"n": 1})
    now[0] += 2
    assert (store.get("k"), store.totals("t")) == (None, {})
    store.add("t", {"n": 5}, 10)
    assert store.totals("t") == {"n": 5}
    assert store.put("k", b"new", 10, True) == b"new"
    store.close()


def test_somebodys_long_reading_makes_writes_fail_and_no_file_grow(tmp_path: Path) -> None:
    store = Values(tmp_path, 1 << 22, pytest.fail)
    store.put("k", b"v", 3600, False)
    before = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    reader = sqlite3.connect(tmp_path / values.FILE, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM value").fetchone()
    for number in range(3):
        with pytest.raises(StoreError) as caught:
            store.put(f"k{number}", os.urandom(90_000), 3600, False)
        assert caught.value.reason == "busy"
    assert store.get("k") == b"v"
    after = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sum(after.values()) <= sum(before.values()) + 10_000
    reader.execute("COMMIT")
    reader.close()
    store.put("after", b"v", 3600, False)
    assert store.get("after") == b"v"
    store.close()


async def test_a_worker_that_stands_still_with_the_lock_is_not_waited_for_again(tmp_path: Path) -> None:
    store = Embedded(str(tmp_path))
    await store.acquire([Rate("a", 1, 5, 3600)])
    stuck = os.open(tmp_path / FILE, os.O_RDWR)
    fcntl.flock(stuck, fcntl.LOCK_EX)
    messages = []
    for _ in range(6):
        with pytest.raises(StoreError) as caught:
            await store.acquire([Rate("a", 1, 5, 3600)])
        assert caught.value.reason == "busy"
        messages.append("stands still" in str(caught.value))
    assert messages == [False] * 3 + [True] * 3
    os.close(stuck)
    until = time.monotonic() + 30
    while True:
        try:
            acquired = await store.acquire([Rate("a", 0, 5, 3600)])
            break
        except StoreError:
            assert time.monotonic() < until
            await asyncio.sleep(0.05)
    assert acquired.states[0].used == 1
    await store.close()


async def test_a_worker_that_begins_while_the_lock_is_kept_shares_all_the_same(tmp_path: Path) -> None:
    first = Embedded(str(tmp_path))
    assert (await first.acquire([Rate("a", 1, 1, 3600), Lease("s", "one", 1)])).granted
    stuck = os.open(tmp_path / FILE, os.O_RDWR)
    fcntl.flock(stuck, fcntl.LOCK_EX)
    second = Embedded(str(tmp_path))
    assert (second.scope, second.problem) == ("machine", "")
    os.close(stuck)
    assert not (await second.acquire([Rate("a", 1, 1, 3600)])).granted
    assert [here.name for here in await second.leases("s")] == ["one"]
    for store in (first, second):
        await store.close()


@pytest.mark.parametrize("place", ["missing", "a file"])
async def test_where_the_directory_cannot_be_used_the_worker_is_by_itself(tmp_path: Path, place: str) -> None:
    directory = tmp_path / "state"
    if place == "a file":
        directory.write_bytes(b"")
    store = Embedded(str(directory))
    assert "this worker alone" in store.problem
    acquired = await store.acquire([Rate("a", 1, 1, 60)])
    assert (acquired.granted, acquired.scope) == (True, "worker")
    assert not (await store.acquire([Rate("a", 1, 1, 60)])).granted
    with pytest.raises(StoreError):
        await store.get("k")
    await store.close()


FULL_DISK = """
import asyncio, os, resource, sys
from proxy_pkg.store.contract import Rate
from proxy_pkg.store.embedded import Embedded
from proxy_pkg.store.fallback import Fallback

async def main():
    limit = int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    losses = []
    local = Embedded(sys.argv[1])
    store = Fallback(local, None, 1, lambda *loss: losses.append(loss))
    assert bool(local.problem) == (limit < 2**20), local.problem
    for number in range(20):
        assert (await store.acquire([Rate("a", 1, 20, 3600)])).granted
        await store.put(f"k{number}", os.urandom(2**20), 3600)
        await store.add("t", {"n": 1}, 3600)
        await store.append("r", [b"note"])
    assert not (await store.acquire([Rate("a", 1, 20, 3600)])).granted
    assert len(await store.recent("r", 50)) == 20
    assert {operation for operation, _ in losses} <= {"put", "add", "get", "totals"}
    assert len(losses) >= 4, losses
    await store.close()
    print("went on")

asyncio.run(main())
"""


@pytest.mark.parametrize("limit", [1 << 16, (1 << 24) + (1 << 16)])
def test_on_a_full_disk_requests_go_on(tmp_path: Path, limit: int) -> None:
    """A limit on the size of files stands for the disk: the first is too small for claims, the second for values."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path), str(limit)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout == "went on\n", done.stderr
