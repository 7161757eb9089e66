"""Real servers and workers: a request that has a result alone is sent as one that has its call too."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.processes import Server
from tests.fakes.client import Answer, ask
from tests.fakes.scripts import Script, reply, stream
from tests.fakes.upstream import Upstream
from tests.system.patience import eventually

Start = Callable[..., Server]
TURNS = 6
PATH = "/v1/responses"
ROWS = json.dumps([{"id": n, "name": f"customer {n}", "size": n * 7} for n in range(60)], indent=2)


def name(number: int) -> str:
    return f"call_Zq7vX3mK9w2b5N8c1aB4d{number:03d}"


def call(number: int, command: str) -> dict[str, Any]:
    arguments = json.dumps({"command": command})
    return {
        "type": "function_call",
        "id": f"fc_{number}",
        "call_id": name(number),
        "name": "shell",
        "arguments": arguments,
    }


def result(number: int) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": name(number), "output": ROWS}


def event(kind: str, **members: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), msgspec.json.encode({"type": kind, **members}))


def made(form: str, item: dict[str, Any]) -> Script:
    """An answer that makes one call, behind more than is kept of an answer."""
    response = {"id": "resp_1", "object": "response", "model": "gpt-5", "status": "completed", "output": [item]}
    if form == "json":
        return reply(msgspec.json.encode(response))
    words = event("response.output_text.delta", delta="word " * 20)
    parts = [words * 200, event("response.output_item.done", item=item), *[words * 200] * 4]
    return stream([*parts, event("response.completed", response=response)])


def asked(server: Server, *items: dict[str, Any], key: bytes = b"k", **members: Any) -> Answer:
    body = msgspec.json.encode({"model": "gpt-5", **members, "input": items})
    return ask(server.port, "POST", PATH, ((b"authorization", b"Bearer " + key),), body)


def kept(folder: Path) -> int:
    """Calls that the store of a server has."""
    [file] = folder.rglob("values-1.sqlite")
    with sqlite3.connect(file) as connection:
        return int(connection.execute("SELECT count(*) FROM value WHERE key LIKE 'call/%'").fetchone()[0])


def sent(upstream: Upstream) -> str:
    """The result in the last request that came, as it was sent."""
    output = msgspec.json.decode(upstream.requests[-1].body)["input"][-1]["output"]
    assert isinstance(output, str)
    return output


@pytest.mark.parametrize("form", ["json", "sse"])
def test_any_worker_knows_the_calls_of_answers(form: str, server: Start, upstream: Upstream, tmp_path: Path) -> None:
    proxy = server(HEADROOM_STATE_DIR=str(tmp_path / "state"))
    commands = ["curl -s localhost/rows", "cat rows.json"] * (TURNS // 2)
    for number, command in enumerate(commands):
        upstream.play(made(form, call(number, command)))
        asked(proxy, {"role": "user", "content": "go"})
    eventually(lambda: kept(tmp_path / "state") == TURNS)
    outputs = []
    for number in range(TURNS):
        upstream.play(reply())
        assert asked(proxy, result(number), previous_response_id="resp_1").status == 200
        outputs.append(sent(upstream))
    assert outputs[1::2] == [ROWS] * (TURNS // 2), "a file that is printed is exact"
    upstream.play(reply())
    asked(proxy, call(900, commands[0]), result(900))
    assert outputs[::2] == [sent(upstream)] * (TURNS // 2), "a table, as where the request has its call"
    assert outputs[0] != ROWS
    # Another caller knows none of it.
    upstream.play(reply())
    asked(proxy, result(0), key=b"other", previous_response_id="resp_1")
    assert sent(upstream) == ROWS


def test_what_was_sent_without_its_call_is_sent_so_by_every_worker(server: Start, upstream: Upstream) -> None:
    proxy = server()
    for again in range(TURNS):
        upstream.play(reply())
        items = [result(0)] if again % 2 == 0 else [call(0, "curl -s localhost/rows"), result(0)]
        asked(proxy, *items, **({"previous_response_id": "resp_1"} if again % 2 == 0 else {}))
        assert sent(upstream) == ROWS
