"""Content codings undone and put on again beside the loop: in short steps, in turn, within a deadline.

A megabyte may hold hundreds, and decoding them takes a thread for a good part of a second. Bodies take turns here, a
few milliseconds each, so that a short one is done at once while large ones are at work. What is not done by its
deadline goes through as it came.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import monotonic_ns
from typing import Final

from proxy_pkg.wire.encoding import LateCodingError, Steps

TURN_NS: Final = 4_000_000
_NS_PER_MS: Final = 1_000_000
_NEVER_NS: Final = 1 << 62

logger = logging.getLogger("proxy_pkg")


class Coder:
    """The codings of one worker: a thread of its own, that nothing else waits for. Close it when the worker ends."""

    def __init__(self, deadline_ms: int) -> None:
        self._deadline_ns = deadline_ms * _NS_PER_MS
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="coding")
        self._has_thread = True
        try:
            self._thread.submit(int)
        except RuntimeError as error:
            logger.error("no thread can be had for content codings, the loop does them in turns: %s", error)
            self._has_thread = False

    async def decoded(self, steps: Steps, hold: Callable[[int], None], *, has_to: bool = False) -> bytes:
        """What `steps` come to. `hold` is told of their bytes as they grow, and of all of them again if they fail.

        Raises LateCodingError at the deadline, unless it `has_to` be done, and what `steps` and `hold` raise.
        """
        until_ns, held, done = _NEVER_NS if has_to else monotonic_ns() + self._deadline_ns, 0, None
        try:
            while done is None:
                done, size_bytes = await self._turn(steps, until_ns)
                hold(size_bytes - held)
                held = size_bytes
        except BaseException:
            hold(-held)
            with suppress(ValueError):  # the thread is at it for another moment
                steps.close()  # or the error's traceback would keep what came of it so far
            raise
        return done

    async def encoded(self, steps: Steps) -> bytes:
        """What `steps` come to, however long it takes: a body that was rewritten is counted as such."""
        done = None
        while done is None:
            done, _ = await self._turn(steps, _NEVER_NS)
        return done

    async def _turn(self, steps: Steps, until_ns: int) -> tuple[bytes | None, int]:
        if self._has_thread:
            return await asyncio.get_running_loop().run_in_executor(self._thread, _turn, steps, until_ns)
        await asyncio.sleep(0)
        return _turn(steps, until_ns)

    def close(self) -> None:
        """Let the thread end after its turn; nothing waits for it."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _turn(steps: Steps, until_ns: int) -> tuple[bytes | None, int]:
    """Work for one turn: the result if it is there, and how many bytes there are."""
    if monotonic_ns() > until_ns:
        raise LateCodingError("the deadline passed before the codings were done")
    end_ns, size_bytes = monotonic_ns() + TURN_NS, 0
    try:
        while True:
            size_bytes = next(steps)
            if monotonic_ns() > end_ns:
                return None, size_bytes
    except StopIteration as end:
        return end.value, len(end.value)
