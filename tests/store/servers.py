"""Real Redis servers for tests, each with its own directory, ended with the test."""

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from proxy_pkg.store.address import parse
from proxy_pkg.store.redis import Redis
from proxy_pkg.store.redis_client import connect

BINARY = shutil.which("redis-server") or shutil.which("valkey-server") or ""


def free_port() -> int:
    """A port that nobody listens on; a node of a Cluster also takes the one 10,000 above it."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port < 55_000:
            return port


class RedisServer:
    """A redis-server on loopback, without persistence. It can be paused, killed and started again on the same port."""

    def __init__(self, directory: Path, *options: str, port: int = 0, plain: bool = True) -> None:
        if not BINARY:
            pytest.skip("redis-server is not installed")
        self.port = port or free_port()
        self.directory = directory
        self.options = options
        self.plain = plain
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        base = ["--port", str(self.port)] if self.plain else []
        quiet = [
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--repl-diskless-sync-delay",
            "0",
            "--dir",
            str(self.directory),
            "--loglevel",
            "warning",
        ]
        self.process = subprocess.Popen([BINARY, *self.options, *base, *quiet], stdout=subprocess.DEVNULL)
        self.wait()

    def wait(self) -> None:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return
            except OSError:
                time.sleep(0.02)
        self.stop()
        raise AssertionError("redis-server did not start")

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def engine(url: str, prefix: str = "test:", timeout_ms: int = 1000) -> Redis:
    """The engine on a server. Its timeout is long, because a busy machine is no fault here."""
    return Redis(connect(parse(url), timeout_ms / 1000), prefix, timeout_ms)
