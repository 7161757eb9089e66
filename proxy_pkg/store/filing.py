"""Values on a thread of their own, so that no file ever keeps an event loop waiting."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from proxy_pkg.store.contract import StoreError
from proxy_pkg.store.values import Values

DEADLINE_MS: Final = 500
PENDING_MAX: Final = 64
"""Calls that may wait for the thread; further ones are refused at once."""

T = TypeVar("T")


class Filing:
    """The part of a store that lies in `Values`. A call that is not done within DEADLINE_MS raises StoreError; what
    it was about to write may still be written.
    """

    def __init__(self, state_dir: Path, bytes_max: int, found: Callable[[str], None]) -> None:
        self._values = Values(state_dir, bytes_max, found)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        with suppress(RuntimeError):  # later there may be none to be had
            self._thread.submit(int)
        self._pending = 0

    async def put(self, key: str, value: bytes, ttl_s: int, keep: bool) -> bytes:
        return await self._run(lambda: self._values.put(key, value, ttl_s, keep))

    async def put_many(self, items: Mapping[str, bytes], ttl_s: int, keep: bool) -> dict[str, bytes]:
        frozen = dict(items)
        return await self._run(lambda: self._values.put_many(frozen, ttl_s, keep))

    async def get_many(self, keys: Sequence[str], renew_s: int) -> dict[str, bytes]:
        frozen = list(keys)
        return await self._run(lambda: self._values.get_many(frozen, renew_s))

    async def get(self, key: str) -> bytes | None:
        return await self._run(lambda: self._values.get(key))

    async def delete(self, key: str) -> None:
        await self._run(lambda: self._values.delete(key))

    async def add(self, key: str, amounts: Mapping[str, int], ttl_s: int) -> None:
        frozen = dict(amounts)
        await self._run(lambda: self._values.add(key, frozen, ttl_s))

    async def totals(self, key: str) -> dict[str, int]:
        return await self._run(lambda: self._values.totals(key))

    def close(self) -> None:
        """Let what has begun end; nothing waits for it."""
        with suppress(RuntimeError):  # no thread was ever had
            self._thread.submit(self._values.close)
        self._thread.shutdown(wait=False)

    async def _run(self, call: Callable[[], T]) -> T:
        if self._pending >= PENDING_MAX:
            raise StoreError("too many calls wait for the file", "busy")
        try:
            future = asyncio.get_running_loop().run_in_executor(self._thread, call)
        except RuntimeError as error:
            raise StoreError(f"no thread can be had for the file: {error}", "busy") from error
        self._pending += 1
        future.add_done_callback(self._done)
        try:
            async with asyncio.timeout(DEADLINE_MS / 1000):
                return await asyncio.shield(future)
        except TimeoutError:
            raise StoreError(f"the file was not done within {DEADLINE_MS} ms", "timeout") from None

    def _done(self, future: "asyncio.Future[T]") -> None:
        self._pending -= 1
        if not future.cancelled():
            future.exception()  # seen, also where nobody waits for it any more
