"""Memory that was freed goes back to the system.

The allocator keeps what programs free, for the next who asks. Behind a crowd that has left, which held hundreds of
megabytes, nobody asks for a long time, and other processes could use them.
"""

import ctypes
from collections.abc import Callable
from typing import Any, Final

FREED_BYTES_MIN: Final = 16 << 20
"""Less is not worth a look through all of the heap."""
BUSY_LOOKS: Final = 30
"""So often in turn a process that is never idle waits with it."""


class _Mallinfo(ctypes.Structure):
    """`struct mallinfo2` of glibc 2.33 and later: see mallinfo(3)."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    )


class AllocatorTrim:
    """Looks once a second at what the allocator holds unused. `unused` and `trim` are the allocator's own; None where
    it has none, and then nothing is done.
    """

    def __init__(self, unused: Callable[[], int] | None, trim: Callable[[], object]) -> None:
        self._unused = unused
        self._trim = trim
        self._least_bytes = 0
        """What was given back before is counted as unused still, as long as nobody has used it again."""
        self._waited = 0

    def look(self, *, is_idle: bool) -> bool:
        """Give back what has become free, if nobody waits for this process or if that has been so for long: it takes
        about a third of a millisecond a megabyte. Says whether it did so.
        """
        if self._unused is None:
            return False
        unused = self._unused()
        self._least_bytes = min(self._least_bytes, unused)
        if unused - self._least_bytes < FREED_BYTES_MIN:
            self._waited = 0
            return False
        self._waited += 1
        if not is_idle and self._waited < BUSY_LOOKS:
            return False
        self._trim()
        self._least_bytes, self._waited = unused, 0
        return True


def allocator_trim() -> AllocatorTrim:
    """That of this process."""
    library: Any = ctypes.CDLL(None)
    info, trim = getattr(library, "mallinfo2", None), getattr(library, "malloc_trim", None)
    if info is None or trim is None:  # another C library, or an old one
        return AllocatorTrim(None, int)
    info.restype = _Mallinfo
    trim.argtypes = (ctypes.c_size_t,)

    def unused() -> int:
        return int(info().fordblks)

    return AllocatorTrim(unused, lambda: trim(0))
