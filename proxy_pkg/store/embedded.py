"""The engine that needs no server: files in the state directory that the workers of one machine share."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from proxy_pkg.store import decision_table, journal, turns
from proxy_pkg.store.claims import Claims
from proxy_pkg.store.contract import (
    Acquisition,
    Claim,
    Lease,
    LeaseHolder,
    Scope,
    StoreError,
    checked_claims,
    checked_many,
    checked_notes,
)
from proxy_pkg.store.filing import Filing
from proxy_pkg.store.layout import REGION_BYTES
from proxy_pkg.store.region import Region, open_region, private_region
from proxy_pkg.store.rings import Rings
from proxy_pkg.store.values import PAGE_BYTES, PAGES_MIN, Values

VALUES_BYTES_MAX: Final = 256 * 1024 * 1024

logger = logging.getLogger("proxy_pkg")

_JOURNAL_SLACK_BYTES: Final = 64 * 1024
_JOURNAL_PAGE_BYTES: Final = 8
"""What SQLite's rollback journal adds to each page that it keeps."""
FIXED_BYTES: Final = 2 * REGION_BYTES + 2 * decision_table.BYTES + turns.BYTES + journal.BYTES
"""Claims, and a damaged file of them that was set aside; decisions, and what was asked for; turns; the journal."""


def store_files_bytes_max(values_bytes_max: int) -> int:
    """The most that all files of the store take: values three times, with their journal and a damaged file."""
    pages = max(PAGES_MIN, values_bytes_max // PAGE_BYTES)
    return FIXED_BYTES + pages * (3 * PAGE_BYTES + _JOURNAL_PAGE_BYTES) + _JOURNAL_SLACK_BYTES


class Embedded:
    """The store of this machine. Open one in each worker, after the fork.

    Claims and rings lie in a mapped file and take microseconds, on the event loop. Values and totals lie in SQLite
    and go through a thread. Where the directory cannot be used, or `state_dir` is empty, the worker keeps claims and
    rings to itself, `problem` says why, and calls for values and totals raise StoreError.
    """

    def __init__(self, state_dir: str, values_bytes_max: int = VALUES_BYTES_MAX) -> None:
        self.problem = ""
        self._region, self._filing = self._opened(state_dir, values_bytes_max)
        self.scope: Scope = "machine" if self._region.fd >= 0 else "worker"
        self._claims = Claims(self._region, self.scope)
        self._rings = Rings(self._region)

    def _opened(self, state_dir: str, values_bytes_max: int) -> tuple[Region, Filing | None]:
        if not state_dir:  # asked for, so no problem
            return private_region(), None
        try:
            region, warning = open_region(Path(state_dir))
        except OSError as error:
            self.problem = f"limits are kept in this worker alone: {error.strerror or error}"
            return private_region(), None
        if warning:
            logger.warning(warning)
        return region, Filing(Path(state_dir), values_bytes_max, logger.warning)

    async def acquire(self, claims: Sequence[Claim], *, force: bool = False) -> Acquisition:
        checked_claims(claims)
        return self._claims.acquire(claims, force)

    async def release(self, leases: Sequence[Lease]) -> None:
        self._claims.release(leases)

    async def leases(self, key: str) -> list[LeaseHolder]:
        return self._claims.here(key)

    async def append(self, ring: str, notes: Sequence[bytes]) -> None:
        checked_notes(notes)
        with self._region:
            self._rings.append(ring, notes)

    async def recent(self, ring: str, count: int) -> list[bytes]:
        with self._region:
            return self._rings.recent(ring, count)

    async def add(self, key: str, amounts: Mapping[str, int], ttl_s: int) -> None:
        await self._file().add(key, amounts, ttl_s)

    async def totals(self, key: str) -> dict[str, int]:
        return await self._file().totals(key)

    async def put(self, key: str, value: bytes, ttl_s: int, *, keep: bool = False) -> bytes:
        return await self._file().put(key, value, ttl_s, keep)

    async def get(self, key: str) -> bytes | None:
        return await self._file().get(key)

    async def put_many(self, items: Mapping[str, bytes], ttl_s: int, *, keep: bool = False) -> dict[str, bytes]:
        checked_many(len(items), sum(map(len, items.values())))
        return await self._file().put_many(items, ttl_s, keep)

    async def get_many(self, keys: Sequence[str], renew_s: int = 0) -> dict[str, bytes]:
        checked_many(len(keys))
        return await self._file().get_many(keys, renew_s)

    async def delete(self, key: str) -> None:
        await self._file().delete(key)

    async def close(self) -> None:
        with suppress(StoreError):
            self._claims.close()
        self._region.close()
        if self._filing is not None:
            self._filing.close()

    def _file(self) -> Filing:
        if self._filing is None:
            raise StoreError(self.problem or "there is no state directory", "unreachable")
        return self._filing


def prepare(state_dir: str, values_bytes_max: int = VALUES_BYTES_MAX) -> str:
    """Make the files in `state_dir`, in the master before its first fork; nothing stays open.

    Returns a sentence where one was damaged and made anew, or where it cannot be made: the server starts anyway.
    """
    warnings: list[str] = []
    try:
        region, warning = open_region(Path(state_dir))
        warnings.append(warning)
        region.close()
        values = Values(Path(state_dir), values_bytes_max, warnings.append)
        try:
            for _ in range(2):  # the first call may find the file damaged
                try:
                    values.get("")
                    break
                except StoreError as error:
                    failure = str(error)
            else:
                warnings.append(failure)
        finally:
            values.close()
    except OSError as error:
        warnings.append(f"limits are kept in each worker alone: {error.strerror or error}")
    return "; ".join(filter(None, warnings))
