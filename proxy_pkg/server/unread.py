"""Bytes of a socket's messages that nobody has taken yet, charged to what the worker may hold."""

from collections import deque
from collections.abc import Callable
from typing import Final

from proxy_pkg.web.coding import Coder

FRAGMENT_BYTES: Final = 64
"""What a fragment takes besides its bytes: a message may come in fragments of one byte."""


class Unread:
    """The bytes of one socket: those of the message that is coming, and of messages that wait to be taken."""

    def __init__(self) -> None:
        self._hold: Callable[[int], None] | None = None
        self._charged = 0
        self._waiting: deque[int] = deque()
        self._waiting_bytes = 0
        self.fragments_bytes = 0
        self.inflated_bytes = 0
        """Of the message that is being inflated."""
        self.coder: Coder | None = None

    def attach(self, hold: Callable[[int], None] | None, coder: Coder | None = None) -> None:
        """From now on `hold` is told of bytes that come and go, and may raise RefusedError; None ends it. `coder` does
        what takes long.
        """
        self._hold, self._charged, self.coder = hold, 0, coder

    def add_fragment(self, size_bytes: int) -> None:
        self.fragments_bytes += size_bytes + FRAGMENT_BYTES

    def complete(self) -> None:
        """The message that was coming waits to be taken."""
        self._waiting.append(self.fragments_bytes)
        self._waiting_bytes += self.fragments_bytes
        self.fragments_bytes = 0

    def drop(self) -> None:
        """Nothing is held any more, and nothing will be."""
        if self._hold is not None:
            self._hold(-self._charged)
        self._hold, self._charged = None, 0
        self._waiting.clear()
        self._waiting_bytes = self.fragments_bytes = self.inflated_bytes = 0

    def take(self) -> None:
        """The oldest message that waited is taken."""
        if self._waiting:  # nothing waits after `drop`
            self._waiting_bytes -= self._waiting.popleft()

    def charge(self, buffered_bytes: int) -> None:
        """Say what is held now, with so many bytes of a frame that is not whole. Raises what `hold` raises."""
        now = buffered_bytes + self.fragments_bytes + self._waiting_bytes + self.inflated_bytes
        if self._hold is not None and now != self._charged:
            self._hold(now - self._charged)
            self._charged = now
