"""The bare stack: gunicorn, uvicorn, Starlette and aiohttp as a relay with no features, to compare ours with.

It is the quickest form of these four that still streams: Starlette routes to a plain ASGI endpoint, because
its own StreamingResponse starts a task group for each answer and costs almost as much as all the rest.
Serve it with `BARE_UPSTREAM=http://127.0.0.1:PORT gunicorn -k uvicorn_worker.UvicornWorker bench.bare:app`.
"""

import contextlib
import os
from collections.abc import AsyncIterator

import aiohttp
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from yarl import URL

UPSTREAM = os.environ.get("BARE_UPSTREAM", "")
HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"transfer-encoding"})
NOT_RELAYED = HOP_BY_HOP | {b"host", b"content-length"}
ADDED_BY_AIOHTTP = ("user-agent", "accept", "accept-encoding", "content-type")


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=500),
        timeout=aiohttp.ClientTimeout(total=None),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    ) as session:
        app.state.session = session
        yield


class Relay:
    """The whole body in, the answer out chunk by chunk as it comes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await scope["app"].state.session.request(
            scope["method"],
            URL(UPSTREAM + scope["raw_path"].decode(), encoded=True),
            headers=[(name.decode(), value.decode()) for name, value in scope["headers"] if name not in NOT_RELAYED],
            data=await whole_body(receive) or None,
            skip_auto_headers=ADDED_BY_AIOHTTP,
        )
        headers = [(name.lower(), value) for name, value in answer.raw_headers if name.lower() not in HOP_BY_HOP]
        async with answer:
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            async for chunk in answer.content.iter_any():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def whole_body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


class Ready:
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("ready")(scope, receive, send)


app = Starlette(routes=[Route("/readyz", Ready()), Route("/{path:path}", Relay())], lifespan=lifespan)
