"""A text shrinks only where that pays, and nothing that goes wrong in deciding reaches the request."""

from pathlib import Path

import pytest

from proxy_pkg.compressors.producers import tools
from proxy_pkg.model import Producer
from proxy_pkg.planning import policy
from proxy_pkg.planning.policy import Rules, decide, weighed
from proxy_pkg.tokens.count import load
from tests.fakes.bodies import NUMBERED
from tests.planning.characters import Characters

CASES = Path(__file__).parents[1] / "cases" / "compressors"
RULES = Rules(margin_percent=5, block_bytes_max=1 << 20)
READ = Producer("Read")


class Fixed(Characters):
    """So many tokens for the text that stays, and so many for any other."""

    def __init__(self, before: int, after: int) -> None:
        self.before, self.after = before, after

    def count(self, text: str) -> int:
        return self.before if text == NUMBERED else self.after


def test_a_text_that_pays_is_shortened_and_counted() -> None:
    verdict = decide(NUMBERED, READ, RULES, Characters())
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
    verdict = decide(text, READ, RULES, Characters())
    assert (verdict.text, verdict.reason) == (None, reason)
    assert verdict.tokens_before == verdict.tokens_after


@pytest.mark.parametrize("after", [96, 100, 150])
def test_a_gain_below_the_margin_is_no_gain(after: int) -> None:
    verdict = decide(NUMBERED, READ, RULES, Fixed(100, after))
    assert (verdict.text, verdict.reason, verdict.tokens_after) == (None, "below_margin", 100)
    assert decide(NUMBERED, READ, RULES, Fixed(100, 95)).text is not None


@pytest.mark.parametrize(
    ("exact", "reads", "producer", "stays"),
    [
        ("read", False, READ, True),
        ("READ", False, READ, True),
        ("WebFetch,r*", False, READ, True),
        ("read", False, Producer("mcp__files__read"), True),
        ("mcp__*", False, Producer("mcp__files__read"), True),
        ("mcp__*", False, READ, False),
        ("rea", False, READ, False),
        ("", False, READ, False),
        ("", True, READ, True),
        ("", True, Producer("Bash", {"command": "cat a.py"}), True),
        ("", True, Producer("Bash", {"command": "make"}), False),
    ],
)
def test_what_the_operator_wants_exact_stays_exact(exact: str, reads: bool, producer: Producer, stays: bool) -> None:
    rules = Rules(5, 1 << 20, tools=tools("", "", exact, reads))
    verdict = decide(NUMBERED, producer, rules, Characters())
    assert (verdict.reason == "exact_tool") is stays
    assert (verdict.text is None) is stays


def test_a_text_of_few_tokens_stays() -> None:
    least = Rules(5, 1 << 20, tokens_min=len(NUMBERED) + 1)
    assert decide(NUMBERED, READ, least, Characters()).reason == "few_tokens"
    assert decide(NUMBERED, READ, Rules(5, 1 << 20, tokens_min=len(NUMBERED)), Characters()).text is not None


def test_a_compressor_that_fails_leaves_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr(policy, "run_chain", broken)
    verdict = decide(NUMBERED, READ, RULES, Characters())
    assert (verdict.text, verdict.reason) == (None, "compressor_failed")


def test_the_same_text_is_decided_the_same() -> None:
    assert decide(NUMBERED, READ, RULES, Characters()) == decide(NUMBERED, READ, RULES, Characters())


class Misled(Characters):
    """Finds long texts a tenth shorter than they are where they begin with a bracket."""

    def gauge(self, text: str, sample_chars: int = 0) -> int:
        is_misled = len(text) > sample_chars and text.startswith("[")
        return len(text) * 9 // 10 if is_misled else len(text)


LONG = "\n".join(f"line {number} of a long text" for number in range(2000))


def test_a_small_saving_in_a_long_text_is_told_by_the_lines_that_changed() -> None:
    shorter = "[20 lines left out]\n" + "\n".join(LONG.split("\n")[20:])
    before, after = weighed(LONG, shorter, RULES, Misled())
    assert before - after == pytest.approx(len(LONG) - len(shorter), abs=2)


def test_a_large_saving_in_a_long_text_is_told_by_a_sample() -> None:
    shorter = "[" + LONG[: len(LONG) // 2]
    assert weighed(LONG, shorter, RULES, Misled()) == (len(LONG), len(shorter) * 9 // 10)


def corpus(kind: str) -> list[str]:
    """Texts of a kind as they come, and pieces of them that are too small to change."""
    whole = [path.read_text() for path in sorted((CASES / kind).glob("*/in.*"))]
    return whole + [text[start : start + 60 + start % 90] for text in whole for start in range(0, len(text), 700)]


@pytest.mark.parametrize("kind", ["log", "json", "build", "ruled", "lint", "diff"])
def test_a_text_left_alone_is_estimated_by_a_sample(kind: str) -> None:
    """Four bytes to a token were off by a third for JSON and by a sixth for logs."""
    tokens, texts = load(), corpus(kind)
    exact = Rules(margin_percent=5, block_bytes_max=1 << 20, tools=tools("", "", "Read"))
    verdicts = [decide(text, READ, exact, tokens) for text in texts]
    assert {verdict.reason for verdict in verdicts} == {"small", policy.EXACT_TOOL}
    assert all(verdict.tokens_after == verdict.tokens_before for verdict in verdicts)
    counted = [tokens.count(text) for text in texts]
    assert sum(verdict.tokens_before for verdict in verdicts) == pytest.approx(sum(counted), rel=0.05)
    for verdict, count in zip(verdicts, counted, strict=True):
        assert verdict.tokens_before == pytest.approx(count, rel=0.25, abs=2)


def test_a_sample_is_all_that_is_counted_of_a_text_that_is_too_large() -> None:
    class Counted(Characters):
        chars = 0

        def count(self, text: str) -> int:
            self.chars += len(text)
            return len(text)

        def gauge(self, text: str, sample_chars: int = 6144) -> int:
            return self.count(text[:sample_chars])

    tokens = Counted()
    assert decide("line of a log\n" * 200_000, READ, RULES, tokens).reason == "too_large"
    assert 0 < tokens.chars <= 2000
