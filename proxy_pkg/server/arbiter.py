"""The master's way of replacing workers: first a successor that serves, then the end of the one it succeeds.

Gunicorn's own arbiter ends old workers before the new ones serve, replaces a worker at its request limit only after
that worker has gone, and in a reload does nothing but wait until the last old worker has finished its last stream: for
that long, dead workers are not replaced and stuck ones not ended. Here nothing is waited for; each pass over the
workers, after every signal and at least once a second, takes the next step that is possible.
"""

import signal
import sys
import time
from typing import Any, Final

from gunicorn import sock
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

from proxy_pkg.config.load import take_notify_socket
from proxy_pkg.server.boot import in_force, put_back
from proxy_pkg.server.handover import Handover
from proxy_pkg.server.load_table import LoadTable
from proxy_pkg.server.systemd import ServiceManager
from proxy_pkg.server.worker_status import ENDINGS, READY, RETIRING, status_bits

BOOT_RETRY_SECONDS: Final = 1.0
"""Pause before the next try after a worker that ended before it served."""
HURRY_SECONDS: Final = 3.0
"""What workers get for parting from their clients when a stop that has begun is to be quick."""
UNREADY_SECONDS: Final = 0.5
STOP_POLL_SECONDS: Final = 0.05
STUCK_POLL_SECONDS: Final = 1.0
"""From the signal that has a worker show where it stands still to the one that ends it."""


class ProxyArbiter(Arbiter):  # type: ignore[misc]  # gunicorn ships no types
    """Gunicorn's arbiter with workers that overlap. Made from a plain one by `adopt`."""

    generation: int
    load_table: LoadTable
    handover: Handover
    manager: ServiceManager
    LISTENERS: list[Any]
    _announced: bool
    _serving: bool
    _stops = False
    _retry_at: float

    def manage_workers(self) -> None:
        """Spawn missing workers, and end those whose successors serve."""
        current = [worker for worker in self._workers() if self._is_current(worker)]
        if time.monotonic() >= self._retry_at:
            self._spawn(self.num_workers - len(current))
        # Too many: those that do not serve yet go first, else the only one that serves might.
        current.sort(key=lambda worker: status_bits(worker) & READY)
        surplus = max(0, len(current) - self.num_workers)
        for worker in current[:surplus]:
            self._end(worker)
        self._relieve([worker for worker in current[surplus:] if status_bits(worker) & READY])
        self._announce()

    def _spawn(self, count: int) -> None:
        """Spawn workers. Where the system has nothing left for one, those that serve go on, and it is tried again."""
        try:
            for _ in range(count):
                self.spawn_worker()
        except OSError as error:
            if not self._serving:
                raise
            self.log.error("no worker can be started for now: %s", error)
            self._retry_at = time.monotonic() + BOOT_RETRY_SECONDS

    def spawn_worker(self) -> Any:
        """As the base does; the worker belongs to the configuration that is in force now."""
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
        try:
            pid = super().spawn_worker()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        worker = self.WORKERS[pid]
        worker.generation, worker.was_ready, worker.ended = self.generation, False, False
        return pid

    def reload(self) -> None:
        """Read the configuration again. Workers of the old one serve until those of the new one do.

        Where the file cannot be run, or names a class that is not there, everything stays as it is.
        """
        self.manager.reloading()
        settings = in_force()
        try:
            self.app.reload()
            _ = self.app.cfg.worker_class, self.app.cfg.logger_class  # loaded as they are read, and again in `setup`
        except (SystemExit, RuntimeError) as error:
            reason = "it cannot be run" if isinstance(error, SystemExit) else str(error).partition(":")[0]
            self.log.error("the reload is refused, for gunicorn's configuration file has a fault: %s", reason)
            put_back(settings)
            self.manager.ready()
            return
        self.setup(self.app)
        self.log.reopen_files()
        self.cfg.on_reload(self)
        self.generation += 1
        self._announced = False
        self._retry_at = 0.0
        self.manage_workers()

    def stop(self, graceful: bool = True) -> None:
        """End all workers, and then return. As the base does, on a clock that nobody can set: its own would kill
        workers in the middle of their streams when the time of day jumps. One that stands still is not waited for
        longer than at any other time.
        """
        self._stops = True  # a second worker that cannot start is no second reason to end
        if self.reexec_pid:
            self.manager.hand_over(self.reexec_pid)
        else:
            self.manager.stopping(self.cfg.graceful_timeout + HURRY_SECONDS)
        self._drop_unready()
        sock.close_sockets(self.LISTENERS, unlink=False)
        self.LISTENERS = []
        self.kill_workers(signal.SIGTERM if graceful else signal.SIGQUIT)
        next_look = time.monotonic()
        limit = next_look + self.cfg.graceful_timeout
        while self.WORKERS and time.monotonic() < limit:
            if graceful and self._hurried():
                graceful = False
                self.kill_workers(signal.SIGQUIT)
                limit = time.monotonic() + HURRY_SECONDS
            self.reap_workers()
            if time.monotonic() >= next_look:
                self.murder_workers()
                next_look += STUCK_POLL_SECONDS
            time.sleep(STOP_POLL_SECONDS)
        self.kill_workers(signal.SIGKILL)
        self.reap_workers()

    def _drop_unready(self) -> None:
        """End workers that do not serve yet, before the others: they hold the port open, and who connects after the
        others have gone would be cut off.
        """
        unready = [worker.pid for worker in self.WORKERS.values() if not status_bits(worker) & READY]
        for pid in unready:
            self.kill_worker(pid, signal.SIGTERM)
        limit = time.monotonic() + UNREADY_SECONDS
        while any(pid in self.WORKERS for pid in unready) and time.monotonic() < limit:
            time.sleep(STOP_POLL_SECONDS)
            self.reap_workers()

    def _hurried(self) -> bool:
        """Whether a signal asks for an immediate end. Other signals mean nothing any more."""
        return any(number in (signal.SIGINT, signal.SIGQUIT) for number in self.wait_for_signals(timeout=0.001))

    def reap_workers(self) -> None:
        """As the base does, but a worker that cannot start ends the server only if none ever served."""
        self._workers()
        before = dict(self.WORKERS)
        while True:
            try:
                super().reap_workers()
            except HaltServer as halt:
                if self._stops:
                    continue
                if not self._serving:
                    raise
                self.log.error("a new worker did not start (%s); the others go on", halt.reason)
                continue
            break
        gone = [worker for pid, worker in before.items() if pid not in self.WORKERS]
        for worker in gone:
            worker.tmp.close()
        if any(not worker.was_ready and not worker.ended for worker in gone):
            self._retry_at = time.monotonic() + BOOT_RETRY_SECONDS

    def slot(self) -> int:
        """The slot of the next worker in the load table."""
        return self.load_table.free(worker.slot for worker in self.WORKERS.values())

    def _workers(self) -> list[Any]:
        """The workers that were not asked to end, the oldest first. Notes which of them serve."""
        workers = sorted(self.WORKERS.values(), key=lambda worker: int(worker.age))
        for worker in workers:
            if status_bits(worker) & READY:
                worker.was_ready = self._serving = True
        return [worker for worker in workers if not worker.ended]

    def _is_current(self, worker: Any) -> bool:
        return worker.generation == self.generation and not status_bits(worker) & RETIRING

    def _relieve(self, successors: list[Any]) -> None:
        """End as many of those that should go as the successors can stand in for."""
        leaving = [worker for worker in self._workers() if not self._is_current(worker)]
        serving = [worker for worker in leaving if status_bits(worker) & READY]
        needed = max(0, self.num_workers - len(successors))
        for worker in leaving:
            if worker not in serving or worker in serving[: max(0, len(serving) - needed)]:
                self._end(worker)

    def _end(self, worker: Any) -> None:
        worker.ended = True
        self.kill_worker(worker.pid, signal.SIGTERM)

    def _announce(self) -> None:
        """Say that we are ready: with the first worker after a start, with all of them after a reload."""
        if self._announced:
            return
        ready = [worker for worker in self._workers() if self._is_current(worker) and status_bits(worker) & READY]
        if len(ready) >= (self.num_workers if self.generation else 1):
            self._announced = True
            self.manager.ready()


def adopt(server: Any) -> None:
    """Turn gunicorn's arbiter into ours, before it has opened or forked anything.

    Gunicorn has no setting for the class of its arbiter. It would also tell the service manager that all is ready
    before there is a worker; with the address taken away, only we can.
    """
    server.__class__ = ProxyArbiter
    # What USR2 starts. Gunicorn's own notion of it names a file of gunicorn's where it was started with `python -m`,
    # and Python would then find gunicorn's modules in place of its own.
    server.START_CTX["args"] = [sys.executable, *sys.orig_argv[1:]]
    server.generation = 0
    server.load_table = LoadTable()
    server.handover = Handover()
    server.manager = ServiceManager(take_notify_socket())
    server._announced = server._serving = False
    server._retry_at = 0.0
