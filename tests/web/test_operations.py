"""The routes about the server itself, asked through the ASGI interface."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from starlette.applications import Starlette

from proxy_pkg import __version__
from proxy_pkg.stats.counters import Counters, open_counters, private_counters
from proxy_pkg.stats.directory import prepare
from proxy_pkg.stats.record import RequestRecord
from proxy_pkg.web.operations import operations_routes
from proxy_pkg.web.state import WorkerState

ALL = ("/livez", "/readyz", "/health", "/stats", "/metrics")
LOCAL = ("127.0.0.1", 5)


class Answer(SimpleNamespace):
    status: int
    headers: dict[str, str]
    body: bytes


async def ask(
    app: Any, path: str, client: Any = LOCAL, method: str = "GET", headers: Any = (), host: bytes = b"localhost:8787"
) -> Answer:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "client": client,
        "headers": [(b"host", host), *headers], "server": ("127.0.0.1", 8787),
    }  # fmt: skip
    await app(scope, receive, send)
    head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(status=sent[0]["status"], headers=head, body=b"".join(part.get("body", b"") for part in sent[1:]))


def worker_app(counters: Counters, *, remote: bool = False, **state: Any) -> Starlette:
    condition = WorkerState(time.monotonic(), counters.slot, **({"warm": True} | state))
    return Starlette(
        routes=operations_routes(
            SimpleNamespace(operations_remote=remote, allowed_hosts="proxy.lan"), counters, condition
        )
    )


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[list[Counters]]:
    server = prepare(str(tmp_path / "state"))
    opened = [open_counters(str(tmp_path / "state"), 2) for _ in range(2)]
    yield opened
    for counters in opened:
        counters.close()
    server.close()


async def test_liveness_and_readiness_of_a_warm_worker(workers: list[Counters]) -> None:
    app = worker_app(workers[0])
    for path in ("/livez", "/readyz"):
        answer = await ask(app, path)
        assert (answer.status, answer.body, answer.headers["cache-control"]) == (200, b"ok", "no-store")


@pytest.mark.parametrize(("state", "reason"), [({"warm": False}, b"starting"), ({"draining": True}, b"draining")])
async def test_a_cold_or_draining_worker_is_alive_but_not_ready(
    workers: list[Counters], state: dict[str, bool], reason: bytes
) -> None:
    app = worker_app(workers[0], **state)
    ready = await ask(app, "/readyz")
    assert (ready.status, ready.body) == (503, reason)
    assert (await ask(app, "/livez")).status == 200
    health = await ask(app, "/health")
    assert (health.status, msgspec.json.decode(health.body)["status"]) == (200, reason.decode())


async def test_health_names_version_and_worker(workers: list[Counters]) -> None:
    answer = msgspec.json.decode((await ask(worker_app(workers[1]), "/health")).body)
    age_seconds = answer["worker"].pop("age_seconds")
    assert 0 <= age_seconds < 60
    assert answer == {"status": "ok", "version": __version__, "worker": {"slot": 1, "pid": os.getpid()}}


async def test_every_worker_gives_the_same_totals_and_only_answered_by_differs(workers: list[Counters]) -> None:
    for number in range(30):
        workers[number % 2].finished(RequestRecord(protocol="anthropic", tokens_before=9, tokens_after=5))
    answers = [msgspec.json.decode((await ask(worker_app(counters), "/stats")).body) for counters in workers]
    assert [answer.pop("answered_by")["slot"] for answer in answers] == [0, 1]
    for answer in answers:
        del answer["window"]
        for worker in answer["workers"]["live"]:
            del worker["age_seconds"]
    assert answers[0] == answers[1]
    assert answers[0]["requests"]["total"] == 30
    texts = [await ask(worker_app(counters), "/metrics") for counters in workers]
    assert texts[0].body == texts[1].body
    assert texts[0].headers["content-type"].startswith("text/plain; version=0.0.4")


@pytest.mark.parametrize("path", ALL)
async def test_head_answers_as_get_would_and_posting_is_refused(workers: list[Counters], path: str) -> None:
    app = worker_app(workers[0])
    got, headed = await ask(app, path), await ask(app, path, method="HEAD")
    assert headed.status == got.status == 200
    assert headed.headers["content-type"] == got.headers["content-type"]
    assert (await ask(app, path, method="POST")).status == 405


@pytest.mark.parametrize("client", [("10.1.2.3", 5), ("::ffff:10.1.2.3", 5), ("", 0), None])
async def test_numbers_are_for_callers_on_this_machine_and_health_for_all(workers: list[Counters], client: Any) -> None:
    app = worker_app(workers[0])
    forged = [(b"x-forwarded-for", b"127.0.0.1"), (b"forwarded", b"for=127.0.0.1"), (b"x-real-ip", b"127.0.0.1")]
    for path in ("/stats", "/metrics"):
        answer = await ask(app, path, client, headers=forged)
        assert answer.status == 403
        assert b"HEADROOM_OPERATIONS_REMOTE" in answer.body
        assert b"proxy_" not in answer.body
    for path in ("/livez", "/readyz", "/health"):
        assert (await ask(app, path, client)).status == 200


@pytest.mark.parametrize("client", [("10.1.2.3", 5), None])
async def test_the_setting_opens_them(workers: list[Counters], client: Any) -> None:
    app = worker_app(workers[0], remote=True)
    assert [(await ask(app, path, client)).status for path in ALL] == [200] * 5


async def test_counters_that_cannot_be_read_are_an_error_not_a_lower_total(
    workers: list[Counters], tmp_path: Path
) -> None:
    (tmp_path / "state" / "slots" / "7.counters").mkdir()
    (tmp_path / "state" / "slots" / "8.counters").symlink_to(tmp_path / "state" / "slots" / "0.counters")
    app = worker_app(workers[0])
    for path in ("/stats", "/metrics"):
        answer = await ask(app, path)
        assert answer.status == 503
        assert b"cannot be read" in answer.body
    assert (await ask(app, "/health")).status == 200


async def test_a_worker_without_shared_counters_says_so_and_counts_its_own() -> None:
    counters = private_counters()
    counters.finished(RequestRecord())
    answer = msgspec.json.decode((await ask(worker_app(counters), "/stats")).body)
    assert answer["answered_by"]["counts_shared"] is False
    assert answer["requests"]["total"] == 1
    counters.close()


async def test_a_web_page_whose_name_leads_here_reads_nothing(workers: list[Counters]) -> None:
    app = worker_app(workers[0])
    for path in ("/stats", "/metrics"):
        assert (await ask(app, path, host=b"evil.test:8787")).status == 421
        assert (await ask(app, path, host=b"proxy.lan")).status == 200
        assert (await ask(worker_app(workers[0], remote=True), path, host=b"evil.test")).status == 200
