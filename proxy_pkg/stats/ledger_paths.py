"""Where the counts of one server lie, and what of it can be read from names and from the lock file.

STATE_DIR/server.lock            held shared by the master and all its workers; holds the time the totals began
STATE_DIR/master.lock            each master holds a byte of it, see `stats/mastership.py`
STATE_DIR/slots/<n>.counters     the ledger of worker slot n; at most `slots.slots_max(workers)` of them
STATE_DIR/lifetime.counters      one ledger with the sums of all runs before this one
STATE_DIR/lifetime.damaged       the last such file that could not be read
STATE_DIR/publisher.lock         held by the worker that speaks for the server, see `telemetry/publishing.py`
"""

import errno
import struct
from pathlib import Path
from typing import Final

from proxy_pkg.stats.ledger import LEDGER_BYTES

SLOTS: Final = "slots"
SUFFIX: Final = ".counters"
SERVER_LOCK: Final = "server.lock"
MASTER_LOCK: Final = "master.lock"
PUBLISHER_LOCK: Final = "publisher.lock"
LIFETIME: Final = "lifetime.counters"
LIFETIME_NEW: Final = "lifetime.new"
LIFETIME_DAMAGED: Final = "lifetime.damaged"
STARTED: Final = struct.Struct("<q")

DISK_FAULTS: Final = frozenset((errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO))
"""What the operating system says of a disk that takes nothing. The directory itself is not to blame: a server goes on
without it.
"""
LEDGERS_BESIDE_SLOTS: Final = 3
"""The lifetime ledger, the one that is about to replace it, and a damaged one."""


def stats_bytes_max(slots: int) -> int:
    """What the counts take on disk at most, with so many slots."""
    return (slots + LEDGERS_BESIDE_SLOTS) * LEDGER_BYTES + STARTED.size


def slot_paths(directory: Path) -> list[Path]:
    """The ledgers that exist, by slot number. Files of other names are not ours and are left alone."""
    found = [path for path in (directory / SLOTS).glob(f"*{SUFFIX}") if path.name[: -len(SUFFIX)].isdecimal()]
    return sorted(found, key=slot_number)


def slot_number(path: Path) -> int:
    """The n of `<n>.counters`."""
    return int(path.name[: -len(SUFFIX)])


def started_ns(state_dir: str | Path) -> int:
    """When the totals began, Unix time in nanoseconds; 0 if that cannot be read."""
    try:
        content = (Path(state_dir) / SERVER_LOCK).read_bytes()
    except OSError:
        return 0
    return int(STARTED.unpack_from(content)[0]) if len(content) >= STARTED.size else 0
