"""A caller has one name however it spells its credential, and the name gives nothing away."""

from typing import Any

import pytest

from proxy_pkg.limits.callers import NOBODY, Callers
from proxy_pkg.protocols import anthropic, gemini, openai
from proxy_pkg.protocols.grammar import Api
from proxy_pkg.store.contract import StoreError
from proxy_pkg.store.fallback import Fallback
from proxy_pkg.web.middleware.auth import KEY_NAME, tokens_of
from tests.store.memory import Memory

SECRET = b"sk-a-secret-0123456789"


def scope(*headers: tuple[bytes, bytes], query: bytes = b"") -> dict[str, Any]:
    return {"headers": list(headers), "query_string": query}


@pytest.mark.parametrize(
    ("api", "given"),
    [
        (anthropic.API, scope((b"x-api-key", SECRET))),
        (anthropic.API, scope((b"authorization", b"Bearer " + SECRET))),
        (openai.API, scope((b"authorization", b"Bearer " + SECRET))),
        (openai.API, scope((b"authorization", b"bearer   " + SECRET + b" "))),
        (openai.API, scope((b"api-key", SECRET))),
        (gemini.API, scope((b"x-goog-api-key", SECRET))),
        (gemini.API, scope(query=b"alt=sse&key=" + SECRET)),
        (anthropic.API, scope((b"x-api-key", SECRET), (b"x-goog-api-key", b"another"), query=b"key=more")),
    ],
)
def test_a_credential_is_one_caller_however_it_is_sent(api: Api, given: dict[str, Any]) -> None:
    callers = Callers()
    assert callers.name(given, api) == callers.name(scope((b"x-api-key", SECRET)), anthropic.API)
    assert SECRET.decode()[:6] not in callers.name(given, api)
    assert callers.label(given, api) == callers.name(given, api).removeprefix("hash:")[:8]


def test_another_credential_is_another_caller() -> None:
    callers = Callers()
    names = {callers.name(scope((b"x-api-key", b"k%d" % number)), anthropic.API) for number in range(100)}
    assert len(names) == 100


def test_a_signature_that_changes_with_each_request_is_one_caller() -> None:
    callers = Callers()
    names = {
        callers.name(
            scope((b"authorization", b"AWS4-HMAC-SHA256 Credential=AKID/2026/eu/x, Signature=%d" % number)), openai.API
        )
        for number in range(3)
    }
    assert len(names) == 1


def test_the_name_of_a_proxy_key_goes_before_all_credentials() -> None:
    given = scope((b"x-api-key", SECRET)) | {KEY_NAME: "team-a"}
    assert Callers().name(given, anthropic.API) == "key:team-a"
    assert Callers().label(given, anthropic.API) == "team-a"


def test_requests_without_a_credential_are_one_caller() -> None:
    assert Callers().name(scope((b"authorization", b"  ")), openai.API) == NOBODY
    assert Callers().label(scope(), gemini.API) == NOBODY


def alone(store: Memory) -> Fallback:
    """A store without a fleet."""
    return Fallback(store, None, 1, lambda *loss: None)


async def test_workers_agree_through_the_store() -> None:
    store, workers = alone(Memory(lambda: 1.0)), [Callers(), Callers(), Callers()]
    given = scope((b"x-api-key", SECRET))
    assert len({callers.name(given, anthropic.API) for callers in workers}) == 3
    for callers in workers:
        await callers.agree(store)
    assert len({callers.name(given, anthropic.API) for callers in workers}) == 1


async def test_an_outage_gives_no_caller_another_name() -> None:
    local, shared = Memory(lambda: 1.0), Memory(lambda: 1.0)
    await local.put("callers", bytes(32), 60)  # from before there was a fleet
    fleet, callers = Fallback(local, shared, 2, lambda *loss: None), Callers()
    given = scope((b"x-api-key", SECRET))
    await callers.agree(fleet)
    before = callers.name(given, anthropic.API)
    shared.failing = StoreError("away", "open")
    await callers.agree(fleet)
    assert callers.name(given, anthropic.API) == before
    shared.failing = None
    another = Callers()
    await another.agree(fleet)
    assert another.name(given, anthropic.API) == before


async def test_a_damaged_secret_is_not_used() -> None:
    store, callers = alone(Memory(lambda: 1.0)), Callers()
    await store.put("callers", b"", 60)
    before = callers.name(scope((b"x-api-key", SECRET)), anthropic.API)
    await callers.agree(store)
    assert callers.name(scope((b"x-api-key", SECRET)), anthropic.API) == before


def test_tokens_have_the_names_of_the_settings() -> None:
    assert tokens_of("plain", "a:to:ken,b:other") == {"plain": "", "to:ken": "a", "other": "b"}
    assert tokens_of("", "") == {}
