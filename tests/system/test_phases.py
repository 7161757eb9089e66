"""Where a request waits, somebody can see: in its answer, and in the histogram of our own time."""

import threading
from collections.abc import Callable

from bench.processes import Server
from tests.fakes.client import Answer, ask
from tests.fakes.scripts import Script, reply
from tests.fakes.upstream import Upstream
from tests.system.patience import eventually, stats

BODY = b'{"model":"m","messages":[]}'


def timing(answer: Answer) -> dict[str, float]:
    entries = (entry.partition(";dur=") for entry in answer.header("server-timing").split(", "))
    return {name.removeprefix("headroom-"): float(milliseconds) for name, _, milliseconds in entries}


def test_waits_for_limits_and_for_the_pool_are_phases_of_their_own(
    server: Callable[..., Server], upstream: Upstream
) -> None:
    running = server(
        HEADROOM_WORKERS="1", HEADROOM_MAX_CONNECTIONS="1", HEADROOM_MAX_KEEPALIVE="1", HEADROOM_RPM="1000"
    )
    upstream.play(Script((("hold", "first"), *reply().steps)))
    answers: list[Answer] = []
    asking = [
        threading.Thread(target=lambda: answers.append(ask(running.port, "POST", "/v1/messages", (), BODY)))
        for _ in range(2)
    ]
    for thread in asking:
        thread.start()
    upstream.wait_until(lambda it: len(it.requests) == 1)
    eventually(lambda: len(stats(running)["live"]["newest"]) == 2)
    upstream.release("first")
    for thread in asking:
        thread.join()
    first, second = sorted(map(timing, answers), key=lambda told: told["pool"])
    assert set(first) == {"read", "plan", "connect", "upstream", "limits", "pool"}
    assert (first["pool"], first["limits"] > 0) == (0, True)
    assert second["pool"] > 0
    overhead = stats(running)["overhead"]
    assert {phase: overhead[phase]["count"] for phase in ("limits", "pool")} == {"limits": 2, "pool": 1}
    assert overhead["read"]["count"] == overhead["plan"]["count"] == 2
