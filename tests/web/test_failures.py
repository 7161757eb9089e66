"""Errors of ours, in the words of each API."""

import msgspec
import pytest

from proxy_pkg.errors import RefusedError, UpstreamBrokenError, UpstreamConnectError, UpstreamTimeoutError
from proxy_pkg.protocols import anthropic, gemini, openai
from proxy_pkg.protocols.grammar import Api
from proxy_pkg.web.failures import Failure, failure_of, reply_body, stream_event

APIS = [anthropic.API, openai.API, openai.RESPONSES_API, gemini.API]
STATUSES = [401, 403, 404, 408, 413, 500, 502, 503, 504]
HARD = 'say "{code}" \\ \n \u2028 {message} é'


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (UpstreamTimeoutError("m", "head"), 504, "upstream_timeout"),
        (UpstreamConnectError("m", "connect"), 502, "upstream_failed"),
        (UpstreamBrokenError("m", "body"), 502, "upstream_failed"),
        (RefusedError("m", "overloaded", 503, 1), 503, "overloaded"),
    ],
)
def test_an_error_becomes_a_status_and_a_code(
    error: UpstreamTimeoutError | RefusedError, status: int, code: str
) -> None:
    failure = failure_of(error)
    assert (failure.status, failure.code) == (status, code)
    assert "m" in failure.message


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("api", APIS, ids=lambda api: f"{api.name} {api.errors.event_name}")
def test_every_api_has_words_for_every_status(api: Api, status: int) -> None:
    body = msgspec.json.decode(reply_body(api.errors, Failure(status, "why", HARD), "hr_1"))
    error = body["error"]
    assert error["message"] == HARD
    if api is gemini.API:
        assert (error["code"], error["status"].isupper()) == (status, True)
    elif api is anthropic.API:
        assert (body["type"], body["request_id"], bool(error["type"])) == ("error", "hr_1", True)
    else:
        assert (error["code"], error["param"], bool(error["type"])) == ("headroom_why", None, True)


@pytest.mark.parametrize("api", APIS, ids=lambda api: f"{api.name} {api.errors.event_name}")
def test_an_event_is_one_event(api: Api) -> None:
    event = stream_event(api.errors, Failure(504, "why", HARD), "hr_1")
    lines = event.split(b"\n")
    assert lines[-2:] == [b"", b""]
    assert [line.partition(b": ")[0] for line in lines[:-2]] in ([b"data"], [b"event", b"data"])
    told = msgspec.json.decode(lines[-3].removeprefix(b"data: "))
    assert HARD in (told | told.get("error", {})).values()
