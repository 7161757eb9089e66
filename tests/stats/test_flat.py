"""Files and answers stay the same size over a thousand recycled workers."""

from pathlib import Path

from proxy_pkg.stats.counters import open_counters
from proxy_pkg.stats.ledger import LEDGER_BYTES
from proxy_pkg.stats.ledger_paths import slot_paths
from proxy_pkg.stats.record import RequestRecord
from proxy_pkg.stats.snapshot import read_server
from tests.stats.reader import total


def test_a_thousand_recycles_leave_two_files_and_the_same_series(state_dir: str) -> None:
    series_counts = set()
    for _ in range(500):
        pair = [open_counters(state_dir, 2) for _ in range(2)]
        for worker in pair:
            worker.began()
            worker.finished(RequestRecord(protocol="anthropic", route="messages"))
            worker.close()
        series_counts.add(sum(map(len, read_server(state_dir).series.values())))
    sizes = [path.stat().st_size for path in slot_paths(Path(state_dir))]
    assert sizes == [LEDGER_BYTES] * 2
    assert len(series_counts) == 1
    assert total(state_dir) == 1000
    assert read_server(state_dir).worker_starts == 1000
