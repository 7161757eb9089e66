"""Several workers on one file: the counts are exact, and a killed worker leaves nothing behind."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from proxy_pkg.store.claims import RECONCILE_PAUSE_SECONDS
from proxy_pkg.store.contract import Budget, Lease, Rate
from proxy_pkg.store.embedded import Embedded, prepare

ROOT = Path(__file__).parents[2]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def starter(work: str, argument: str = "") -> "subprocess.Popen[str]":
        command = [sys.executable, str(ROOT / "tests/store/worker.py"), str(tmp_path), work, argument]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        worker = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
        )
        started.append(worker)
        assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
        return worker

    yield starter
    for worker in started:
        worker.kill()
        worker.wait()
        assert worker.stdout is not None and worker.stdin is not None
        worker.stdout.close()
        with suppress(BrokenPipeError):
            worker.stdin.close()


def go(worker: "subprocess.Popen[str]") -> None:
    assert worker.stdin is not None
    worker.stdin.write("\n")
    worker.stdin.flush()


def line(worker: "subprocess.Popen[str]") -> str:
    assert worker.stdout is not None
    return worker.stdout.readline().strip()


async def test_four_workers_admit_exactly_the_limit(start: Start, tmp_path: Path) -> None:
    workers = [start("bucket", "700") for _ in range(4)]
    for worker in workers:
        go(worker)
    assert sum(int(line(worker)) for worker in workers) == 600
    store = Embedded(str(tmp_path))
    after = await store.acquire([Rate("all", 0, 600, 3600), Budget("money", 0, 0, 3600)], force=True)
    assert [state.used for state in after.states] == [600, 1800]
    await store.close()


async def test_a_stay_ends_when_its_worker_is_killed(start: Start, tmp_path: Path) -> None:
    store = Embedded(str(tmp_path))
    one, two = start("lease", "one"), start("lease", "two")
    for worker in (one, two):
        go(worker)
        assert line(worker) == "True"
    assert not (await store.acquire([Lease("room", "three", 2)])).granted
    assert sorted(here.name for here in await store.leases("room")) == ["one", "two"]
    one.send_signal(signal.SIGKILL)
    one.wait()
    assert [here.name for here in await store.leases("room")] == ["two"]
    # The number of the dead worker goes to a new one, its stays do not.
    other = Embedded(str(tmp_path))
    assert (await other.acquire([Lease("room", "three", 2)])).granted
    assert not (await store.acquire([Lease("room", "four", 2)])).granted
    assert sorted(here.name for here in await other.leases("room")) == ["three", "two"]
    await other.close()
    await store.close()


async def test_a_limit_of_stays_heals_by_itself_after_a_kill(start: Start, tmp_path: Path) -> None:
    store = Embedded(str(tmp_path))
    worker = start("lease", "one")
    go(worker)
    assert line(worker) == "True"
    assert (await store.acquire([Lease("room", "mine", 2)])).granted
    worker.kill()
    worker.wait()
    assert (await store.acquire([Lease("room", "again", 2)])).granted
    assert not (await store.acquire([Lease("room", "third", 2)])).granted
    await store.close()


async def test_workers_killed_at_any_moment_leave_a_file_that_counts_on(start: Start, tmp_path: Path) -> None:
    dice = random.Random(7)
    acknowledged = 0
    store = Embedded(str(tmp_path))
    for _ in range(3):
        workers = [start("spend") for _ in range(2)]
        for worker in workers:
            go(worker)
        for worker in workers:
            assert worker.stdout is not None
            acknowledged += len(worker.stdout.read(dice.randint(40, 400)))
            threading.Event().wait(dice.random() / 50)
            worker.send_signal(signal.SIGKILL)
        for worker in workers:
            worker.wait()
            acknowledged += len(worker.stdout.read())  # type: ignore[union-attr]
        settled = await store.acquire([Budget("money", 0, 0, 3600), Rate("r", 0, 0, 3600)], force=True)
        spent, counted = (state.used for state in settled.states)
        assert acknowledged <= spent <= acknowledged + 8
        assert acknowledged <= counted <= acknowledged + 8
        assert await store.leases("room") == []
        async with asyncio.timeout(30):
            while not (mine := await store.acquire([Lease("room", "mine", 1)])).granted:
                await asyncio.sleep(RECONCILE_PAUSE_SECONDS / 4)  # between two looks for dead workers there is a pause
        assert mine.states[0].used == 1
        await store.release([Lease("room", "mine")])
    assert 0 < len(await store.recent("ring", 512)) <= 512
    assert (await store.totals("t"))["n"] > 0
    await store.close()


def test_many_workers_may_open_a_fresh_directory_at_once(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys\n"
        "from proxy_pkg.store.embedded import Embedded\n"
        "async def main():\n"
        "    store = Embedded(sys.argv[1])\n"
        "    assert not store.problem, store.problem\n"
        "    for _ in range(40):\n"
        "        try:\n"
        "            return await store.add('t', {'n': 1}, 3600)\n"
        "        except Exception as error:\n"
        "            if getattr(error, 'reason', '') not in ('busy', 'timeout'):\n"
        "                raise\n"
        "asyncio.run(main())\n"
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stderr=subprocess.PIPE)
        for _ in range(6)
    ]
    errors = [worker.communicate()[1].decode() for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 6, errors
    assert [path.name for path in tmp_path.iterdir() if "damaged" in path.name] == []


def test_preparing_leaves_nothing_open(tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    assert prepare(str(tmp_path)) == ""
    assert len(set(os.listdir("/proc/self/fd")) - before) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "claims-2",
        "store.lock",
        "values-1.sqlite",
        "values-1.sqlite-journal",
    }
