"""What was read and decided before, so that a turn pays only for what is new.

A memo changes no result: everything in it is a pure function of its key. It saves time, and forgetting an entry
costs time, nothing else.
"""

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Memo(Generic[Value]):
    """A map bounded in bytes that forgets what was not asked for longest.

    Threads may share it. Each entry is charged the size that `put` is told, plus a flat charge for its frame.
    The caches of the standard library and cachetools bound the number of entries or are not safe to share, and
    a conversation's items differ in size by five orders of magnitude.
    """

    _FRAME_BYTES = 400

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._entries: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable) -> Value | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
        return entry[0]

    def peek(self, key: Hashable) -> Value | None:
        """As `get`, but takes no lock, so that a thread may be broken off in it; the entry grows old as before."""
        entry = self._entries.get(key)
        return None if entry is None else entry[0]

    def put(self, key: Hashable, value: Value, size_bytes: int) -> None:
        size_bytes += self._FRAME_BYTES
        if size_bytes > self._bytes_max // 4:
            return
        with self._lock:
            _, freed = self._entries.pop(key, (None, 0))
            self._entries[key] = (value, size_bytes)
            self._bytes += size_bytes - freed
            while self._bytes > self._bytes_max:
                _, (_, freed) = self._entries.popitem(last=False)
                self._bytes -= freed

    @property
    def size_bytes(self) -> int:
        return self._bytes

    def __len__(self) -> int:
        return len(self._entries)
