"""Each request goes where the settings say for its path or its model, and nothing in it can send it elsewhere."""

import gzip
import json
from collections.abc import Iterator

import pytest
from websockets.asyncio.client import connect

from bench.processes import Server
from tests.fakes.bodies import ANTHROPIC, CHAT, CONVERSE, GEMINI, INTERACTIONS, NUMBERED, RESPONSES, literal
from tests.fakes.client import Headers, ask
from tests.fakes.scripts import CLOSE_AFTER_BODY, JSON, reply
from tests.fakes.sockets import NUMBERED as SOCKET_NUMBERED
from tests.fakes.sockets import request_of, result
from tests.fakes.upstream import Upstream, running
from tests.fakes.websocket import Sockets, echo
from tests.system.conftest import Start, starting
from tests.system.patience import eventually, stats

TYPE: Headers = ((b"content-type", b"application/json"),)


@pytest.fixture(scope="module")
def second_of_module() -> Iterator[Upstream]:
    with running() as second:
        yield second


@pytest.fixture
def second(second_of_module: Upstream) -> Iterator[Upstream]:
    """The upstream that the settings name."""
    yield second_of_module
    second_of_module.clear()


@pytest.fixture(scope="module")
def place(
    upstream_of_module: Upstream, second_of_module: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    named = {
        "azure": {"url": second_of_module.url, "api": "openai"},
        "based": {"url": second_of_module.url + "/base", "api": "anthropic"},
        "local": {"url": second_of_module.url, "api": "openai", "models": ["qwen*", "llama-?"]},
        "gem": {"url": second_of_module.url, "api": "gemini", "models": ["gemma-*"]},
    }
    clouds = ("VERTEX", "BEDROCK", "CHATGPT", "CODE_ASSIST")
    with starting(upstream_of_module.url, tmp_path_factory.mktemp("upstreams")) as start:
        yield start(
            HEADROOM_WORKERS="1",
            HEADROOM_UPSTREAMS=json.dumps(named),
            **{f"{name}_TARGET_API_URL": upstream_of_module.url for name in clouds},
        )


def wrapped(text: bytes) -> tuple[bytes, bytes]:
    """A Code Assist body around a text."""
    before, after = GEMINI.around(text)
    return b'{"model":"gemini-3","request": ' + before, after + b' ,"project" : "p"}'


VERTEX = "/v1/projects/p/locations/us-east5"
CONVERSATIONS = {
    "/openai/deployments/gpt-5/chat/completions?api-version=2025-04-01-preview": CHAT,
    f"{VERTEX}/publishers/anthropic/models/claude-opus@2025:rawPredict": ANTHROPIC,
    f"{VERTEX}/publishers/anthropic/models/claude-opus@2025:streamRawPredict": ANTHROPIC,
    f"{VERTEX}/publishers/google/models/gemini-3:generateContent": GEMINI,
    "/v1beta1/projects/p/locations/global/publishers/google/models/gemini-3:streamGenerateContent?alt=sse": GEMINI,
    f"{VERTEX}/endpoints/openapi/chat/completions": CHAT,
    "/model/anthropic.claude-opus-v1%3A0/invoke": ANTHROPIC,
    "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx/invoke-with-response-stream": ANTHROPIC,
    "/model/amazon.nova-pro-v1%3A0/converse": CONVERSE,
    "/model/amazon.nova-pro-v1%3A0/converse-stream": CONVERSE,
    "/backend-api/codex/responses": RESPONSES,
    "/backend-api/codex/responses/compact": RESPONSES,
    "/v1/responses/compact": RESPONSES,
    "/v1/responses/input_tokens": RESPONSES,
    "/v1beta/interactions": INTERACTIONS,
    "/v1beta/models/gemini-3:countTokens": GEMINI,
    f"{VERTEX}/publishers/google/models/gemini-3:countTokens": GEMINI,
    f"{VERTEX}/publishers/anthropic/models/count-tokens:rawPredict": ANTHROPIC,
    "/model/us.amazon.nova-pro-v1%3A0/invoke": CONVERSE,
    "/model/openai.gpt-oss-120b-1%3A0/invoke": CHAT,
    "/model/openai.gpt-oss-120b-1%3A0/invoke-with-response-stream": CHAT,
}


@pytest.mark.parametrize("target", CONVERSATIONS)
def test_the_known_formats_shrink_at_other_addresses_too(target: str, place: Server, upstream: Upstream) -> None:
    text = literal(NUMBERED)
    before, after = CONVERSATIONS[target].around(text)
    answer = ask(place.port, "POST", target, TYPE, before + text + after)
    got = upstream.requests[-1]
    assert got.target == target
    assert got.body.startswith(before)
    assert got.body.endswith(after)
    assert len(got.body) < 0.85 * len(before + text + after)
    assert answer.header("x-headroom-decision") == "rewritten; reason=smaller"


@pytest.mark.parametrize("method", ["generateContent", "streamGenerateContent", "countTokens"])
def test_a_request_inside_a_request_shrinks_and_the_rest_stays(method: str, place: Server, upstream: Upstream) -> None:
    text = literal(NUMBERED)
    before, after = wrapped(text)
    ask(place.port, "POST", f"/v1internal:{method}", TYPE, before + text + after)
    got = upstream.requests[-1].body
    assert got.startswith(before)
    assert got.endswith(after)
    assert len(got) < 0.85 * len(before + text + after)


@pytest.mark.parametrize(
    "target",
    [
        "/backend-api/wham/accounts/check",
        "/wham/settings/user",
        "/ps/plugins/list",
        "/ps/mcp",
        "/v1internal:loadCodeAssist",
        "/v1internal/operations/x",
        f"{VERTEX}/publishers/google/models/x:predict",
        "/openai/deployments/e/embeddings?api-version=1",
        "/model/m/converse",
        "/inference-profiles?type=SYSTEM_DEFINED",
        "/backend-api/codex/responses/compact",
        "/v1beta/interactions",
    ],
)
def test_other_paths_of_these_services_are_relayed_as_they_are(target: str, place: Server, upstream: Upstream) -> None:
    for method in ("GET", "POST"):
        assert ask(place.port, method, target, TYPE, b"{ }").status == 200
        assert (upstream.requests[-1].target, upstream.requests[-1].body) == (target, b"{ }")


def test_a_body_whose_signature_came_with_it_stays(place: Server, upstream: Upstream) -> None:
    body = ANTHROPIC.body(literal(NUMBERED))
    headers: Headers = (*TYPE, (b"Authorization", b"AWS4-HMAC-SHA256 Credential=x, Signature=y"))
    answer = ask(place.port, "POST", "/model/anthropic.x/invoke", headers, body)
    assert upstream.requests[-1].body == body
    assert answer.header("x-headroom-decision") == "passthrough; reason=signed_body"


NAMED = {
    "/u/azure/openai/v1/responses": ("/openai/v1/responses", RESPONSES),
    "/u/azure/openai/deployments/d/chat/completions?api-version=1": (
        "/openai/deployments/d/chat/completions?api-version=1",
        CHAT,
    ),
    "/u/azure/v1/chat/completions": ("/v1/chat/completions", CHAT),
    "/u/based/v1/messages?beta=true": ("/base/v1/messages?beta=true", ANTHROPIC),
    "/u/based/anthropic/v1/messages": ("/base/anthropic/v1/messages", ANTHROPIC),
    "/u/gem/v1beta/models/m:generateContent": ("/v1beta/models/m:generateContent", GEMINI),
}


@pytest.mark.parametrize("target", NAMED)
def test_a_prefix_names_the_upstream_and_the_rest_of_the_path_the_format(
    target: str, place: Server, upstream: Upstream, second: Upstream
) -> None:
    sent, shape = NAMED[target]
    body = shape.body(literal(NUMBERED))
    assert ask(place.port, "POST", target, (*TYPE, (b"Authorization", b"Bearer theirs")), body).status == 200
    got = second.requests[-1]
    assert (got.target, got.header("authorization")) == (sent, "Bearer theirs")
    assert len(got.body) < len(body)
    assert not upstream.requests


@pytest.mark.parametrize("rest", ["/anything/at?all=1", "/v1/models", "/api/tags", "/", "/openai/models?api-version=1"])
def test_every_path_behind_a_name_goes_there(rest: str, place: Server, upstream: Upstream, second: Upstream) -> None:
    for method in ("GET", "PUT"):
        assert ask(place.port, method, "/u/azure" + rest).status == 200
        assert (second.requests[-1].method, second.requests[-1].target) == (method, rest)
    assert not upstream.requests


@pytest.mark.parametrize(("target", "key"), [("/u/azure/x", "code"), ("/u/based/x", "type"), ("/u/gem/x", "status")])
def test_errors_have_the_shape_of_the_upstreams_api(target: str, key: str, place: Server, second: Upstream) -> None:
    second.play(CLOSE_AFTER_BODY)
    answer = ask(place.port, "GET", target)
    assert answer.status == 502
    assert key in answer.json()["error"]


def test_a_failure_names_the_upstream_as_the_settings_do(place: Server, second: Upstream) -> None:
    """In the answer, in the log and in the list of the last requests; chosen by its path, or by a model alone."""
    body = b'{"model": "gemma-3", "messages": []}'
    for target, name in (("/u/azure/v1/x", "azure"), ("/v1beta/models/gemma-3:generateContent", "gem")):
        second.play(CLOSE_AFTER_BODY)
        answer = ask(place.port, "POST", target, TYPE, body)
        assert answer.status == 502
        expected = f"the upstream /u/{name} 127.0.0.1:{second.port} closed the connection"
        assert expected in answer.body.decode()
        eventually(lambda text=expected: text in place.log.read_text())
        eventually(
            lambda text=expected: any(
                note["problem"].startswith(text) for note in ask(place.port, "GET", "/stats/recent").json()["recent"]
            )
        )


BY_MODEL = [
    ("qwen3-coder", True),
    ("qwen", True),
    ("llama-4", True),
    ("llama-10", False),
    ("Qwen3", False),
    ("my-qwen", False),
    ("gpt-5", False),
    ("", False),
]


@pytest.mark.parametrize(("model", "goes"), BY_MODEL)
@pytest.mark.parametrize("coding", ["", "gzip"])
def test_the_model_of_a_conversation_chooses(
    model: str, goes: bool, coding: str, place: Server, upstream: Upstream, second: Upstream
) -> None:
    upstream.answer = second.answer = lambda _: reply()
    items = [{"role": "user", "content": "hi"}]
    body = json.dumps({"messages": items, "input": items, "model": model}).encode()
    headers = TYPE
    if coding:
        body, headers = gzip.compress(body), (*TYPE, (b"content-encoding", b"gzip"))
    for target in ("/v1/chat/completions", "/v1/responses"):
        assert ask(place.port, "POST", target, headers, body).status == 200
        there, elsewhere = (second, upstream) if goes else (upstream, second)
        assert there.requests[-1].body == body
        assert not elsewhere.requests


def test_a_strange_body_does_not_change_where_a_model_is(place: Server, upstream: Upstream, second: Upstream) -> None:
    for odd in (rb'"\ud83d"', b"NaN", b"9" * 5000, b'"a\tb"'):
        body = b'{"messages":[{"role":"user","content":%b}],"model":"qwen3"}' % odd
        ask(place.port, "POST", "/v1/chat/completions", TYPE, body)
        assert second.requests[-1].body == body
    assert not upstream.requests


def test_a_long_coded_body_is_read_for_its_model_and_goes_on_as_it_came(
    place: Server, upstream: Upstream, second: Upstream
) -> None:
    upstream.answer = second.answer = lambda _: reply()
    items = [{"role": "user", "content": str(number)} for number in range(40_000)]
    body = gzip.compress(json.dumps({"messages": items, "model": "qwen3"}).encode())
    for _ in range(3):
        headers = (*TYPE, (b"content-encoding", b"gzip"))
        assert ask(place.port, "POST", "/v1/chat/completions", headers, body).status == 200
    assert [request.body for request in second.requests] == [body] * 3
    assert not upstream.requests


def test_without_room_to_find_the_model_nothing_goes_anywhere(
    server: Start, upstream: Upstream, second: Upstream
) -> None:
    """Sent to the upstream that was not meant, the request would give its credentials away."""
    named = {"local": {"url": second.url, "api": "openai", "models": ["qwen*"]}}
    place = server(
        HEADROOM_WORKERS="1",
        HEADROOM_UPSTREAMS=json.dumps(named),
        HEADROOM_BODY_BYTES_MAX="1MiB",
        HEADROOM_BODY_BYTES_IN_FLIGHT_MAX="1MiB",
    )
    body = gzip.compress(json.dumps({"messages": ["x" * 1_048_500], "model": "qwen3"}).encode())
    answer = ask(place.port, "POST", "/v1/chat/completions", (*TYPE, (b"content-encoding", b"gzip")), body)
    assert (answer.status, answer.header("x-headroom-error")) == (503, "overloaded")
    assert not upstream.requests
    assert not second.requests


async def test_a_socket_goes_to_the_upstream_that_its_path_names(
    place: Server, upstream: Upstream, second: Upstream
) -> None:
    sockets = Sockets(second, echo)
    text = request_of([result(SOCKET_NUMBERED)])
    async with connect(f"ws://127.0.0.1:{place.port}/u/azure/openai/v1/responses?api-version=1", proxy=None) as client:
        await client.send(text)
        assert len(str(await client.recv())) < len(text), "its frames shrink too"
    assert second.requests[-1].target == "/openai/v1/responses?api-version=1"
    assert len(sockets.opened) == 1
    assert not upstream.requests


def test_the_path_names_the_model_where_the_body_does_not(place: Server, upstream: Upstream, second: Upstream) -> None:
    ask(place.port, "POST", "/v1beta/models/gemma-3:generateContent", TYPE, b'{"contents":[]}')
    ask(place.port, "POST", "/v1beta/models/gemini-3:generateContent", TYPE, b'{"contents":[]}')
    assert [request.target for request in second.requests] == ["/v1beta/models/gemma-3:generateContent"]
    assert [request.target for request in upstream.requests] == ["/v1beta/models/gemini-3:generateContent"]


def test_a_model_chooses_among_upstreams_of_its_own_api_only(
    place: Server, upstream: Upstream, second: Upstream
) -> None:
    ask(place.port, "POST", "/v1/messages", TYPE, b'{"model":"qwen3","messages":[]}')
    ask(place.port, "POST", "/v1beta/models/qwen3:embedContent", TYPE, b'{"model":"qwen3"}')
    assert len(upstream.requests) == 2
    assert not second.requests


BESIDE_CONVERSATIONS = [
    ("/v1/embeddings", b'{"input":"x","model":"%b"}'),
    ("/openai/v1/embeddings", b'{"input":"x","model":"%b"}'),
    ("/v1/completions", b'{"model":"%b","prompt":"x"}'),
    ("/v1/moderations", b'{"model":"%b"}'),
    ("/v1/images/generations", b'{"model":"%b"}'),
    ("/v1/audio/speech", b'{"model":"%b"}'),
    ("/v1/responses/compact", b'{"model":"%b","input":[]}'),
    ("/openai/deployments/%b/embeddings?api-version=1", b'{"input":"x"}'),
    ("/v1beta/models/%b:embedContent", b"{}"),
    ("/v1/models/%b:predict", b"{}"),
]


@pytest.mark.parametrize(("target", "body"), BESIDE_CONVERSATIONS, ids=[target for target, _ in BESIDE_CONVERSATIONS])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_model_of_other_requests_chooses_too(
    target: str, body: bytes, chunked: bool, place: Server, upstream: Upstream, second: Upstream
) -> None:
    upstream.answer = second.answer = lambda _: reply()
    theirs, local = ("gemini-3", "gemma-3") if ":" in target else ("gpt-5", "qwen3")
    for model, there, elsewhere in ((local, second, upstream), (theirs, upstream, second)):
        filled = body.replace(b"%b", model.encode())
        assert ask(place.port, "POST", target.replace("%b", model), TYPE, filled, chunked).status == 200
        assert [request.body for request in there.requests] == [filled]
        assert not elsewhere.requests
        there.requests.clear()


def test_a_form_and_a_list_are_not_read_for_a_model(place: Server, upstream: Upstream, second: Upstream) -> None:
    upstream.answer = lambda _: reply()
    form = b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nqwen3\r\n--b--\r\n'
    kind = (b"content-type", b"multipart/form-data; boundary=b")
    assert ask(place.port, "POST", "/v1/audio/transcriptions", [kind], form).status == 200
    assert ask(place.port, "GET", "/v1/models").status == 200
    assert upstream.requests[0].body == form
    assert len(upstream.requests) == 2
    assert not second.requests


async def test_the_model_in_the_address_of_a_socket_chooses(
    place: Server, upstream: Upstream, second: Upstream
) -> None:
    Sockets(second, echo)
    Sockets(upstream, echo)
    for model, there in (("qwen-voice", second), ("gpt-realtime", upstream)):
        async with connect(f"ws://127.0.0.1:{place.port}/v1/realtime?a=b&model={model}", proxy=None) as client:
            await client.send("hello")
            assert await client.recv() == "hello"
        assert [request.target for request in there.requests] == [f"/v1/realtime?a=b&model={model}"]
    assert len(second.requests) == 1


def test_a_service_without_an_address_gets_nothing(shared_server: Server, upstream: Upstream) -> None:
    for target in (f"{VERTEX}/publishers/anthropic/models/m:rawPredict", "/model/m/invoke"):
        answer = ask(shared_server.port, "POST", target, (*TYPE, (b"authorization", b"Bearer ya29")), b"{}")
        assert (answer.status, answer.header("x-headroom-error")) == (404, "upstream_not_set")
        assert b"_TARGET_API_URL" in answer.body
    assert not upstream.requests
    eventually(lambda: stats(shared_server)["requests"]["in_flight"] == 0)


# --- nothing in a request names an address ---

STARTS = (
    "/v1/messages",
    "/v1/chat/completions",
    "/v1/responses",
    "/v1beta/models/m:generateContent",
    "/v1/models",
    "/v1/files",
    "/u/azure/v1/responses",
    f"{VERTEX}/publishers/google/models/m:generateContent",
    "/model/m/invoke",
    "/backend-api/codex/responses",
    "/v1internal:generateContent",
)
EVIL = "127.0.0.1:{port}"
TARGETS = (
    "{start}",
    "{start}?url=http://{evil}/&base_url=http://{evil}&upstream={evil}",
    "http://{evil}{start}",
    "http://user:pass@{evil}{start}",
    "//{evil}{start}",
    "@{evil}{start}",
    "{start}/../../../@{evil}/",
    "{start}%23@{evil}/",
    "{start}@{evil}/",
    "{start}/%2e%2e/%2e%2e//{evil}/x",
    "{start}\\@{evil}",
    "/u/{evil}{start}",
    "/u/@{evil}{start}",
    "/u/azure@{evil}{start}",
    "/u/azure%2F..%2F{evil}{start}",
    "/u/..{start}",
    "/u//{evil}{start}",
)
HEADERS: tuple[tuple[bytes, str], ...] = (
    (b"host", "{evil}"),
    (b"x-forwarded-host", "{evil}"),
    (b"x-forwarded-server", "{evil}"),
    (b"forwarded", "host={evil};proto=http"),
    (b"x-headroom-base-url", "http://{evil}"),
    (b"x-headroom-upstream", "http://{evil}"),
    (b"x-upstream-url", "http://{evil}"),
    (b"x-original-url", "http://{evil}/v1/messages"),
    (b"x-rewrite-url", "http://{evil}/v1/messages"),
    (b"x-base-url", "http://{evil}"),
    (b"openai-base-url", "http://{evil}"),
    (b"anthropic-base-url", "http://{evil}"),
    (b"alt-svc", 'h2="{evil}"'),
    (b"referer", "http://{evil}/"),
    (b"origin", "http://{evil}"),
)


@pytest.fixture(scope="module")
def stranger_of_module() -> Iterator[Upstream]:
    with running() as stranger:
        yield stranger


@pytest.mark.parametrize("start", STARTS)
def test_no_request_reaches_an_address_of_its_own_choice(
    start: str, place: Server, upstream: Upstream, second: Upstream, stranger_of_module: Upstream
) -> None:
    evil = EVIL.format(port=stranger_of_module.port)
    away = reply(b"", 307, (*JSON, ("location", f"http://{evil}{start}")))
    for known in (upstream, second):
        known.play(away, times=None)
    headers = tuple((name, value.format(evil=evil).encode()) for name, value in HEADERS)
    for target in TARGETS:
        for method in ("GET", "POST"):
            body = json.dumps({"model": f"http://{evil}", "base_url": f"http://{evil}", "messages": []}).encode()
            wire = target.format(start=start, evil=evil)
            answer = ask(place.port, method, wire, (*TYPE, *headers), body if method == "POST" else None)
            assert answer.status in (307, 400, 404), (method, wire, answer)
    assert not stranger_of_module.connections
    assert {request.header("host") for request in (*upstream.requests, *second.requests)} <= {
        f"127.0.0.1:{upstream.port}",
        f"127.0.0.1:{second.port}",
    }


CLIMBS = (
    "/..",
    "/../admin",
    "/v1/../../admin",
    "/v1/messages/..",
    "/%2e%2e/admin",
    "/.%2e/admin",
    "/%2E./admin",
    "/%2E%2e%2Fadmin",
    "/v1%2f..%2fadmin",
    "/..;/admin",
    "/..;x=1/admin",
    "/..%3b/admin",
    "/..%00/admin",
    "/..%3fx/admin",
    "/..%23/admin",
    "/..%20/admin",
    "/..%09/admin",
    "/v1/..\\admin",
    "/v1\\..\\admin",
    "/v1%5c..%5cadmin",
    "/%252e%252e/admin",
    "/%25252e%25252e/admin",
    "/%2525252525252525252525252e/admin",
    "/.%09./admin",
    "/..%0d%0a/admin",
    "/v1/..%c0%afadmin",
    "/%c0%ae%c0%ae/admin",
    "/%ef%bc%8e%ef%bc%8e/admin",
    "/..%252fadmin",
    "//../admin",
    "/./../admin",
)
LEASES = (
    "/v1/files/a..b",
    "/v1/files/..a",
    "/v1/files/a..",
    "/v1/files/...",
    "/v1/files/./x",
    "/v1/files/a%2Fb",
    "/v1/files/100%25",
    "/v1/files/%2541",
    "/v1/files/%c3%a4%ef%bc%8e",
)


@pytest.mark.parametrize("base", ["/u/based", "/u/azure", "", "/anthropic"])
@pytest.mark.parametrize("path", CLIMBS)
def test_no_path_climbs_out_of_what_the_settings_name(
    path: str, base: str, place: Server, upstream: Upstream, second: Upstream
) -> None:
    for method, body in (("POST", b"{}"), ("GET", None)):
        answer = ask(place.port, method, base + path, TYPE, body)
        assert (answer.status, answer.header("x-headroom-error")) == (400, "path_climbs"), answer.body
    handshake = ((b"connection", b"upgrade"), (b"upgrade", b"websocket"), (b"sec-websocket-version", b"13"))
    answer = ask(place.port, "GET", base + path, (*handshake, (b"sec-websocket-key", b"AAAAAAAAAAAAAAAAAAAAAA==")))
    assert (answer.status, answer.header("x-headroom-error")) == (400, "path_climbs"), answer.body
    assert not upstream.requests
    assert not second.requests


@pytest.mark.parametrize("path", LEASES)
def test_dots_that_are_no_segment_go_through_as_they_are_spelled(path: str, place: Server, second: Upstream) -> None:
    assert ask(place.port, "GET", "/u/based" + path).status in (200, 404)
    assert [request.target for request in second.requests] == ["/base" + path]


def test_a_slash_too_many_behind_a_base_url_is_left_out(place: Server, second: Upstream) -> None:
    ask(place.port, "GET", "/u/based//v1/files")
    assert [request.target for request in second.requests] == ["/base/v1/files"]
