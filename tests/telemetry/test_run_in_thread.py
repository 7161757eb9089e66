"""Where no thread can be started any more, counts are told, and accounting and the store go on."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy_pkg.stats.counters import private_counters
from proxy_pkg.store.contract import StoreError
from proxy_pkg.store.filing import Filing
from proxy_pkg.telemetry.run_in_thread import run_in_thread
from tests.billing.test_accounts import USAGE, Place
from tests.web.test_operations import ask, worker_app


@contextmanager
def no_more_threads() -> Iterator[None]:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        yield


async def test_work_is_done_at_once_without_a_thread() -> None:
    with no_more_threads():
        here = await run_in_thread(threading.get_ident)
        assert here == threading.get_ident()


async def test_work_is_done_beside_the_loop_where_there_are_threads() -> None:
    assert await run_in_thread(threading.get_ident) != threading.get_ident()


async def test_an_error_of_the_work_itself_is_raised_once() -> None:
    calls = []

    def work() -> None:
        calls.append(1)
        raise RuntimeError("of the work")

    with pytest.raises(RuntimeError, match="of the work"):
        await run_in_thread(work)
    assert calls == [1]


@pytest.mark.parametrize("path", ["/stats", "/metrics"])
async def test_counts_are_told_without_a_thread(path: str) -> None:
    counters = private_counters()
    app = worker_app(counters)
    with no_more_threads():
        assert (await ask(app, path)).status == 200
    counters.close()


async def test_answers_that_take_long_to_read_are_accounted_for_without_a_further_thread() -> None:
    place = Place()
    with no_more_threads():
        place.settle(
            json.dumps({"model": "claude-haiku-4-5", "usage": USAGE, "content": os.urandom(20_000).hex()}).encode(),
            coding="gzip",
        )
        assert (await place.stats())["usage"]["by_model"]["claude-haiku-4-5"]["input"] == 100
    await place.accounts.close()
    place.counters.close()


async def test_a_store_without_any_thread_raises_what_its_users_expect(tmp_path: Path) -> None:
    with no_more_threads():
        filing = Filing(tmp_path, 1 << 20, lambda _: None)
        with pytest.raises(StoreError, match="no thread"):
            await filing.get("a")
    filing.close()


async def test_a_store_that_is_open_needs_no_further_thread(tmp_path: Path) -> None:
    filing = Filing(tmp_path, 1 << 20, lambda _: None)

    with no_more_threads():
        await filing.put("a", b"1", 60, False)
        assert await filing.get("a") == b"1"
    filing.close()
