"""A text shrinks only where that pays, and nothing that goes wrong in deciding reaches the request."""

import pytest

from proxy_pkg.model import Producer
from proxy_pkg.planning import policy
from proxy_pkg.planning.policy import Rules, decide
from tests.fakes.bodies import NUMBERED

RULES = Rules(margin_percent=5, block_bytes_max=1 << 20)
READ = Producer("Read")


def characters(text: str) -> int:
    return len(text)


def test_a_text_that_pays_is_shortened_and_counted() -> None:
    verdict = decide(NUMBERED, READ, RULES, characters)
    assert verdict.text is not None
    assert verdict.reason == "smaller"
    assert (verdict.tokens_before, verdict.tokens_after) == (len(NUMBERED), len(verdict.text))
    assert verdict.tokens_after < verdict.tokens_before
    assert verdict.grade is not None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "small"),
        (NUMBERED[:100], "small"),
        (NUMBERED + "\ud83d", "lone_surrogate"),
        (NUMBERED * 400, "too_large"),
        ("No two words of this are alike, and nothing in it comes twice; " * 3, "nothing_to_gain"),
    ],
)
def test_a_text_that_stays_says_why(text: str, reason: str) -> None:
    verdict = decide(text, READ, RULES, characters)
    assert (verdict.text, verdict.reason) == (None, reason)
    assert verdict.tokens_before == verdict.tokens_after


@pytest.mark.parametrize("after", [96, 100, 150])
def test_a_gain_below_the_margin_is_no_gain(after: int) -> None:
    verdict = decide(NUMBERED, READ, RULES, lambda text: 100 if text == NUMBERED else after)
    assert (verdict.text, verdict.reason, verdict.tokens_after) == (None, "below_margin", 100)
    assert decide(NUMBERED, READ, RULES, lambda text: 100 if text == NUMBERED else 95).text is not None


def test_a_compressor_that_fails_leaves_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr(policy, "run_chain", broken)
    verdict = decide(NUMBERED, READ, RULES, characters)
    assert (verdict.text, verdict.reason) == (None, "compressor_failed")


def test_the_same_text_is_decided_the_same() -> None:
    assert decide(NUMBERED, READ, RULES, characters) == decide(NUMBERED, READ, RULES, characters)
