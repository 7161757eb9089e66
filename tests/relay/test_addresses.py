"""A provider that moves to another address is found again after one failed connection."""

import socket
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver

from proxy_pkg.relay.client import STRAIGHT, BoundedConnector, session_options
from tests.fakes.upstream import Upstream


class Directory(AbstractResolver):
    """Tells where hosts are; `lookups` counts the questions."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.lookups = 0

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[Any]:
        self.lookups += 1
        place = {"hostname": host, "host": self.address, "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}
        return [place]

    async def close(self) -> None:
        return


async def test_an_address_that_fails_is_forgotten(upstream: Upstream) -> None:
    directory = Directory("127.0.0.2")  # the upstream listens on 127.0.0.1 alone
    connector = BoundedConnector(idle_max=0, resolver=directory, ttl_dns_cache=600)
    async with aiohttp.ClientSession(connector=connector, **session_options(STRAIGHT)) as session:
        url = f"http://moving.test:{upstream.port}/v1/models"
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(url)
        directory.address = "127.0.0.1"
        for _ in range(3):
            async with session.get(url) as response:
                assert response.status == 200
    assert directory.lookups == 2, "one that works is kept"
