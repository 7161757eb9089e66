"""One truth for all workers: totals agree whichever worker answers, and no kill makes them fall or lose an answer."""

import os
import random
import signal
import threading
from collections.abc import Callable

from bench.processes import Server
from tests.fakes.client import Caller, ask
from tests.fakes.scripts import reply
from tests.fakes.upstream import Upstream
from tests.system.patience import eventually, quiet, stats

REQUESTS = 3_000
DRIVERS = 6
KILLS = 5


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
    eventually(lambda: len(server.worker_pids) == 2 and victim not in server.worker_pids)


def test_totals_survive_kills_and_never_fall(server: Callable[..., Server], upstream: Upstream) -> None:
    upstream.answer = lambda _: reply()
    running = server()
    drive = Drive(running.port)
    seen = [0]
    try:
        for kill in range(KILLS):
            eventually(lambda goal=(kill + 1) * REQUESTS // (KILLS + 2): drive.answered >= goal, 60.0)
            kill_one(running)
            seen += [asked_total(running) for _ in range(20)]
    finally:
        drive.wait()
    told = [total for total in seen if total >= 0]
    assert told == sorted(told), "totals fell"
    eventually(lambda: quiet(running))
    totals: dict[int, int] = {}
    eventually(lambda: told_by_each(running, totals) == 2)
    assert len(set(totals.values())) == 1
    total = totals.popitem()[1]
    assert drive.answered <= total <= drive.answered + drive.lost
    assert drive.lost <= KILLS * DRIVERS
    assert stats(running)["workers"]["starts"] >= 2 + KILLS


def told_by_each(server: Server, totals: dict[int, int]) -> int:
    """Ask once more; how many workers have answered so far."""
    told = stats(server)
    totals[told["answered_by"]["pid"]] = told["requests"]["total"]
    return len(totals)
