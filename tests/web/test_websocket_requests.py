"""Requests in the frames of a WebSocket: tool results shrink, nothing else changes, and it is counted."""

import asyncio
from typing import Any

import msgspec
import pytest

from bench.processes import Server
from tests.fakes.sockets import (
    NUMBERED,
    PATH,
    Open,
    request_of,
    result,
    settled,
    stats,
    until,
)
from tests.fakes.upstream import Upstream
from tests.fakes.websocket import Sockets, listen, script

# --- compression ---


async def sent_up(opened: Open, sockets: Sockets, *texts: str, **options: Any) -> list[str | bytes]:
    async with opened(**options) as client:
        for text in texts:
            await client.send(text)
        await until(lambda: bool(sockets.opened) and len(sockets.opened[-1].received) == len(texts))
    return sockets.opened[-1].received


@pytest.mark.parametrize("nested", [False, True])
async def test_only_the_tool_results_of_a_request_shrink(nested: bool, upstream: Upstream, opened: Open) -> None:
    sockets = Sockets(upstream, listen)
    frame = request_of([result(NUMBERED)], zz=1.50)
    if nested:
        frame = '{"type" :"response.create", "response": ' + request_of([result(NUMBERED)]) + ' ,"event_id":"é"}'
    [got] = await sent_up(opened, sockets, frame)
    assert isinstance(got, str)
    before, after = NUMBERED, _output(got)
    assert len(after) < 0.95 * len(before)
    assert got.replace(msgspec.json.encode(after).decode(), msgspec.json.encode(before).decode()) == frame


def _output(frame: str) -> str:
    body = msgspec.json.decode(frame)
    text: str = (body.get("response") or body)["input"][0]["output"]
    return text


async def test_frames_come_out_the_same_on_every_socket(upstream: Upstream, opened: Open) -> None:
    sockets = Sockets(upstream, listen)
    frame = request_of([result(NUMBERED)])
    assert await sent_up(opened, sockets, frame, frame) == await sent_up(opened, sockets, frame, frame)
    assert len(set(sockets.opened[0].received)) == 1


async def test_a_result_is_judged_by_the_call_that_the_upstream_made(upstream: Upstream, opened: Open) -> None:
    """A file that a tool prints stays exact although its text alone would shrink, as in a request over HTTP."""
    records = "id,name,size,owner\n" + "".join(f"{n},file_{n}.txt,{n * 37},nobody in particular\n" for n in range(80))
    call = {"type": "function_call", "call_id": "call_9", "name": "read_file", "arguments": '{"path":"a.csv"}'}
    done = msgspec.json.encode({"type": "response.output_item.done", "item": call}).decode()
    sockets = Sockets(upstream, script(1, done, 1, 1))
    async with opened() as client:
        await client.send(request_of([]))
        assert await client.recv() == done
        await client.send(request_of([result(records, "call_9")]))
        await client.send(request_of([result(records, "call_unknown")]))
        await until(lambda: len(sockets.opened[0].received) == 3)
    _, known, unknown = sockets.opened[0].received
    assert known == request_of([result(records, "call_9")])
    assert len(unknown) < len(known)


async def test_a_bypass_header_leaves_frames_alone(upstream: Upstream, opened: Open) -> None:
    sockets = Sockets(upstream, listen)
    frame = request_of([result(NUMBERED)])
    assert await sent_up(opened, sockets, frame, additional_headers={"x-headroom-bypass": "true"}) == [frame]


async def test_binary_frames_and_other_types_are_not_read(upstream: Upstream, opened: Open) -> None:
    sockets = Sockets(upstream, listen)
    frames: list[Any] = [request_of([result(NUMBERED)]).encode(), request_of([result(NUMBERED)], type="other")]
    assert await sent_up(opened, sockets, *frames) == frames


async def test_a_request_over_the_socket_is_sent_as_it_would_be_over_http(
    upstream: Upstream, opened: Open, place: Server
) -> None:
    sockets = Sockets(upstream, listen)
    frame = request_of([result(NUMBERED)])
    [got] = await sent_up(opened, sockets, frame)
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    head = (
        f"POST /v1/responses HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(frame.encode())}\r\n\r\n"
    )
    writer.write(head.encode() + frame.encode())
    await reader.read()
    writer.close()
    assert upstream.requests[-1].body.decode() == got


# --- counters and log ---

LOGGED = '"path":"/openai/v1/responses","status":101'  # no other test here takes this path


async def test_a_socket_is_counted_once_and_its_query_is_not_logged(
    upstream: Upstream, opened: Open, place: Server
) -> None:
    before = await settled(place.port)
    sockets = Sockets(upstream, listen)
    async with opened("/openai" + PATH + "?api-key=sk-secret-in-query") as client:
        await client.send(request_of([result(NUMBERED)]))
        await client.send(request_of([result(NUMBERED)]))
        assert (await stats(place.port))["requests"]["in_flight"] == 1
    assert (await settled(place.port))["requests"]["total"] == before["requests"]["total"] + 1
    assert sockets.opened[0].request.target == PATH + "?api-key=sk-secret-in-query"
    await until(lambda: place.log.read_text().count(LOGGED) == 1)
    assert "sk-secret-in-query" not in place.log.read_text()
    assert "read_part" not in place.log.read_text()
