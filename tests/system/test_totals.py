"""One truth for all workers: totals agree whichever worker answers, and no kill makes them fall or lose an answer."""

import os
import random
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from bench.processes import Server
from proxy_pkg.stats.ledger_paths import stats_bytes_max
from tests.fakes.client import Caller, ask
from tests.fakes.scripts import reply
from tests.fakes.upstream import Upstream
from tests.system.patience import eventually, quiet, stats

REQUESTS = int(os.environ.get("TOTALS_REQUESTS", "3000"))
"""`make totals` asks for more."""
DRIVERS = 6
KILLS = max(5, REQUESTS // 1000)
WORKERS = 4


class Drive:
    """Clients that ask until enough answers came. `answered` are whole answers, `lost` requests without one."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answered = 0
        self.lost = 0
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask) for _ in range(DRIVERS)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        caller = None
        while self.answered < REQUESTS:
            try:
                caller = caller or Caller(self.port)
                whole = caller.ask("POST", "/v1/messages", (), b'{"messages":[]}').complete
            except ConnectionError:
                continue  # nobody accepted: no request was made
            with self._lock:
                self.answered += whole
                self.lost += not whole
            if not whole:
                caller.socket.close()
                caller = None
        if caller:
            caller.socket.close()

    def wait(self) -> None:
        for thread in self._threads:
            thread.join()


def asked_total(server: Server) -> int:
    """The total as some worker tells it; -1 if that one was killed while it did."""
    try:
        answer = ask(server.port, "GET", "/stats")
    except ConnectionError:
        return -1
    return int(answer.json()["requests"]["total"]) if answer.complete else -1


def kill_one(server: Server) -> None:
    before = server.worker_pids
    victim = random.choice(before)
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: len(server.worker_pids) >= WORKERS and victim not in server.worker_pids)


def reload(server: Server) -> None:
    """New workers for all old ones, some of which may still drain when this returns."""
    before = set(server.worker_pids)
    os.kill(server.master_pid, signal.SIGHUP)
    eventually(lambda: len(set(server.worker_pids) - before) >= WORKERS, 60.0)


def test_totals_survive_kills_and_reloads_and_never_fall(
    server: Callable[..., Server], upstream: Upstream, tmp_path: Path
) -> None:
    upstream.answer = lambda _: reply()
    running = server(HEADROOM_WORKERS=str(WORKERS), HEADROOM_STATE_DIR=str(tmp_path / "state"))
    drive = Drive(running.port)
    seen = [0]
    try:
        for kill in range(KILLS):
            eventually(lambda goal=(kill + 1) * REQUESTS // (KILLS + 2): drive.answered >= goal, 60.0)
            kill_one(running)
            if kill % 3 == 1:
                reload(running)
            seen += [asked_total(running) for _ in range(20)]
    finally:
        drive.wait()
    told = [total for total in seen if total >= 0]
    assert told == sorted(told), "totals fell"
    eventually(lambda: quiet(running) and len(running.worker_pids) == WORKERS, 30.0)
    totals: dict[int, int] = {}
    eventually(lambda: told_by_each(running, totals) == WORKERS, 60.0)
    assert len(set(totals.values())) == 1
    total = totals.popitem()[1]
    assert drive.answered <= total <= drive.answered + drive.lost
    assert drive.lost <= KILLS * DRIVERS
    assert stats(running)["workers"]["starts"] >= WORKERS + KILLS
    ledgers = list((tmp_path / "state").rglob("*.counters"))
    assert sum(path.stat().st_size for path in ledgers) <= stats_bytes_max(3 * WORKERS)


def test_a_killed_server_goes_on_in_its_lifetime_totals(
    server: Callable[..., Server], upstream: Upstream, tmp_path: Path
) -> None:
    upstream.answer = lambda _: reply()
    for run in range(1, 4):
        running = server(HEADROOM_STATE_DIR=str(tmp_path / "state"))
        for _ in range(5):
            assert ask(running.port, "POST", "/v1/messages", (), b"{}").status == 200
        told = stats(running)
        assert (told["requests"]["total"], told["lifetime"]["requests"], told["lifetime"]["runs"]) == (5, 5 * run, run)
        for pid in (running.master_pid, *running.worker_pids):
            os.kill(pid, signal.SIGKILL)
        eventually(lambda ended=running: ended.process.poll() is not None)


def told_by_each(server: Server, totals: dict[int, int]) -> int:
    """Ask once more; how many workers have answered so far."""
    told = stats(server)
    totals[told["answered_by"]["pid"]] = told["requests"]["total"]
    return len(totals)
