"""A prepared directory, and counters that are closed again."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proxy_pkg.stats.counters import Counters, open_counters
from proxy_pkg.stats.directory import prepare


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[str]:
    directory = str(tmp_path / "state")
    server = prepare(directory)
    yield directory
    server.close()


@pytest.fixture
def start_worker(state_dir: str) -> Iterator[Callable[[], Counters]]:
    """Start as many workers as a test wants, all in this process; those still open at the end are closed."""
    started: list[Counters] = []

    def start() -> Counters:
        started.append(open_counters(state_dir, workers=2))
        return started[-1]

    yield start
    for counters in started:
        if not counters.closed:
            counters.close()
