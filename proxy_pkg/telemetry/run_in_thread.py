"""Work that may take a while, done on a thread beside the loop; where no thread can be had, done at once all the same.

Machines run out of threads while a server runs. What is short enough to keep the loop for a moment is better done late
than not at all.
"""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


async def run_in_thread(work: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
    """What `work` returns. It only reads: where a thread is had too late, it may be done once more for nothing."""

    def call() -> Result:
        return work(*args, **kwargs)

    try:
        coming = asyncio.get_running_loop().run_in_executor(None, call)
    except RuntimeError:  # no thread can be started
        return call()
    return await coming
