"""Many clients at once that offer HTTP/2 beside each body, as Java's HTTP client does; each must get its own answer."""

from concurrent.futures import ThreadPoolExecutor

import msgspec

from tests.fakes.client import Caller
from tests.fakes.exchange import Request
from tests.fakes.scripts import Script, reply
from tests.fakes.upstream import Upstream

CLIENTS = 16
TURNS = 8
OFFER = (
    (b"connection", b"Upgrade, HTTP2-Settings"),
    (b"upgrade", b"h2c"),
    (b"http2-settings", b"AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA"),
)


def _echo(request: Request) -> Script:
    """The answer names the request that it answers."""
    names = msgspec.json.decode(request.body)["model"] if request.body else "no body"
    return reply(msgspec.json.encode({"for": names}))


def own_answers_only(port: int, upstream: Upstream) -> None:
    """Ask from many connections, several times on each; every answer must be for the request before it."""
    upstream.answer = _echo

    def client(number: int) -> list[tuple[str, str]]:
        got = []
        with Caller(port) as caller:
            for turn in range(TURNS):
                name = f"{number}-{turn}"
                body = msgspec.json.encode({"model": name, "messages": [], "pad": "x" * 700 * turn})
                answer = caller.ask("POST", "/v1/messages", OFFER, body)
                got.append((name, answer.json()["for"] if answer.status == 200 else f"status {answer.status}"))
        return got

    with ThreadPoolExecutor(CLIENTS) as pool:
        pairs = [pair for part in pool.map(client, range(CLIENTS)) for pair in part]
    assert [pair for pair in pairs if pair[0] != pair[1]] == []
    assert len(upstream.requests) == CLIENTS * TURNS
