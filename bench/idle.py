"""How long a start takes, and how much memory a worker holds that has nothing to do."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figures import Figure, figure
from bench.processes import pss_bytes
from bench.stacks import canned, ours

STARTS = 5
SETTLE_SECONDS = 0.5
START_BAR_SECONDS = 1.5
PSS_BAR_MIB = 70.0
CHECK_BAR_SECONDS = 0.5


def idle(names: tuple[str, ...], say: Callable[[str], None]) -> list[Figure]:
    """Five starts with two workers each, from the exec to the first 200 on /readyz."""
    if "ours" not in names:
        return []
    seconds: list[float] = []
    pss_mib: list[float] = []
    for _ in range(STARTS):
        with (
            TemporaryDirectory(prefix="bench-") as place,
            canned(Path(place)) as upstream,
            ours(upstream, Path(place), HEADROOM_WORKERS="2") as server,
        ):
            time.sleep(SETTLE_SECONDS)
            seconds.append(server.seconds_to_ready)
            pss_mib.append(max(pss_bytes(pid) for pid in server.worker_pids) / 2**20)
    return [
        figure("start to ready", "ours", seconds, "s", START_BAR_SECONDS),
        figure(
            "check-config", "ours", [_check_config_cpu_seconds() for _ in range(STARTS)], "s CPU", CHECK_BAR_SECONDS
        ),
        figure("idle worker, larger of two", "ours", pss_mib, "MiB PSS", PSS_BAR_MIB),
    ]


def _check_config_cpu_seconds() -> float:
    before = os.times()
    subprocess.run([str(Path(sys.executable).parent / "proxyctl"), "check-config"], capture_output=True, check=False)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system
