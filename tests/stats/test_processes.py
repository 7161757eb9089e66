"""Real processes, killed with SIGKILL while they count: what was acknowledged stays counted."""

import os
import random
import select
import subprocess
import sys
from pathlib import Path

from proxy_pkg.stats.catalogue import METRICS
from proxy_pkg.stats.ledger_paths import slot_paths
from proxy_pkg.stats.snapshot import read_server
from tests.stats.reader import total

WORKER = Path(__file__).with_name("worker.py")


class Driver:
    """One worker process and what it has acknowledged."""

    def __init__(self, state_dir: str, requests: int = 0) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), state_dir, str(requests)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        self.fd = self.process.stdout.fileno()
        self.acknowledged = 0
        assert os.read(self.fd, 1) == b"+"

    def read(self, at_least: int) -> None:
        """Take in acknowledgements until `at_least` have come."""
        while self.acknowledged < at_least:
            assert select.select([self.fd], [], [], 20)[0], "the worker stopped counting"
            part = os.read(self.fd, 4096)
            assert part, "the worker ended by itself"
            self.acknowledged += len(part)

    def kill(self) -> int:
        """SIGKILL it; the number of requests it had acknowledged."""
        self.process.kill()
        while part := os.read(self.fd, 65536):
            self.acknowledged += len(part)
        self.process.communicate(timeout=10)
        return self.acknowledged


def test_totals_equal_the_acknowledged_count_but_for_one_request_at_each_kill(state_dir: str) -> None:
    dice = random.Random(7)
    workers = [Driver(state_dir), Driver(state_dir)]
    acknowledged, kills, seen = 0, 0, 0
    for _ in range(20):
        victim = workers.pop(dice.randrange(2))
        victim.read(victim.acknowledged + dice.randrange(1, 400))
        acknowledged += victim.kill()
        kills += 1
        workers.append(Driver(state_dir))
        now = total(state_dir)
        assert now >= seen, "a total fell"
        seen = now
    acknowledged += sum(worker.kill() for worker in workers)
    kills += len(workers)
    reading = read_server(state_dir)
    assert acknowledged > 2000
    assert acknowledged <= total(state_dir) <= acknowledged + kills
    assert reading.workers == []
    assert reading.worker_starts == kills
    assert len(slot_paths(Path(state_dir))) == 2
    durations = reading.of(METRICS["proxy_upstream_duration_seconds"])
    assert acknowledged <= sum(sum(cells[:-1]) for cells in durations.values()) <= acknowledged + kills


def test_ten_thousand_requests_over_two_workers_are_ten_thousand(state_dir: str) -> None:
    workers = [Driver(state_dir, requests=5000) for _ in range(2)]
    seen = 0
    for step in range(10):
        for worker in workers:
            worker.read(500 * (step + 1))
        now = total(state_dir)
        assert now >= max(seen, 1000 * (step + 1))
        seen = now
    assert total(state_dir) == 10_000
    assert [worker.requests for worker in read_server(state_dir).workers] == [5000, 5000]
    for worker in workers:
        worker.kill()
    assert total(state_dir) == 10_000


def test_gauges_of_a_killed_worker_end_with_it_and_its_successor_starts_at_zero(state_dir: str) -> None:
    worker = Driver(state_dir)
    worker.read(10)
    (live,) = read_server(state_dir).workers
    assert (live.slot, live.pid) == (0, worker.process.pid)
    worker.kill()
    assert read_server(state_dir).workers == []
    successor = Driver(state_dir, requests=3)
    successor.read(3)
    (live,) = read_server(state_dir).workers
    assert (live.slot, live.pid, live.requests) == (0, successor.process.pid, 3)
    successor.kill()


def test_reading_never_fails_or_falls_while_workers_write_grow_and_die(state_dir: str) -> None:
    worker = Driver(state_dir)
    seen: dict[tuple[str, ...], int] = {}
    for round_number in range(120):
        found = read_server(state_dir).of(METRICS["proxy_requests_total"])
        for values, cells in found.items():
            assert cells[0] >= seen.get(values, 0)
        assert seen.keys() <= found.keys()
        seen = {values: cells[0] for values, cells in found.items()}
        if round_number % 20 == 19:
            worker.kill()
            worker = Driver(state_dir)
        worker.read(worker.acknowledged + 20)
    worker.kill()
    assert len(seen) > 20
