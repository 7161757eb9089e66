"""A key of one provider never leaves for the public address of another. The way out of this server is a dead end."""

import json
from collections.abc import Iterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from bench.processes import Server, free_port
from tests.fakes.client import Headers, ask
from tests.fakes.upstream import Upstream
from tests.system.conftest import starting

PUBLIC = {
    "ANTHROPIC_TARGET_API_URL": "https://api.anthropic.com",
    "OPENAI_TARGET_API_URL": "https://api.openai.com",
    "GEMINI_TARGET_API_URL": "https://generativelanguage.googleapis.com",
}
REFUSED, SENT = (403, "foreign_key"), (502, "upstream_failed")


@pytest.fixture(scope="module")
def public(upstream_of_module: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    named = {"own": {"url": upstream_of_module.url, "api": "openai", "models": ["local-*"]}}
    with starting(upstream_of_module.url, tmp_path_factory.mktemp("public")) as start:
        yield start(
            HEADROOM_WORKERS="1",
            HEADROOM_UPSTREAM_HTTPS_PROXY_URL=f"http://127.0.0.1:{free_port()}",
            HEADROOM_UPSTREAMS=json.dumps(named),
            **PUBLIC,
        )


MESSAGES, CHAT, GEMINI = "/v1/messages", "/v1/chat/completions", "/v1beta/models/m:generateContent"
CASES: list[tuple[str, Headers, tuple[int, str]]] = [
    (MESSAGES, [(b"x-api-key", b"sk-ant-api03-x")], SENT),
    (MESSAGES, [(b"authorization", b"Bearer sk-ant-oat01-x")], SENT),
    (MESSAGES, [(b"authorization", b"Bearer opaque")], SENT),
    (MESSAGES, [(b"authorization", b"Bearer sk-proj-x")], REFUSED),
    (MESSAGES, [(b"authorization", b"bearer  sk-abc")], REFUSED),
    (MESSAGES, [(b"x-api-key", b"sk-or-v1-x")], REFUSED),
    (MESSAGES, [(b"x-api-key", b"AIzaSyx")], REFUSED),
    (MESSAGES, [(b"authorization", b"Bearer ok"), (b"authorization", b"Bearer gsk_x")], REFUSED),
    (MESSAGES, [(b"x-api-key", b"sk-ant-api03-x"), (b"authorization", b"Bearer gsk_x")], REFUSED),
    (MESSAGES + "?key=AIzaSyx", [(b"x-api-key", b"sk-ant-api03-x")], REFUSED),
    (CHAT, [(b"authorization", b"Bearer sk-proj-x"), (b"x-goog-api-key", b"opaque")], REFUSED),
    (MESSAGES + "?key=AIzaSyx", [], REFUSED),
    ("/v1/messages/batches", [(b"x-goog-api-key", b"opaque")], REFUSED),
    (CHAT, [(b"authorization", b"Bearer sk-proj-x")], SENT),
    (CHAT, [(b"authorization", b"Bearer sk-x")], SENT),
    (CHAT, [(b"x-api-key", b"sk-x")], SENT),
    (CHAT, [(b"authorization", b"Bearer sk-ant-api03-x")], REFUSED),
    (CHAT, [(b"x-api-key", b"opaque")], REFUSED),
    (CHAT, [(b"x-goog-api-key", b"opaque")], REFUSED),
    (CHAT, [(b"authorization", b"Bearer ya29.x")], REFUSED),
    (CHAT, [(b"authorization", b"Bearer xai-x")], REFUSED),
    (CHAT, [(b"api-key", b"0123456789abcdef")], REFUSED),
    (CHAT + "?api-version=2025-04-01", [(b"authorization", b"Bearer eyJ0")], REFUSED),
    ("/openai/deployments/d/chat/completions", [(b"api-key", b"0123456789abcdef")], REFUSED),
    ("/v1/audio/speech", [(b"authorization", b"Bearer sk-ant-x")], REFUSED),
    (GEMINI, [(b"x-goog-api-key", b"AIzaSyx")], SENT),
    (GEMINI + "?key=AIzaSyx", [], SENT),
    (GEMINI, [(b"authorization", b"Bearer ya29.x")], SENT),
    (GEMINI, [(b"authorization", b"Bearer sk-ant-x")], REFUSED),
    (GEMINI, [(b"x-api-key", b"opaque")], REFUSED),
    (GEMINI + "?key=sk-proj-x", [], REFUSED),
    (MESSAGES + "?k%65y=AIzaSyx", [], REFUSED),
    ("/backend-api/codex/responses", [(b"authorization", b"Bearer sk-ant-x")], REFUSED),
    ("/v1internal:generateContent", [(b"x-api-key", b"sk-ant-x")], REFUSED),
    ("/u/own/v1/chat/completions", [(b"authorization", b"Bearer sk-ant-x")], (200, "")),
]


@pytest.mark.parametrize(("target", "headers", "expected"), CASES)
def test_a_key_goes_to_its_provider_or_nowhere(
    target: str, headers: Headers, expected: tuple[int, str], public: Server
) -> None:
    answer = ask(public.port, "POST", target, (*headers, (b"content-type", b"application/json")), b'{"model":"m"}')
    assert (answer.status, answer.header("x-headroom-error")) == expected
    if expected == REFUSED:
        message = json.dumps(answer.json()["error"], ensure_ascii=False)
        for part in ("_TARGET_API_URL", "/u/NAME", ".com"):
            assert part in message
        for _, value in headers:
            assert value.split()[-1].decode() not in message, "a key must not be repeated"


def test_a_model_that_goes_elsewhere_may_have_any_key(public: Server, upstream: Upstream) -> None:
    key = (b"authorization", b"Bearer gsk_x")
    upstream.clear()
    for model, expected in (("local-1", (200, "")), ("gpt-5", REFUSED)):
        answer = ask(public.port, "POST", CHAT, [key], json.dumps({"model": model, "messages": []}).encode())
        assert (answer.status, answer.header("x-headroom-error")) == expected
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("target", "key", "status"),
    [
        ("/v1/realtime?model=m", "sk-proj-x", 502),
        ("/v1/realtime?model=m", "sk-ant-x", 403),
        ("/v1/realtime?model=m", "gsk_x", 403),
        ("/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent", "sk-x", 403),
        ("/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent", "ya29.x", 404),
    ],
)
async def test_sockets_are_held_to_it_too(target: str, key: str, status: int, public: Server) -> None:
    by_protocol = [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{key}")]
    for headers, protocols in (({"authorization": f"Bearer {key}"}, None), ({}, by_protocol)):
        with pytest.raises(InvalidStatus) as refused:
            async with connect(
                f"ws://127.0.0.1:{public.port}{target}", additional_headers=headers, subprotocols=protocols, proxy=None
            ):
                """Never open."""
        assert refused.value.response.status_code == status
