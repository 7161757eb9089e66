"""What Prometheus' own tool says about the exposition."""

import shutil
import subprocess

import pytest

from proxy_pkg.stats.counters import private_counters
from proxy_pkg.stats.record import RequestRecord, UsageRecord
from proxy_pkg.stats.render import metrics_text
from proxy_pkg.stats.snapshot import read_lifetimes


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (on Debian: prometheus)")
def test_promtool_finds_no_fault() -> None:
    counters = private_counters()
    counters.finished(
        RequestRecord(
            protocol='odd "name"\\',
            decision="rewritten",
            spans=[("json", "compressed", "smaller", 1)],
            tokens_before=9,
            bytes_before=9,
            upstream_ns=9,
            read_ns=9,
        )
    )
    counters.count_usage(UsageRecord(protocol="p", model="m", reported=1, input=3, output=4, cost_microdollars=5))
    with counters.buffer as own:
        server = read_lifetimes("", own)
    text = metrics_text(server.now, server.lifetime)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    counters.close()
