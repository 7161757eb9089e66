"""Prices are found by the names that requests give, and a file of one's own goes first."""

from pathlib import Path

import pytest

from proxy_pkg.errors import SettingsError
from proxy_pkg.prices.table import MODELS_KNOWN_MAX, load

ROW = "input = 1.0\ncache_read = 0.1\ncache_write = 1.25\noutput = 5.0\n"


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
        ("anthropic/claude-sonnet-4.5:thinking", "claude-sonnet-4-5"),
        ("anthropic:claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("bedrock/eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("publishers/anthropic/models/claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("claude-opus-4-8", "claude-opus-4-6"),
        ("claude-fable-5-20260609", "claude-fable-5"),
        ("openai/gpt-5.4-2026-03-05", "gpt-5.4"),
        ("openai/gpt-5-mini", "gpt-5-mini-2025-08-07"),
        ("models/gemini-2.5-flash", "gemini-2.5-flash-preview-09-2025"),
        ("z-ai/glm-5.3", "GLM-5.2"),
        ("zai-org/GLM-4.6", "glm-4.7"),
        ("MiniMax-M2.5", "minimax/minimax-m2.1"),
        ("qwen/qwen3.8-max-0902", "qwen3.8-max"),
        ("moonshotai/kimi-k3", "kimi-k3"),
        ("deepseek-flash", "deepseek/deepseek-v4-flash"),
    ],
)
def test_one_model_under_its_many_names(name: str, like: str) -> None:
    prices = load()
    assert prices.of(name) is not None
    assert prices.of(name) == prices.of(like)


def test_the_pattern_that_says_most_counts() -> None:
    prices = load()
    opus, older = prices.of("claude-opus-4-5-20251101"), prices.of("claude-opus-4-1-20250805")
    assert opus is not None
    assert older is not None
    assert opus.input < older.input
    assert prices.of("gpt-5-mini") != prices.of("gpt-5") != prices.of("gpt-5-nano")


def test_reading_the_cache_is_cheaper_than_not_and_writing_never() -> None:
    prices = load()
    for rows in prices._files:
        for pattern, price in rows:
            assert price.cache_read <= price.input <= price.cache_write <= price.cache_write_1h, pattern
            assert price.input < price.output, pattern
            long = price.at(10**7)
            assert long.input >= price.input, pattern
            assert long.output >= price.output, pattern


@pytest.mark.parametrize(
    ("name", "output_tokens_max"),
    [
        ("claude-opus-5-5", 128_000),
        ("claude-opus-4-5", 64_000),
        ("gpt-6.1-sol", 128_000),
        ("gpt-5-pro", 272_000),
        ("gpt-4o", 16_384),
        ("gemini-3.8-flash", 65_536),
        ("deepseek-v4-pro", 393_216),
        ("qwen3.7-plus", 327_680),
        ("glm-5.3", 131_072),
        ("kimi-k3", 1_048_576),
        ("grok-4.7", 500_000),
        ("MiniMax-M2.7", 204_800),
    ],
)
def test_the_longest_answers_of_the_main_models_are_known(name: str, output_tokens_max: int) -> None:
    """A budget reserves no more for one answer, and no less than a request states of it."""
    price = load().of(name)
    assert price is not None
    assert price.output_tokens_max == output_tokens_max


def test_the_whole_of_a_long_request_costs_more() -> None:
    price = load().of("gemini-2.5-pro")
    assert price is not None
    assert price.at(200_000) is price
    assert (price.at(200_001).input, price.at(200_001).output) == (2.5, 15.0)


@pytest.mark.parametrize(
    "name",
    [
        "claude-opus-4-9",
        "claude-opus-6",
        "claude-sonnet-6-1",
        "gpt-5.7",
        "gpt-7",
        "gemini-5-pro",
        "o5",
        "glm-5.4",
        "glm-6",
        "qwen4-max",
    ],
)
def test_a_model_that_is_yet_to_come_has_no_price_rather_than_that_of_another(name: str) -> None:
    assert load().of(name) is None


@pytest.mark.parametrize("name", ["deepseek/deepseek-v4-pro:free", "ft:gpt-4o-mini-2024-07-18:acme::8x"])
def test_what_has_a_price_of_its_own_is_not_taken_for_the_model_it_comes_from(name: str) -> None:
    assert load().of(name) is None


def test_an_unknown_model_has_no_price() -> None:
    prices = load()
    assert prices.of("llama-3.3-70b") is None
    assert prices.of("") is None
    for number in range(2 * MODELS_KNOWN_MAX):
        assert prices.of(f"unknown-{number}") is None
    assert len(prices._known) <= MODELS_KNOWN_MAX


def test_a_file_of_ones_own_goes_first(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(f'as_of = "2026-03-01"\n[[models]]\nmatch = ["claude-*", "house-model"]\n{ROW}')
    prices = load(str(path))
    for name in ("claude-opus-4-5", "house-model"):
        price = prices.of(name)
        assert price is not None
        assert (price.input, price.output) == (1.0, 5.0)
        assert price.cache_write_1h == price.cache_write  # where it is not told
    assert prices.of("gpt-5") == load().of("gpt-5")
    assert prices.as_of == "2026-03-01"
    assert [source.source for source in prices.sources] == [str(path), "shipped"]
    assert prices.sources[1:] == load().sources


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("as_of = ", "is no TOML"),
        ('as_of = "x"\n', "models"),
        (f'as_of = "x"\n[[models]]\nmatch = ["a"]\ninptu = 1.0\n{ROW}', "inptu"),
        ('as_of = "x"\n[[models]]\nmatch = ["a"]\n' + ROW.replace("5.0", '"much"'), "output"),
        ('as_of = "x"\n[[models]]\nmatch = ["a"]\n' + ROW.replace("5.0", "-5.0"), r">= 0.0.*output"),
        ('as_of = "x"\n[[models]]\nmatch = ["a"]\n' + ROW.replace("5.0", "nan"), r">= 0.0.*output"),
        ('as_of = "x"\n[[models]]\nmatch = ["a"]\n' + ROW.replace("5.0", "inf"), r"<= 1000000.0.*output"),
        ('as_of = "x"\n[[models]]\nmatch = ["a"]\ninput = 1.0\n', "cache_read"),
        ('as_of = "x"\n[[models]]\nmatch = ["a"]\n' + ROW + "long_context = { above_tokens = 9 }\n", "long_context"),
    ],
)
def test_a_broken_file_is_refused_by_name(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=says) as caught:
        load(str(path))
    assert str(path) in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load(str(tmp_path / "none.toml"))
