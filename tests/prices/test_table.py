"""Prices are found by the names that requests give, and a file of one's own goes first."""

from pathlib import Path

import pytest

from proxy_pkg.errors import SettingsError
from proxy_pkg.prices.table import MODELS_KNOWN_MAX, load

ROW = "input = 1.0\ncache_read = 0.1\ncache_write = 1.25\noutput = 5.0\n"


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-0"),
        ("anthropic/claude-sonnet-4.5", "claude-sonnet-4-0"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-0"),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-0"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-0"),
        ("openai/gpt-5-mini", "gpt-5-mini-2025-08-07"),
        ("models/gemini-2.5-flash", "gemini-2.5-flash-preview-09-2025"),
        ("ft:gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
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
            assert price.cache_read < price.input <= price.cache_write <= price.output, pattern


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
        ('as_of = "x"\n[[models]]\nmatch = ["a"]\n' + ROW.replace("5.0", "-5.0"), "below 0"),
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
