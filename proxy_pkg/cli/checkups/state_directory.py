"""The state directory: is there room, is what lies there sound, and does it outlive a restart."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from shutil import disk_usage
from typing import Final
from urllib.parse import quote

from msgspec import Struct

from proxy_pkg.cli.checkups.finding import Finding, ok, problem, warning
from proxy_pkg.config.parsers import size_text
from proxy_pkg.config.row import MIB
from proxy_pkg.config.settings import Settings
from proxy_pkg.stats.ledger_paths import stats_bytes_max
from proxy_pkg.stats.lifetime import DamagedError, read_lifetime
from proxy_pkg.stats.slots import slots_max
from proxy_pkg.store.embedded import store_files_bytes_max
from proxy_pkg.store.layout import FILE as CLAIMS
from proxy_pkg.store.layout import REGION_BYTES, SIGNATURE
from proxy_pkg.store.values import FILE as VALUES

DISK_BYTES_MIN: Final = 16 * MIB
_IN_MEMORY: Final = frozenset(("tmpfs", "ramfs"))
_OF_CONTAINER: Final = frozenset(("overlay", "aufs"))
_OPEN_MS: Final = 200


def state_bytes_max(workers: int, store_bytes_max: int) -> int:
    """The most that a state directory takes on disk, as docs/lifecycle.md says it in round numbers."""
    return store_files_bytes_max(store_bytes_max) + stats_bytes_max(slots_max(workers))


class Mount(Struct, frozen=True):
    """Where a file system is mounted, and its kind."""

    place: str
    kind: str


def examined(settings: Settings, mounts: Path = Path("/proc/self/mountinfo")) -> Iterator[Finding]:
    """All of it. A directory that is not there yet is made at the start; whether it can be is checked elsewhere."""
    directory = Path(settings.state_dir)
    nearest = next(place for place in (directory, *directory.parents) if place.exists())
    yield room(settings, nearest)
    yield fate(settings.state_dir, mount_of(nearest, mounts))
    if directory.is_dir():
        yield from sound(directory)


def room(settings: Settings, place: Path) -> Finding:
    """Whether what the workers share finds room: problems below DISK_BYTES_MIN, warnings below what it may grow to."""
    free = disk_usage(place).free
    most = state_bytes_max(settings.workers, settings.store_bytes_max)
    text = f"{size_text(free // MIB * MIB)} are free at {place}"
    if free < DISK_BYTES_MIN:
        advice = "free some space, or name another directory in HEADROOM_STATE_DIR: workers count alone without it"
        return problem("state", text, advice)
    if free < most:
        advice = "lower HEADROOM_STORE_BYTES_MAX, or make room: what finds none is not kept"
        return warning("state", f"{text}, and it may grow to {size_text(most // MIB * MIB)}", advice)
    return ok("state", f"{text}, and it may grow to {size_text(most // MIB * MIB)}")


def fate(state_dir: str, mount: Mount) -> Finding:
    """Whether budgets and lifetime totals are still there after the machine, or the container, starts again."""
    subject, advice = "restarts", "name a directory on a disk in HEADROOM_STATE_DIR, or a volume"
    if mount.kind in _IN_MEMORY:
        text = f"{state_dir} is in memory ({mount.kind} at {mount.place}): budgets and totals end with the machine"
        return warning(subject, text, advice)
    if mount.kind in _OF_CONTAINER:
        text = f"{state_dir} is a part of the container ({mount.kind}): budgets and totals end with it"
        return warning(subject, text, advice)
    if state_dir.startswith(("/tmp/", "/var/tmp/")):  # noqa: S108 (it is looked at, not written)
        return warning(subject, f"{state_dir} may be cleared at a restart or after some days", advice)
    return ok(subject, f"budgets and lifetime totals in {state_dir} outlive them ({mount.kind})")


def sound(directory: Path) -> Iterator[Finding]:
    """Whether the files of the store and the totals can be read. Changes nothing."""
    reasons = [reason for reason in (_claims(directory / CLAIMS), _values(directory / VALUES)) if reason]
    for reason in reasons:
        advice = "nothing: the server sets it aside and begins anew; look for a full disk or a broken one"
        yield warning("store", reason, advice)
    if not reasons:
        yield ok("store", f"what the workers share in {directory} can be read")
    try:
        runs = read_lifetime(directory).runs
        yield ok("totals", f"those of {runs} runs before this one are kept")
    except (DamagedError, OSError) as error:
        advice = "put back a copy of lifetime.counters, or let the next start set it aside: totals begin anew then"
        yield warning("totals", f"the lifetime totals cannot be read: {error}", advice)


def mount_of(place: Path, mounts: Path) -> Mount:
    """The mount that holds `place`, out of a list as /proc/self/mountinfo has it; of kind "unknown" without one."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        lines = []
    best = Mount("", "unknown")
    for line in lines:
        before, _, after = line.partition(" - ")
        mounted = before.split()[4].encode().decode("unicode_escape")  # blanks are written \040
        if place.resolve().is_relative_to(mounted) and len(mounted) >= len(best.place):
            best = Mount(mounted, after.split()[0])
    return best


def _claims(path: Path) -> str:
    """Why the file of claims will not do; empty if it does, or is still to be made."""
    try:
        with path.open("rb") as file:
            head = file.read(len(SIGNATURE))
        size = path.stat().st_size
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    is_sound = size == REGION_BYTES if head == SIGNATURE else not head.strip(b"\0")
    return "" if is_sound else f"{path} is damaged"


def _values(path: Path) -> str:
    """The same of the file of values, which is opened as SQLite's, for reading alone."""
    if not path.exists():
        return ""
    try:
        address = f"file:{quote(str(path))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=_OPEN_MS / 1000)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        return f"{path} cannot be read: {error}"
    return ""
