"""Whether this process can start the threads that it needs: found out at its start, not at its first request.

A process below its limit for threads serves until it first needs one, and libuv, which looks names up on threads of its
own, aborts the process where it gets none. A server that cannot work says so and ends.
"""

import asyncio
import threading
from typing import Final

from proxy_pkg.errors import ProxyError

THREADS_NEEDED: Final = 12
"""Four of libuv's, and those for planning, accounts, explanations, log lines, the watchdog and statistics, with some
to spare."""


class ThreadsShortError(ProxyError):
    """The system lets this process start too few threads."""


async def prepare_threads() -> None:
    """Raises ThreadsShortError. Afterwards the loop has the threads that it looks names up on."""
    enough, threads = threading.Event(), []
    try:
        for _ in range(THREADS_NEEDED):
            thread = threading.Thread(target=enough.wait, name="probe", daemon=True)
            thread.start()
            threads.append(thread)
    except RuntimeError as error:
        raise ThreadsShortError(
            f"a worker needs {THREADS_NEEDED} threads besides its own and gets {len(threads)} ({error}): raise the "
            "limit for processes, which counts threads: TasksMax= of a unit, --pids-limit of a container, or ulimit -u"
        ) from error
    finally:
        enough.set()
        for thread in threads:
            thread.join()
    await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 0)
