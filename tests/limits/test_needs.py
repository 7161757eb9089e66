"""What a request can take: as it states it, in the words of each API, and as its model's answers were."""

import base64
import json
import random

import pytest

from proxy_pkg.billing.usage import Usage
from proxy_pkg.limits.needs import OUTPUT_TOKENS, OUTPUT_TOKENS_MAX, Needs, stated_in
from proxy_pkg.prices.table import load as load_prices
from proxy_pkg.tokens.count import load as load_encoder

MODEL = "claude-sonnet-4-5"


@pytest.fixture
def needs() -> Needs:
    return Needs(load_prices(), load_encoder())


@pytest.mark.parametrize(
    ("body", "stated"),
    [
        ({"max_tokens": 100}, (100, 1)),
        ({"max_completion_tokens": 100, "max_tokens": 7, "n": 3}, (100, 3)),
        ({"max_output_tokens": 100}, (100, 1)),
        ({"generationConfig": {"maxOutputTokens": 100, "candidateCount": 2}}, (100, 2)),
        ({"generation_config": {"max_output_tokens": 100}}, (100, 1)),
        ({"inferenceConfig": {"maxTokens": 100}}, (100, 1)),
        ({"request": {"generationConfig": {"maxOutputTokens": 100}}}, (100, 1)),
        ({"type": "response.create", "response": {"max_output_tokens": 100}}, (100, 1)),
        ({"max_tokens": None, "n": None}, (0, 1)),
        ({"max_tokens": "many", "max_output_tokens": True}, (0, 1)),
        ({"messages": [{"input": {"max_tokens": 5}}]}, (0, 1)),
        ({"max_tokens": 100, "generationConfig": [1]}, (100, 1)),
        ({}, (0, 1)),
    ],
)
def test_what_a_request_states(body: dict[str, object], stated: tuple[int, int]) -> None:
    assert stated_in(json.dumps(body).encode()) == stated


def test_a_body_that_is_long_or_strange_is_taken_for_the_most_that_it_states() -> None:
    assert stated_in(b'{"max_tokens":50,"x":NaN,"messages":["say \\"max_tokens\\": 9000"]}') == (50, 1)
    assert stated_in(b'{"messages":["' + b"x" * (2 << 20) + b'"],"max_tokens":50}') == (50, 1)
    assert stated_in(b'"max_tokens":' * 10**5) == (0, 1)
    assert stated_in(b"") == (0, 1)


def test_input_and_stated_output_at_their_prices(needs: Needs) -> None:
    need = needs.of(MODEL, b'{"model":"claude-sonnet-4-5","max_tokens":1000,"messages":[]}')
    assert need.input_tokens < 30
    assert need.microdollars == need.input_microdollars + 15 * 1000
    assert need.input_microdollars == round(3.75 * need.input_tokens)
    kept_long = needs.of(MODEL, b'{"max_tokens":1000,"system":[{"cache_control":{"type":"ephemeral","ttl":"1h"}}]}')
    assert kept_long.input_microdollars == 6 * kept_long.input_tokens


def test_more_than_any_model_writes_is_not_taken_at_its_word(needs: Needs) -> None:
    body = b'{"max_tokens":99999999}'
    assert needs.of(MODEL, body).microdollars <= 15 * OUTPUT_TOKENS_MAX + 100
    assert needs.of("unheard-of", body).tokens <= OUTPUT_TOKENS + 100


def test_without_a_statement_it_is_what_answers_of_the_model_had_of_late(needs: Needs) -> None:
    first = needs.of(MODEL, b"{}")
    assert first.tokens - first.input_tokens == OUTPUT_TOKENS
    needs.learn(MODEL, first, Usage(input=1, output=800), 0)
    assert needs.of(MODEL, b"{}").tokens - first.input_tokens == 1000
    for _ in range(200):
        needs.learn(MODEL, first, Usage(input=1, output=80), 0)
    assert 100 <= needs.of(MODEL, b"{}").tokens - first.input_tokens < 200
    # What limits of tokens take in advance is what is usual, and money what is possible.
    stated = needs.of(MODEL, b'{"max_tokens":5000}')
    assert stated.tokens < 300
    assert stated.microdollars > 15 * 5000


def test_input_that_bodies_do_not_show_is_learned(needs: Needs) -> None:
    before = needs.of(MODEL, b'{"max_tokens":1}')
    needs.learn(MODEL, before, Usage(input=100_000, output=1), 0)
    assert needs.of(MODEL, b'{"max_tokens":1}').microdollars > 3 * 99_000


def test_a_name_without_a_price_is_reserved_for_what_its_answers_cost(needs: Needs) -> None:
    need = needs.of("my-deployment", b"{}")
    assert (need.is_priced, need.microdollars) == (False, 0)
    needs.learn("my-deployment", need, Usage(input=1, output=1), 450_000)
    assert needs.of("my-deployment", b"{}").microdollars == 450_000


def test_an_answer_that_reports_nothing_costs_its_input_and_its_bytes_and_no_more_than_was_reserved(
    needs: Needs,
) -> None:
    need = needs.of(MODEL, b'{"max_tokens":1000}')
    assert need.cost_unreported(0) == need.input_microdollars
    assert need.cost_unreported(100) == need.input_microdollars + 15 * 100
    assert need.cost_unreported(10**9) == need.microdollars


def _log(lines: int) -> str:
    choose = random.Random(7)
    return "\n".join(
        f"2026-03-0{n % 9 + 1}T0{n % 10}:15:2{n % 10}.{choose.randrange(10**6):06}Z WARN "
        f"[{choose.getrandbits(64):016x}] GET /api/v2/items/{choose.randrange(10**7)} 200 {choose.randrange(5000)}ms"
        for n in range(lines)
    )


@pytest.mark.parametrize(
    "text", [_log(3000), "The quick brown fox jumps over it. " * 4000, "Größe 漢字 значение " * 3000]
)
def test_the_sample_of_a_body_is_near_its_count(text: str) -> None:
    encoder, body = load_encoder(), json.dumps({"messages": [{"content": text}]}, ensure_ascii=False)
    assert encoder.gauge_bytes(body.encode()) == pytest.approx(encoder.count(body), rel=0.15)


def test_an_image_is_no_text() -> None:
    data = base64.b64encode(random.Random(1).randbytes(300_000))
    assert load_encoder().gauge_bytes(b'{"data":"' + data + b'"}') < len(data) / 16


@pytest.mark.parametrize("before", [(1 << 20) - 20, (1 << 20) - 5, (1 << 20) + 1, 3 << 20])
def test_of_a_long_body_what_it_states_is_found_wherever_it_stands(before: int) -> None:
    head = b'{"x":"' + b"x" * (before - 7) + b'",'
    assert stated_in(head + b'"max_tokens" : 123456789,"y":"' + b"y" * (2 << 20) + b'"}') == (123456789, 1)
