"""The measure itself: a form that breaks its promise is caught, and prices follow the cache."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bench import compression_decode
from bench.compression_corpus import CASES, Block, blocks, reads
from bench.compression_decode import decode, has_only_lines_of
from bench.compression_laws import LEVELS, decision, digest, digest_elsewhere, measure, sample
from bench.compression_price import broken_prefixes, price, read, replayed
from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.model import Grade, Level, Producer, Verdict
from proxy_pkg.tokens.count import count

TEXT = "one two three\nfour five six\nseven eight nine\n" * 5


@pytest.fixture
def shortened_by(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Verdict]:
    """Makes the verdict of a compressor that is known to the harness for this test only."""

    def make(grade: Grade, compress: Callable[[str], str], inverse: Callable[[str], str] | None = None) -> Verdict:
        step = Compressor("trial", grade, compress)
        monkeypatch.setattr(compression_decode, "STEPS", {"trial": step})
        monkeypatch.setattr(compression_decode, "INVERSES", {"trial": inverse} if inverse else {})
        return Verdict("smaller", "text", "trial", grade, compress(TEXT), count(TEXT), count(compress(TEXT)))

    return make


def test_an_inverse_that_gives_back_the_text_is_the_proof(shortened_by: Callable[..., Verdict]) -> None:
    verdict = shortened_by(Grade.INVERTIBLE, lambda text: text[:-1], lambda text: text + "\n")
    assert decode(TEXT, verdict).problem == ""
    assert decode(TEXT, verdict).value == TEXT


def test_a_word_less_is_noticed(shortened_by: Callable[..., Verdict]) -> None:
    verdict = shortened_by(Grade.INVERTIBLE, lambda text: text.replace("five ", "", 1), lambda text: text)
    assert "gives something else" in decode(TEXT, verdict).problem


def test_an_inverse_that_raises_is_noticed(shortened_by: Callable[..., Verdict]) -> None:
    verdict = shortened_by(Grade.INVERTIBLE, lambda text: "x", lambda text: str(text.index("y")))
    assert "fails" in decode(TEXT, verdict).problem


def test_a_promise_that_nothing_can_check_counts_as_broken(shortened_by: Callable[..., Verdict]) -> None:
    verdict = shortened_by(Grade.PRESENTATION, lambda text: "x")
    assert "no inverse" in decode(TEXT, verdict).problem


def test_a_text_that_its_compressor_does_not_write_is_noticed(shortened_by: Callable[..., Verdict]) -> None:
    verdict = shortened_by(Grade.INVERTIBLE, lambda text: text[:-1], lambda text: text + "\n")
    assert decode(TEXT, msgspec.structs.replace(verdict, text="something else")).problem


def test_a_lossy_text_has_lines_of_the_input_in_order_and_marks() -> None:
    assert has_only_lines_of("a\nb\nc\nd", "a\n[2 lines left out: 2-3]\nd")
    assert not has_only_lines_of("a\nb\nc\nd", "a\n[1 lines left out: 2]\nd")
    assert not has_only_lines_of("a\nb\nc\nd", "a\nd")
    assert not has_only_lines_of("a\nb\nc\nd", "a\nc\nb")
    assert not has_only_lines_of("a\nb\nc\nd", "a\nb c\nd")


def test_a_raising_compressor_breaks_a_law() -> None:
    failed = Verdict("compressor_failed")
    assert measure(Block("logs", "x", TEXT), lambda text, producer: failed).broken == ("a compressor raised",)


def test_an_impure_decision_breaks_a_law() -> None:
    reasons = iter(("small", "nothing_to_gain", "small"))
    assert measure(Block("logs", "x", TEXT), lambda text, producer: Verdict(next(reasons))).broken


def test_another_process_decides_the_same() -> None:
    here = digest(sample(blocks(CASES)), decision(Level.LOSSLESS))
    assert here == digest_elsewhere(["--corpus", str(CASES)], hash_seed=3)
    assert here != digest(sample(blocks(CASES)), lambda text, producer: Verdict("small"))


def test_a_conversation_of_either_api_is_replayed_and_its_prefix_kept(tmp_path: Path) -> None:
    anthropic = sorted((CASES / "conversations").glob("*.json"))[0]
    chat = tmp_path / "chat.traj.json"
    chat.write_bytes(msgspec.json.encode(as_chat()))
    rules = LEVELS[Level.LOSSLESS]()
    for path in (anthropic, chat):
        each = replayed(read(path), rules)
        assert each.broken == ()
        assert each.saving.turns > 3
        assert each.saving.price_saved_percent > 0
    assert {block.text for block in reads(tmp_path)} == {block.text for block in reads(CASES)}


def as_chat() -> dict[str, object]:
    """The file reads of all conversations as a trajectory in the OpenAI chat format."""
    messages: list[dict[str, object]] = [{"role": "user", "content": "Read these files."}]
    for number, block in enumerate(reads(CASES)):
        call = {"id": f"c{number}", "type": "function", "function": {"name": "Read", "arguments": "{}"}}
        messages.append({"role": "assistant", "content": "", "tool_calls": [call], "extra": {"cost": 1}})
        messages.append({"role": "tool", "tool_call_id": f"c{number}", "content": block.text})
    return {"trajectory_format": "chat", "messages": messages}


def test_what_was_sent_before_costs_a_tenth() -> None:
    first = msgspec.json.encode({"messages": [{"role": "user", "content": "a b c d"}]})
    second = first[:-2] + b',{"role":"assistant","content":"e f"}]}'
    tokens_first, price_first = price([first], {})
    tokens_both, price_both = price([first, second], {})
    new = tokens_both - 2 * tokens_first
    assert price_first == pytest.approx(1.25 * tokens_first)
    assert price_both == pytest.approx(price_first + 0.1 * tokens_first + 1.25 * new)


def test_a_changed_message_breaks_the_prefix() -> None:
    one, two = b'{"messages":[{"a":1}]}', b'{"messages":[{"a":1},{"b":2}]}'
    assert broken_prefixes([one, two]) == []
    assert broken_prefixes([two, one]) == [0]


def test_a_producer_of_no_name_is_decided_on_too() -> None:
    assert decision(Level.LOSSLESS)(TEXT, Producer()).tokens_before
