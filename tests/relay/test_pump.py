"""Who leaves, and what that ends: a client's departure cancels one exchange, and nothing else."""

import asyncio
from typing import Any

import pytest

from proxy_pkg.relay.pump import Departure


class Client:
    """A receive channel whose client leaves when told."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}


async def served(client: Client, began: asyncio.Event | None = None, watch: bool = True) -> Departure:
    """An exchange that would last for ever."""
    departure = Departure(client.receive, asyncio.get_running_loop())
    async with departure:
        if watch:
            departure.start()
            departure.start()
        if began:
            began.set()
        await asyncio.Event().wait()
    return departure


async def test_a_client_that_leaves_ends_its_exchange() -> None:
    client, began = Client(), asyncio.Event()
    task = asyncio.ensure_future(served(client, began))
    await began.wait()
    client.left.set()
    assert (await task).happened
    assert task.cancelling() == 0


async def test_a_cancellation_from_outside_goes_on() -> None:
    client, began = Client(), asyncio.Event()
    task = asyncio.ensure_future(served(client, began))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    client.left.set()


async def test_a_cancellation_from_outside_goes_on_although_the_client_left_too() -> None:
    client, began = Client(), asyncio.Event()
    task = asyncio.ensure_future(served(client, began))
    await began.wait()
    client.left.set()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_a_client_does_after_the_end_no_longer_matters() -> None:
    client = Client()
    departure = Departure(client.receive, asyncio.get_running_loop())
    async with departure:
        departure.start()
        await asyncio.sleep(0)
        departure.stop()
        client.left.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert not departure.happened


async def test_an_error_inside_passes_through() -> None:
    client = Client()
    with pytest.raises(KeyError):
        async with Departure(client.receive, asyncio.get_running_loop()) as departure:
            departure.start()
            raise KeyError
    client.left.set()
    await asyncio.sleep(0)


async def test_without_a_start_nobody_reads_the_channel() -> None:
    client, began = Client(), asyncio.Event()
    client.left.set()
    task = asyncio.ensure_future(served(client, began, watch=False))
    await began.wait()
    await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
