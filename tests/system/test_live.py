"""What is open and what came last, told by whichever worker answers; and nothing secret in it."""

from collections.abc import Callable

from websockets.asyncio.client import connect

from bench.processes import Server
from tests.fakes.client import Caller, ask
from tests.fakes.scripts import Script, reply
from tests.fakes.upstream import Upstream
from tests.fakes.websocket import Sockets, listen
from tests.system.patience import eventually, stats

CANARY = b"sk-canary-0123456789abcdef"
HEAD = b"POST /v1/messages?key=%s HTTP/1.1\r\nhost: x\r\nx-api-key: %s\r\ncontent-length: 2\r\n\r\n{}" % (
    CANARY,
    CANARY,
)


def newest(server: Server) -> list[dict[str, str]]:
    found: list[dict[str, str]] = stats(server)["live"]["newest"]
    return found


def workers_that_agree(server: Server, true: Callable[[], bool]) -> None:
    """Several requests over connections of their own: whichever worker gets one."""
    for _ in range(8):
        eventually(true)


async def test_open_requests_and_sockets_are_seen_from_every_worker(
    server: Callable[..., Server], upstream: Upstream
) -> None:
    started = server(HEADROOM_WORKERS="2")
    upstream.answer = lambda _: Script((("stall",),))
    caller = Caller(started.port)
    caller.write(HEAD)
    eventually(lambda: len(upstream.requests) == 1)
    Sockets(upstream, listen)
    async with connect(f"ws://127.0.0.1:{started.port}/v1/responses", proxy=None, ping_interval=None):
        workers_that_agree(started, lambda: len(newest(started)) == 2)
        shown = {note["route"]: note for note in newest(started)}
        assert shown["messages"]["phase"] == "waiting"
        assert shown["messages"]["protocol"] == "anthropic_messages"
        assert shown["websocket"]["phase"] == "idle"
        assert stats(started)["live"]["count"] == 2
        assert CANARY not in ask(started.port, "GET", "/stats").body
    caller.reset()
    workers_that_agree(started, lambda: newest(started) == [])


def test_the_last_requests_are_seen_from_every_worker(server: Callable[..., Server], upstream: Upstream) -> None:
    started = server(HEADROOM_WORKERS="2")
    upstream.answer = lambda _: reply()
    for _ in range(10):
        answer = ask(
            started.port, "POST", f"/v1/messages?key={CANARY.decode()}", ((b"x-api-key", CANARY),), b'{"model":"m-1"}'
        )
    last = answer.header("x-headroom-request-id")

    def recent() -> list[dict[str, object]]:
        found: list[dict[str, object]] = ask(started.port, "GET", "/stats/recent").json()["recent"]
        return found

    workers_that_agree(started, lambda: len(recent()) == 10)
    assert last in [note["id"] for note in recent()]
    assert all(note["status"] == 200 and note["route"] == "messages" and note["model"] == "m-1" for note in recent())
    assert CANARY not in ask(started.port, "GET", "/stats/recent").body


def test_the_last_requests_outlive_their_worker(server: Callable[..., Server], upstream: Upstream) -> None:
    started = server(HEADROOM_WORKERS="1")
    upstream.answer = lambda _: reply()
    ask(started.port, "POST", "/v1/messages", (), b"{}")
    before = started.worker_pids
    eventually(lambda: len(ask(started.port, "GET", "/stats/recent").json()["recent"]) == 1)
    started.process.send_signal(1)
    eventually(lambda: started.worker_pids and not set(started.worker_pids) & set(before))
    eventually(lambda: len(ask(started.port, "GET", "/stats/recent").json()["recent"]) == 1)


def test_recent_requests_are_for_callers_on_this_machine(server: Callable[..., Server]) -> None:
    assert ask(server().port, "HEAD", "/stats/recent").status == 200
