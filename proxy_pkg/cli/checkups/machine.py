"""What the machine, or the container, allows: open files, memory, waiting connections, the time of day."""

import resource
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from proxy_pkg.cli.checkups.finding import Finding, ok, problem, warning
from proxy_pkg.config.parsers import size_text
from proxy_pkg.config.row import MIB
from proxy_pkg.config.settings import Settings
from proxy_pkg.server.preflight import descriptors_needed

SERVER_BYTES: Final = 64 * MIB
"""What the master holds, and the workers share with it: code, vocabulary, prices."""
WORKER_BYTES: Final = 64 * MIB
"""What a worker holds besides, without load."""
BODY_PARTS: Final = 2.5
"""Memory for each byte of a body in flight."""
_UNLIMITED_BYTES: Final = 1 << 60


def examined(settings: Settings, root: Path = Path("/"), pid: int | str = "self") -> Iterator[Finding]:
    """All of it. `root` is where /proc and /sys lie; `pid` is the master, or this process if none runs."""
    yield descriptors(settings, _files_max(root, pid))
    yield memory(settings, *memory_limit(root, pid))
    yield backlog(settings, _number(root / "proc/sys/net/core/somaxconn"))


def descriptors(settings: Settings, files_max: int | None) -> Finding:
    """`files_max` is the hard limit, to which the server raises its own; None if nobody knows."""
    needed = descriptors_needed(settings)
    if files_max is None or files_max >= needed:
        limit_text = "a limit that cannot be read" if files_max is None else f"the limit is {files_max}"
        return ok("open files", f"a worker needs up to {needed}, {limit_text}")
    advice = f"LimitNOFILE={needed} in the unit, or --ulimit nofile={needed}; or lower HEADROOM_LIMIT_CONCURRENCY"
    return warning("open files", f"a worker may need {needed}, and the limit is {files_max}", advice)


def memory(settings: Settings, limit_bytes: int, source: str) -> Finding:
    """Whether the workers fit, and the bodies that one of them may hold at once."""
    idle = SERVER_BYTES + settings.workers * (WORKER_BYTES + settings.memo_bytes_max)
    bodies = round(settings.body_bytes_in_flight_max * BODY_PARTS)
    limit = f"{size_text(limit_bytes // MIB * MIB)} of {source}"
    if idle > limit_bytes:
        text = f"{settings.workers} workers with HEADROOM_MEMO_BYTES_MAX each may take {size_text(idle)}, of {limit}"
        return warning("memory", text, "fewer HEADROOM_WORKERS, less HEADROOM_MEMO_BYTES_MAX, or more memory")
    if idle + bodies > limit_bytes:
        text = f"the bodies that one worker may hold, with what stands idle, are more than {limit}"
        fitting = max(1, int((limit_bytes - idle) / BODY_PARTS) // MIB)
        return warning("memory", text, f"HEADROOM_BODY_BYTES_IN_FLIGHT_MAX={fitting}MiB fits, or give it more memory")
    return ok("memory", f"idle workers may take {size_text(idle)}, of {limit}")


def backlog(settings: Settings, somaxconn: int | None) -> Finding:
    """Whether the kernel lets as many connections wait as the settings say."""
    if somaxconn is None or somaxconn >= settings.backlog:
        return ok("backlog", f"{settings.backlog} connections may wait to be accepted")
    text = f"HEADROOM_BACKLOG is {settings.backlog}, and net.core.somaxconn cuts it to {somaxconn}"
    return warning("backlog", text, f"sysctl -w net.core.somaxconn={settings.backlog}")


def time_of_day(now_s: float, began_ns: int, prices_as_of: str) -> Finding:
    """Whether the clock was set back: before the newest prices shipped with this package, or the server's start."""
    now = datetime.fromtimestamp(now_s, UTC)
    advice = "set the clock, and have it kept (chrony, systemd-timesyncd): certificates and budgets need it"
    if now.date().isoformat() < prices_as_of:
        return problem("clock", f"it is {now:%Y-%m-%d} here, before this package was made", advice)
    if began_ns / 1e9 > now_s + 1:
        return warning("clock", "the server that runs here began in the future: the clock was set back", advice)
    return ok("clock", f"it is {now:%Y-%m-%d %H:%M} UTC here")


def memory_limit(root: Path, pid: int | str) -> tuple[int, str]:
    """The least that limits the memory of a process, in bytes, and what that is: a control group or the machine."""
    found = [(total, "this machine")] if (total := _total_bytes(root)) else []
    for line in _lines(root / f"proc/{pid}/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            found += _group_limits(root / "sys/fs/cgroup", path, "memory.max")
        elif "memory" in controllers.split(","):
            found += _group_limits(root / "sys/fs/cgroup/memory", path, "memory.limit_in_bytes")
    return min(found, default=(_UNLIMITED_BYTES, "this machine"))


def now_seconds() -> float:
    """Unix time."""
    return time.time()


def _group_limits(mount: Path, path: str, name: str) -> list[tuple[int, str]]:
    """The limits of a group and of those it lies in. In a container, the group itself may be the mount."""
    group = mount / path.strip("/")
    groups = [group, *(parent for parent in group.parents if parent.is_relative_to(mount)), mount]
    limits = (_number(each / name) for each in dict.fromkeys(groups))
    return [(limit, "this control group") for limit in limits if limit is not None and limit < _UNLIMITED_BYTES]


def _total_bytes(root: Path) -> int:
    line = next((line for line in _lines(root / "proc/meminfo") if line.startswith("MemTotal:")), "")
    return int(line.split()[1]) * 1024 if line else 0


def _files_max(root: Path, pid: int | str) -> int | None:
    """The hard limit of a process."""
    line = next((line for line in _lines(root / f"proc/{pid}/limits") if line.startswith("Max open files")), "")
    if not line:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        return None if hard == resource.RLIM_INFINITY else hard
    hard_text = line.split()[4]
    return int(hard_text) if hard_text.isdecimal() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _number(path: Path) -> int | None:
    text = "".join(_lines(path)).strip()
    return int(text) if text.isdecimal() else None
