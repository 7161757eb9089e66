"""Short questions to the counters of a directory."""

from proxy_pkg.stats.catalogue import METRICS
from proxy_pkg.stats.snapshot import Series, read_server


def total(state_dir: str, name: str = "proxy_requests_total") -> int:
    return sum(cells[0] for cells in series(state_dir, name).values())


def series(state_dir: str, name: str) -> Series:
    return read_server(state_dir).of(METRICS[name])
