import threading
from collections.abc import Sequence

import pytest
import regex
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st
from tiktoken_ext import openai_public

from proxy_pkg.errors import VocabularyError
from proxy_pkg.tokens import count, vocabulary

MILLION = 1_000_000
HOSTILE = {
    "one letter": "a" * 10 * MILLION,
    "carets": "^" * 10 * MILLION,
    "base64": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo" * 300_000,
    "spaces": " " * 10 * MILLION,
    "CJK": "漢" * 10 * MILLION,
    "combining marks": "e" + "\u0301" * 10 * MILLION,
    "newlines": "\n" * 10 * MILLION,
}


class Panic(BaseException):
    """Stands for the Rust panic, which is no Exception and has this module name."""


Panic.__module__ = "pyo3_runtime"


def recording() -> tuple[count.Encoder, list[str]]:
    seen: list[str] = []

    def encode(text: str) -> Sequence[int]:
        seen.append(text)
        return range(len(text))

    return count.Encoder(encode), seen


def test_counts_are_those_of_tiktoken(monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = {b"a": 0}
    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", lambda *_, **__: ranks)
    theirs = openai_public.o200k_base()
    assert theirs["pat_str"] == "|".join(count.ALTERNATIVES)
    assert theirs["special_tokens"] == count.SPECIAL_TOKENS


@given(st.text(st.sampled_from("aAé漢1² \n\r\t'sS/;-\u0301\u2028"), max_size=40))
@settings(max_examples=300, deadline=None)
def test_text_is_cut_as_tiktoken_cuts_it(text: str) -> None:
    assert regex.findall(count.PATTERN, text) == regex.findall("|".join(count.ALTERNATIVES), text)


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("hello world", 2), ("     1→package main\n", 7), ("漢字", 2), ("\x00", 1)]
)
def test_known_counts(text: str, tokens: int) -> None:
    assert count.count(text) == tokens


@pytest.mark.parametrize("special", [*count.SPECIAL_TOKENS, "<|fim_prefix|>", "<|start|>", "<|im_start|>"])
def test_special_tokens_count_as_plain_text(special: str) -> None:
    assert count.count(f"a {special} b") > 4


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_work_is_bounded_for_hostile_text(text: str) -> None:
    encoder, seen = recording()
    assert encoder.count(text) == pytest.approx(len(text), rel=0.001)
    assert max(map(len, seen)) <= count.CHUNK_CHARS_MAX
    assert sum(map(len, seen)) <= count.COUNTED_CHARS_MAX


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_has_a_count(text: str) -> None:
    assert len(text) // 200 < count.count(text) <= 2 * len(text)


def test_a_panic_of_the_encoder_becomes_an_estimate() -> None:
    def encode(text: str) -> Sequence[int]:
        raise Panic(text)

    assert count.Encoder(encode).count("x" * 40) == 10


def test_other_interruptions_pass() -> None:
    def encode(text: str) -> Sequence[int]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        count.Encoder(encode).count("x")


def test_lone_surrogates_are_counted() -> None:
    assert count.count("a\ud800b") > 0
    assert count.Encoder(None).count("a\ud800b") == 2


@given(st.text(st.sampled_from("ab \n漢e\u0301;/"), max_size=200).map(lambda text: text * 400))
@settings(max_examples=20, deadline=None)
def test_chunks_join_to_the_text(text: str) -> None:
    pieces = list(count.chunks(text))
    assert "".join(pieces) == text
    assert all(0 < len(piece) <= count.CHUNK_CHARS_MAX for piece in pieces)


def test_chunks_of_lines_count_as_the_whole() -> None:
    text = "".join(f"    value_{number} = compute({number})\n" for number in range(20_000))
    exact = len(count.load()._encode(text))  # type: ignore[misc]
    assert len(list(count.chunks(text))) > 30
    assert count.count(text) == pytest.approx(exact, abs=len(list(count.chunks(text))))


def test_a_sampled_count_is_near_the_exact_one() -> None:
    text = "".join(f"    value_{number} = compute({number})\n" for number in range(60_000))
    assert len(text) > count.COUNTED_CHARS_MAX
    assert count.count(text) == pytest.approx(len(count.load()._encode(text)), rel=0.03)  # type: ignore[misc]


def test_without_a_vocabulary_counts_are_byte_estimates_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def read() -> bytes:
        raise VocabularyError("ranks.gz: cannot be read")

    monkeypatch.setattr(vocabulary, "read", read)
    encoder = count.build()
    assert (encoder.basis, encoder.problem) == ("bytes", "ranks.gz: cannot be read")
    assert encoder.count("漢字" * 4) == 6


def test_the_shipped_vocabulary_is_the_basis_and_is_loaded_once() -> None:
    assert count.load().basis == "o200k_base"
    assert count.load() is count.load()


def test_loading_starts_no_thread_and_keeps_no_second_copy() -> None:
    before = threading.active_count()
    encoding = count._encoding(b"YQ== 0\nYg== 1\n")
    assert threading.active_count() == before
    assert isinstance(encoding, tiktoken.Encoding)
    assert encoding._mergeable_ranks == {}
    assert encoding.encode_ordinary("ab") == [0, 1]


@pytest.mark.parametrize(
    "line", ["    def read(self) -> bytes:", "2026-01-01 ERROR disk full on /dev/sda1", "日本語のログ"]
)
def test_a_gauge_of_a_long_text_is_near_its_count(line: str) -> None:
    text = "\n".join(f"{line} {number}" for number in range(9000))
    assert len(text) > count.GAUGED_CHARS
    assert abs(count.load().gauge(text) / count.load().count(text) - 1) < 0.03


def test_a_gauge_of_a_short_text_is_its_count() -> None:
    for text in ("", "a", "word " * 500):
        assert count.load().gauge(text) == count.load().count(text)


def test_a_gauge_never_raises_and_is_the_same_each_time() -> None:
    for text in ("\ud83d" * 100_000, "<|endoftext|>" * 10_000, "^" * 300_000):
        assert count.load().gauge(text) == count.load().gauge(text) >= 0
