"""Values and totals in an SQLite file that the workers share: what is too long or too rare for the mapped one.

Not a word of this may run on an event loop: `filing.Filing` gives it a thread. The file is bounded by its count of
pages, and old values make room for new ones. It has a rollback journal, not a write-ahead log: a log grows without
bound while somebody reads, and its index is a mapped file, where a full or cut one is a SIGBUS, the end of the
worker. A long reading by others makes writes fail here, and nothing else. Opened in each worker, after the fork.
"""

import math
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from proxy_pkg.store.contract import UNITS_MAX, VALUE_BYTES_MAX, StoreError
from proxy_pkg.store.region import directory_lock

FILE: Final = "values-1.sqlite"
PAGE_BYTES: Final = 4096
PAGES_MIN: Final = 64
BUSY_WAIT_MS: Final = 50
EVICTIONS_MAX: Final = 24
EVICTED_SHARE: Final = 8
"""Each time one in so many values goes, oldest first, and at least one."""
SWEEP_SECONDS: Final = 60
SWEPT_MAX: Final = 500
FIELDS_MAX: Final = 4096

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS value (key TEXT PRIMARY KEY, value BLOB NOT NULL, expires_s INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS value_expires ON value (expires_s);
CREATE TABLE IF NOT EXISTS total (
    key TEXT, field TEXT, amount INTEGER NOT NULL, expires_s INTEGER NOT NULL, PRIMARY KEY (key, field)
) WITHOUT ROWID;
"""
REASONS: Final = {
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_LOCKED: "busy",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_NOTADB: "damaged",
}
"""SQLite's primary result code -> the reason of a StoreError; any other is `unreachable`."""


class Values:
    """The values of a directory. `bytes_max` bounds the file itself, the log comes on top. One thread may use it."""

    def __init__(
        self, state_dir: Path, bytes_max: int, found: Callable[[str], None], clock: Callable[[], float] = time.time
    ) -> None:
        self._path = state_dir / FILE
        self._pages_max = max(PAGES_MIN, bytes_max // PAGE_BYTES)
        self._found = found
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._swept_at = 0.0

    def put(self, key: str, value: bytes, ttl_s: int, keep: bool) -> bytes:
        """As the contract says."""
        return self.put_many({key: value}, ttl_s, keep)[key]

    def put_many(self, items: Mapping[str, bytes], ttl_s: int, keep: bool) -> dict[str, bytes]:
        """As the contract says."""
        if sum(map(len, items.values())) > min(VALUE_BYTES_MAX, self._pages_max * PAGE_BYTES // 4):
            raise StoreError("a value is longer than the store takes", "size")
        now_s = int(self._clock())
        with self._using() as connection:
            self._sweep(connection, now_s)
            for _ in range(EVICTIONS_MAX):
                try:
                    return _put(connection, items, now_s, self._expires_s(ttl_s), keep)
                except sqlite3.OperationalError as error:
                    if _code(error) != sqlite3.SQLITE_FULL or not _evict(connection):
                        raise
        raise StoreError("no room for a value", "full")

    def get_many(self, keys: Sequence[str], renew_s: int) -> dict[str, bytes]:
        """As the contract says."""
        now_s = int(self._clock())
        expires_s = self._expires_s(renew_s)
        ask = "SELECT value FROM value WHERE key = ? AND expires_s > ?"
        with self._using() as connection:
            rows = ((key, connection.execute(ask, (key, now_s)).fetchone()) for key in keys)
            found = {key: bytes(row[0]) for key, row in rows if row}
            if renew_s and found:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(
                    "UPDATE value SET expires_s = ? WHERE key = ?", [(expires_s, key) for key in found]
                )
                connection.execute("COMMIT")
        return found

    def get(self, key: str) -> bytes | None:
        """As the contract says."""
        with self._using() as connection:
            row = connection.execute(
                "SELECT value FROM value WHERE key = ? AND expires_s > ?", (key, int(self._clock()))
            ).fetchone()
        return bytes(row[0]) if row else None

    def delete(self, key: str) -> None:
        """As the contract says."""
        with self._using() as connection:
            connection.execute("DELETE FROM value WHERE key = ?", (key,))

    def add(self, key: str, amounts: Mapping[str, int], ttl_s: int) -> None:
        """As the contract says. At most FIELDS_MAX fields at a time."""
        if len(amounts) > FIELDS_MAX:
            raise StoreError(f"more than {FIELDS_MAX} totals at once", "size")
        now_s = int(self._clock())
        with self._using() as connection:
            while True:
                try:
                    return _add(connection, key, amounts, now_s, self._expires_s(ttl_s))
                except sqlite3.OperationalError as error:
                    if _code(error) != sqlite3.SQLITE_FULL or not _evict(connection):
                        raise

    def totals(self, key: str) -> dict[str, int]:
        """As the contract says."""
        with self._using() as connection:
            rows = connection.execute(
                "SELECT field, amount FROM total WHERE key = ? AND expires_s > ?", (key, int(self._clock()))
            )
            return dict(rows.fetchall())

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _expires_s(self, ttl_s: int) -> int:
        """When something put now ends. Rows hold whole seconds: rounded up, since nothing may end before its time."""
        return math.ceil(self._clock()) + ttl_s

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._connected()
        except sqlite3.Error as error:
            reason = REASONS.get(_code(error), "unreachable")
            if reason == "damaged":
                self._set_aside()
            self._rolled_back()
            raise StoreError(f"{self._path.name}: {error}", reason) from error
        except OSError as error:
            raise StoreError(f"{self._path.name}: {error.strerror or error}", "unreachable") from error
        except UnicodeError as error:
            raise StoreError("a key or a field is no text", "size") from error

    def _rolled_back(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None:
            if self._path.exists() and self._path.stat().st_ino == self._inode:
                return self._connection
            self.close()  # another worker has set the file aside, or somebody has removed it
        with directory_lock(self._path.parent):
            self._path.touch(mode=0o600)
            self._inode = self._path.stat().st_ino
            self._connection = self._opened()
        return self._connection

    def _opened(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_WAIT_MS / 1000, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode = TRUNCATE")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA max_page_count = {self._pages_max}")
            connection.execute("PRAGMA cache_size = -1024")
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'total'").fetchone():
                connection.executescript(SCHEMA)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _set_aside(self) -> None:
        """Rename the file, so that the next call makes a new one. One damaged file is kept to be looked at."""
        self.close()
        aside = self._path.with_suffix(".damaged")
        with suppress(OSError), directory_lock(self._path.parent):
            if self._inode in (0, self._path.stat().st_ino):
                self._path.replace(aside)
                Path(f"{self._path}-journal").unlink(missing_ok=True)
                self._found(f"{self._path} was damaged: it is now {aside.name}, and a new one is made")

    def _sweep(self, connection: sqlite3.Connection, now_s: int) -> None:
        if time.monotonic() - self._swept_at < SWEEP_SECONDS and self._swept_at:
            return
        self._swept_at = time.monotonic()
        oldest = "(SELECT key FROM value WHERE expires_s <= ? LIMIT ?)"
        connection.execute(f"DELETE FROM value WHERE key IN {oldest}", (now_s, SWEPT_MAX))  # noqa: S608 (a constant)
        connection.execute("DELETE FROM total WHERE expires_s <= ?", (now_s,))


def _put(
    connection: sqlite3.Connection, items: Mapping[str, bytes], now_s: int, expires_s: int, keep: bool
) -> dict[str, bytes]:
    held = dict(items)
    connection.execute("BEGIN IMMEDIATE")
    try:
        for key, value in items.items():
            row = None
            if keep:
                ask = "SELECT value FROM value WHERE key = ? AND expires_s > ?"
                row = connection.execute(ask, (key, now_s)).fetchone()
            if row is None:
                connection.execute("REPLACE INTO value VALUES (?, ?, ?)", (key, value, expires_s))
            else:
                held[key] = bytes(row[0])
                connection.execute("UPDATE value SET expires_s = ? WHERE key = ?", (expires_s, key))
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return held


def _add(connection: sqlite3.Connection, key: str, amounts: Mapping[str, int], now_s: int, expires_s: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("DELETE FROM total WHERE key = ? AND expires_s <= ?", (key, now_s))
        connection.executemany(
            "INSERT INTO total VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET amount = amount + ?3",
            [(key, field, max(-UNITS_MAX, min(amount, UNITS_MAX)), expires_s) for field, amount in amounts.items()],
        )
        connection.execute("UPDATE total SET expires_s = ? WHERE key = ?", (expires_s, key))
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _evict(connection: sqlite3.Connection) -> bool:
    """Drop the oldest values, by when they were put. False if there are none."""
    (count,) = connection.execute("SELECT count(*) FROM value").fetchone()
    if count == 0:
        return False
    oldest = "(SELECT rowid FROM value ORDER BY rowid LIMIT ?)"
    connection.execute(f"DELETE FROM value WHERE rowid IN {oldest}", (count // EVICTED_SHARE + 1,))  # noqa: S608 (a constant)
    return True


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", -1) & 0xFF
