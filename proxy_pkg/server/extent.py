"""The bound of a state directory."""

from proxy_pkg.stats.layout import stats_bytes_max
from proxy_pkg.stats.slots import slots_max
from proxy_pkg.store.extent import store_files_bytes_max


def state_bytes_max(workers: int, store_bytes_max: int) -> int:
    """The most that a state directory takes on disk, as docs/lifecycle.md says it in round numbers."""
    return store_files_bytes_max(store_bytes_max) + stats_bytes_max(slots_max(workers))
