"""How many CPUs this process may really use: its affinity mask and the quota of its control groups."""

import os
from collections.abc import Callable
from pathlib import Path

GROUP_DEPTH_MAX = 64


def usable_cpus(root: Path = Path("/")) -> int:
    """Whole CPUs, at least 1. `root` is where proc and sys are found.

    A quota of 1.5 CPUs counts as 1: a worker beyond the quota would only make the others wait.
    """
    return max(1, min([len(os.sched_getaffinity(0)), *_quotas(root)]))


def _quotas(root: Path) -> list[int]:
    """The quota of every control group around this process: each of them binds."""
    try:
        lines = (root / "proc/self/cgroup").read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    found: list[int] = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if not controllers:
            found += _walk(root / "sys/fs/cgroup", group, _quota_v2)
        elif "cpu" in controllers.split(","):
            for mount in ("cpu", controllers):
                found += _walk(root / "sys/fs/cgroup" / mount, group, _quota_v1)
    return found


def _walk(mount: Path, group: str, quota_of: Callable[[Path], int | None]) -> list[int]:
    # In a container the group's path may name directories that only the host sees; its own limit is at the
    # mount.
    parts = [part for part in group.split("/") if part not in ("", ".", "..")][:GROUP_DEPTH_MAX]
    places = [mount.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]
    return [quota for place in places if (quota := quota_of(place)) is not None]


def _quota_v2(place: Path) -> int | None:
    """`cpu.max` holds "max 100000" or "150000 100000": microseconds of CPU per period."""
    return _whole(_read(place / "cpu.max").split())


def _quota_v1(place: Path) -> int | None:
    """The same in two files; a quota of -1 sets no limit."""
    return _whole([_read(place / "cpu.cfs_quota_us").strip(), _read(place / "cpu.cfs_period_us").strip()])


def _whole(numbers: list[str]) -> int | None:
    if len(numbers) != 2 or not all(number.isdecimal() for number in numbers) or int(numbers[1]) == 0:
        return None
    return int(numbers[0]) // int(numbers[1])


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""
