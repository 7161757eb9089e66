"""One request through the real path: our app as a worker builds it, and a small upstream on loopback behind it."""

import asyncio
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec
from msgspec import Struct, structs

from proxy_pkg.config.settings import ROWS, Settings
from proxy_pkg.model import Level
from proxy_pkg.server.gunicorn_limits import heartbeat_dir
from proxy_pkg.stats.counters import private_counters
from proxy_pkg.tokens.count import load
from proxy_pkg.web.app import ProxyApp, build_app

LIMIT_SECONDS: Final = 10.0
LINES: Final = 200
ANSWER: Final = b'{"type":"message","role":"assistant","content":[{"type":"text","text":"ok"}]}'
_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER)
_ALONE: Final[dict[str, Any]] = {
    "proxy_token": "",
    "proxy_keys": "",
    "upstream_https_proxy_url": "",
    "upstream_http_proxy_url": "",
    "redis_url": "",
    "otel": False,
    "holdout": 0.0,
    "upstreams": (),
    "access_log": False,
}
"""Settings under which the test reaches no other service and needs no token."""


class Outcome(Struct):
    """What came of it: `problem` is empty if all is well; sizes in bytes."""

    problem: str = ""
    sent_bytes: int = 0
    arrived_bytes: int = 0
    seconds: float = 0.0


class Upstream:
    """Answers everything with one message, and keeps the last body."""

    def __init__(self) -> None:
        self.body = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        self.body = await reader.readexactly(length)
        writer.write(_HEAD + ANSWER)
        await writer.drain()
        writer.close()


def request_body() -> bytes:
    """A conversation with a numbered file read, which every level but `off` and `observe` writes shorter."""
    text = "\n".join(f"{number:6}\u2192    total_{number % 7} = read_part({number})" for number in range(1, LINES))
    call = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"file_path": "/a.py"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": text}
    messages = [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    return msgspec.json.encode({"model": "m", "max_tokens": 1, "messages": messages})


def self_test(settings: Settings) -> Outcome:
    """Send one request through an app with these settings. Touches neither a server's state nor a real upstream."""
    try:
        # In memory, where heartbeats are: in a container with a read-only root there is no other place.
        with TemporaryDirectory(prefix="proxy_pkg-", dir=heartbeat_dir()) as folder:
            return asyncio.run(asyncio.wait_for(_test(settings, folder), LIMIT_SECONDS))
    except TimeoutError:
        return Outcome(f"no answer within {LIMIT_SECONDS:g} seconds")
    except OSError as error:
        return Outcome(f"it cannot be tried here: {error}")


async def _test(settings: Settings, folder: str) -> Outcome:
    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    targets = {name: origin for name, row in ROWS.items() if row.kind == "url"}
    here = structs.replace(settings, **targets, **_ALONE, state_dir=folder)
    app = build_app(here, private_counters(), load())
    async with server, app.router.lifespan_context(app):
        began = asyncio.get_running_loop().time()
        status, body = await _ask(app, request_body())
        seconds = asyncio.get_running_loop().time() - began
    problem = _problem(settings.compression, status, body, upstream.body)
    return Outcome(problem, len(request_body()), len(upstream.body), seconds)


async def _ask(app: ProxyApp, body: bytes) -> tuple[int, bytes]:
    path = "/v1/messages"
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "client": ("127.0.0.1", 1),
        "headers": [(b"content-length", b"%d" % len(body)), (b"anthropic-version", b"2023-06-01")],
    }
    asked = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[Any] = []

    async def receive() -> Any:
        return asked.pop() if asked else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    status = next(message["status"] for message in sent if message["type"] == "http.response.start")
    return status, b"".join(message.get("body", b"") for message in sent)


def _problem(level: Level, status: int, body: bytes, arrived: bytes) -> str:
    if (status, body) != (200, ANSWER):
        return f"the answer is not the upstream's: status {status}, {body[:200]!r}"
    whole = level in (Level.OFF, Level.OBSERVE)
    if whole and arrived != request_body():
        return f"with compression {level.value} the body should arrive as it was sent"
    if not whole and len(arrived) >= len(request_body()):
        return f"with compression {level.value} the body should arrive shorter"
    return ""
