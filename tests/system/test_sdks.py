"""The official SDKs as clients: through the server they send and see what they would without it.

Each call is made twice, to the fake upstream itself and to the server. What the client got must be equal, and so
must what the upstream got, and what came back over the wire: status, headers and body bytes.
"""

import gzip
import http.client
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from bench.processes import Server
from tests.fakes.answers import default_answer
from tests.fakes.client import Answer
from tests.fakes.exchange import Request
from tests.fakes.scripts import Script, Step, chunk, last_chunk
from tests.fakes.tap import tapped
from tests.fakes.upstream import Upstream
from tests.system.scenes import RAISED, SDKS, anthropic_client, gemini_client, openai_client

Scene = Callable[[str], Any]
OF_THE_WAY = {"host", "connection"}
OURS = {"server-timing", "x-accel-buffering", "connection"}
LAST_EVENT = b"data: [DONE]\n\n"  # where clients may leave without waiting for the last, empty chunk
NUMBERED_READ = "\n".join(f"{n:6}→    total_{n % 7} = read_part({n}) + total_{n % 5}" for n in range(1, 90))
IMAGE = "iVBORw0KGgo" + "QUJDREVGRw+/" * (15_000_000 // 12)
ERRORS = {
    400: ("invalid_request_error", "INVALID_ARGUMENT"),
    401: ("authentication_error", "UNAUTHENTICATED"),
    429: ("rate_limit_error", "RESOURCE_EXHAUSTED"),
    500: ("api_error", "INTERNAL"),
    529: ("overloaded_error", "UNAVAILABLE"),
}

# --- answers that are slow or break off ---


def slow(script: Script) -> Script:
    """The same bytes in pieces of 40, with pauses that no buffer bridges."""
    steps: list[Step] = []
    for _, data in script.steps:
        steps += [("wait", 0.01), ("drip", data, 40, 0.0005)]
    return Script(tuple(steps))


def cut(script: Script) -> Script:
    """The first half of it, up to the middle of an event."""
    *before, (_, data) = script.steps[: len(script.steps) // 2 + 1]
    return Script((*before, ("send", data[: -len(data) // 4]), ("close",)))


def gzipped(script: Script) -> Script:
    """The same content coded with gzip, each event of a stream so that it can be read at once."""
    first = script.steps[0][1]
    start, _, body = first.partition(b"\r\n\r\n")
    start += b"\r\ncontent-encoding: gzip"
    if body:
        coded = gzip.compress(body, mtime=0)
        start = start.replace(b"content-length: %d" % len(body), b"content-length: %d" % len(coded))
        return Script((("send", start + b"\r\n\r\n" + coded),))
    coder = zlib.compressobj(wbits=31)
    coder = zlib.compressobj(wbits=31)
    events = [data.partition(b"\r\n")[2][:-2] for _, data in script.steps[1:-1]]
    chunks = [chunk(coder.compress(event) + coder.flush(zlib.Z_SYNC_FLUSH)) for event in events[:-1]]
    end = chunk(coder.compress(events[-1]) + coder.flush()) + last_chunk()
    return Script(tuple(("send", data) for data in (start + b"\r\n\r\n", *chunks, end)))


def unfinished(script: Script) -> Script:
    """Its head and its first event; after that it falls silent."""
    return Script((*script.steps[:2], ("stall",)))


# --- the table ---


def cells() -> dict[str, tuple[Scene, Callable[[Request], Script]]]:
    """Name -> what the client does, and what the upstream answers."""
    found: dict[str, tuple[Scene, Callable[[Request], Script]]] = {}
    for name, sdk in SDKS.items():
        calls: dict[str, Scene] = {"plain": sdk.plain, "stream": sdk.stream, "tools": sdk.tools}
        if sdk.count is not None:
            calls["count-tokens"] = sdk.count
        found |= {f"{name}-{each}": (call, default_answer) for each, call in calls.items()}
        found[f"{name}-image-15-MB"] = (lambda url, sdk=sdk: sdk.image(url, IMAGE)), default_answer
        found[f"{name}-cancel-mid-stream"] = sdk.first_event, lambda request: unfinished(default_answer(request))
        for each in ("plain", "stream"):
            call = calls[each]
            found[f"{name}-slow-{each}"] = call, lambda request: slow(default_answer(request))
            found[f"{name}-gzip-{each}"] = call, lambda request: gzipped(default_answer(request))
            found[f"{name}-cut-{each}"] = call, lambda request: cut(default_answer(request))
            for status, kinds in ERRORS.items():
                script = sdk.shaped(status, kinds[name == "google-genai"], "23")
                found[f"{name}-{status}-{each}"] = call, lambda _, script=script: script
    return found


CELLS = cells()
BROKEN = ("cut", "400", "401", "429", "500", "529")


def sent(request: Request) -> tuple[str, str, str, list[tuple[str, bytes]], bytes]:
    """What of a request must not depend on the way it took."""
    pairs = sorted((name.decode().lower(), value) for name, value in request.headers)
    kept = [pair for pair in pairs if pair[0] not in OF_THE_WAY]
    return request.method, request.target, request.framing, kept, request.body


def got(answer: Answer) -> tuple[int, list[tuple[str, bytes]], bytes, bool]:
    """What of an answer must not depend on the way it took."""
    pairs = sorted((name.decode().lower(), value) for name, value in answer.headers)
    kept = [pair for pair in pairs if pair[0] not in OURS and not pair[0].startswith("x-headroom-")]
    coded = answer.header("content-encoding") == "gzip"
    content = zlib.decompressobj(wbits=31).decompress(answer.body) if coded else answer.body
    return answer.status, kept, answer.body, answer.complete or content.endswith(LAST_EVENT)


def told(scene: Scene, url: str) -> Any:
    """What the client learns: a value, or an error's class, status, text and body."""
    try:
        return scene(url)
    except RAISED as error:
        seen: Any = error
        status = getattr(seen, "status_code", None) or getattr(seen, "code", None)
        return type(seen), status, str(seen), getattr(seen, "body", None) or getattr(seen, "details", None)


def met(scene: Scene, port: int, upstream: Upstream) -> tuple[Any, list[Any], list[Any]]:
    """What the client was told, what the upstream got, and what came back over the wire."""
    upstream.requests.clear()
    with tapped(port) as tap:
        result = told(scene, tap.url)
        upstream.wait_until(lambda it: bool(it.requests) and it.requests[-1].complete)
        requests = list(upstream.requests)
    answers = tap.answers([request.method for request in requests])
    return result, [sent(request) for request in requests], [got(answer) for answer in answers]


@pytest.mark.parametrize("cell", CELLS)
def test_nothing_differs_through_the_server(cell: str, upstream: Upstream, shared_server: Server) -> None:
    scene, upstream.answer = CELLS[cell]
    directly = met(scene, upstream.port, upstream)
    through = met(scene, shared_server.port, upstream)
    assert through == directly
    result, requests, answers = directly
    assert len(requests) == len(answers) == (2 if cell.endswith("tools") else 1)
    failed = isinstance(result, tuple) and isinstance(result[0], type)
    assert failed == any(each in cell.split("-") for each in BROKEN), result
    assert all(complete for *_, complete in answers) == (not cell.split("-")[-2].startswith(("cut", "mid")))
    upstream.wait_until(lambda it: "cancel" not in cell or it.open_connections == 0)


# --- what agents ask beside it ---


def lists_of_models(url: str) -> Any:
    with anthropic_client(url) as one, openai_client(url) as two, gemini_client(url) as three:
        return (
            [model.model_dump() for model in one.models.list(limit=7)],
            [model.model_dump() for model in two.models.list()],
            [model.name for model in three.models.list()],
        )


def raw(url: str, method: str, target: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    try:
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def bare_probes(url: str) -> Any:
    return [
        raw(url, "HEAD", "/api/hello", accept="*/*"),
        raw(url, "HEAD", "/v1/models"),
        raw(url, "GET", "/v1/models/gpt-4o?a=%2F%20b&a="),
        raw(url, "DELETE", "/v1/files/file-1"),
        raw(url, "PATCH", "/v1/unknown/thing", b"\x00\xff not json", **{"content-type": "application/x-odd"}),
    ]


def gemini_array(url: str) -> Any:
    body = b'{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}'
    return raw(url, "POST", "/v1beta/models/gemini-3-pro:streamGenerateContent", body)


@pytest.mark.parametrize("scene", [lists_of_models, bare_probes, gemini_array], ids=lambda scene: scene.__name__)
def test_nothing_differs_in_what_is_asked_beside_it(scene: Scene, upstream: Upstream, shared_server: Server) -> None:
    directly = met(scene, upstream.port, upstream)
    assert met(scene, shared_server.port, upstream) == directly
    assert all(directly)


# --- compression ---


def texts(value: Any) -> list[str]:
    """All strings in a JSON value, in order."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in (key, *texts(item))]
    return [text for item in value for text in texts(item)] if isinstance(value, list) else []


@pytest.mark.parametrize("name", SDKS)
def test_of_a_tool_round_trip_only_the_tool_result_shrinks(
    name: str, upstream: Upstream, shared_server: Server
) -> None:
    SDKS[name].tools(upstream.url, NUMBERED_READ)
    SDKS[name].tools(shared_server.url, NUMBERED_READ)
    assert len(upstream.requests) == 4
    plain, shrunk = upstream.requests[1], upstream.requests[3]
    assert upstream.requests[0].body == upstream.requests[2].body
    pairs = list(zip(texts(plain.json()), texts(shrunk.json()), strict=True))
    assert [before for before, after in pairs if before != after] == [NUMBERED_READ]
    assert len(shrunk.body) < 0.9 * len(plain.body)
    without_length = [[pair for pair in sent(each)[3] if pair[0] != "content-length"] for each in (plain, shrunk)]
    assert without_length[0] == without_length[1]
