"""What the files of a state directory take on disk, however hard they are used."""

from typing import Final

from proxy_pkg.store import journal, marks, turns
from proxy_pkg.store.layout import REGION_BYTES
from proxy_pkg.store.values import PAGE_BYTES, PAGES_MIN

_JOURNAL_SLACK_BYTES: Final = 64 * 1024
_JOURNAL_PAGE_BYTES: Final = 8
"""What SQLite's rollback journal adds to each page that it keeps."""
FIXED_BYTES: Final = 2 * REGION_BYTES + 2 * marks.BYTES + turns.BYTES + journal.BYTES
"""Claims, and a damaged file of them that was set aside; marks, and what was asked for; turns; the journal."""


def store_files_bytes_max(values_bytes_max: int) -> int:
    """The most that all files of the store take: values three times, with their journal and a damaged file."""
    pages = max(PAGES_MIN, values_bytes_max // PAGE_BYTES)
    return FIXED_BYTES + pages * (3 * PAGE_BYTES + _JOURNAL_PAGE_BYTES) + _JOURNAL_SLACK_BYTES
