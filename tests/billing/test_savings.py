"""A saving is what a request would have cost uncompressed, less what it cost: with the provider's cache in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy_pkg.billing.savings import Saving, Terms, saving_of
from proxy_pkg.billing.usage import Usage
from proxy_pkg.prices.table import Price
from proxy_pkg.store.turns import Turn

PRICE = Price(input=3.0, cache_read=0.3, cache_write=3.75, output=15.0, cache_write_1h=6.0)
TTL = 300
tokens = st.integers(0, 200_000)


def saving(
    usage: Usage, saved: int, last: Turn | None = None, now_s: int = 1000, *, told: bool = True, factor: float = 1.0
) -> Saving:
    return saving_of(usage, saved, last, now_s, Terms(PRICE, factor, TTL, told))


@given(tokens, tokens, tokens, tokens, st.booleans())
def test_what_was_not_touched_saves_nothing(fresh: int, read: int, write: int, output: int, told: bool) -> None:
    found = saving(Usage(fresh, read, write, output), 0, told=told)
    assert found.net_microdollars == found.gross_microdollars == 0
    assert found.cost_microdollars == pytest.approx(fresh * 3 + read * 0.3 + write * 3.75 + output * 15)


def test_without_a_cache_net_is_gross() -> None:
    found = saving(Usage(input=10_000), 2_000)
    assert found.net_microdollars == found.gross_microdollars == 2_000 * 3


def test_what_is_new_is_saved_at_the_price_of_a_write_and_what_is_old_at_that_of_a_read() -> None:
    first = saving(Usage(cache_write=10_000), 2_000)
    assert first.net_microdollars == pytest.approx(2_000 * 3.75)
    second = saving(Usage(cache_read=10_000, cache_write=1_000), 2_000 + 300, first.turn)
    assert second.net_microdollars == pytest.approx(2_000 * 0.3 + 300 * 3.75, rel=0.01)
    assert second.net_microdollars < second.gross_microdollars


def test_a_conversation_whose_beginning_changes_every_turn_loses() -> None:
    turn, total, net = None, 20_000, 0.0
    for number in range(1, 6):
        saved = 500 * number
        found = saving(Usage(input=5, cache_write=total - saved - 5), saved, turn, now_s=1000 + 10 * number)
        turn, net, total = found.turn, net + found.net_microdollars, total + 2_000
    assert net < -4 * 20_000 * 3.0


def test_a_miss_after_the_time_limit_is_nobodys_fault() -> None:
    last = saving(Usage(cache_write=10_000), 2_000).turn
    late = saving(Usage(cache_write=11_000), 2_000, last, now_s=1000 + TTL + 1)
    assert late.net_microdollars == pytest.approx(2_000 * 3.75)
    soon = saving(Usage(cache_write=11_000), 2_000, last, now_s=1000 + TTL)
    assert soon.net_microdollars < 0


def test_a_conversation_that_the_client_made_shorter_is_not_blamed_on_compression() -> None:
    last = saving(Usage(cache_write=100_000), 2_000).turn
    compacted = saving(Usage(cache_write=9_000), 100, last)
    assert compacted.net_microdollars == pytest.approx(100 * 3.75)


def test_a_provider_that_caches_by_itself_counts_once_it_has_cached() -> None:
    cold = saving(Usage(input=10_000), 1_000, told=False)
    assert cold.turn.cached == 0
    again = saving(Usage(input=11_000), 1_000, cold.turn, told=False)
    assert again.net_microdollars == 1_000 * 3
    warm = saving(Usage(input=1_000, cache_read=11_000), 1_000, again.turn, told=False)
    hit = saving(Usage(input=1_000, cache_read=12_000), 1_100, warm.turn, told=False)
    assert hit.net_microdollars == pytest.approx(1_000 * 0.3 + 100 * 3)
    missed = saving(Usage(input=14_000), 1_100, hit.turn, told=False)
    assert missed.net_microdollars == pytest.approx(1_100 * 3 - 14_100 * 2.7)
    assert missed.net_microdollars < 0


def test_a_cache_of_the_system_prompt_alone_serves_no_results() -> None:
    first = saving(Usage(input=9_000, cache_write=1_000), 5_000)
    second = saving(Usage(input=11_000, cache_read=1_000), 6_000, first.turn)
    assert second.net_microdollars > 6_000 * 3 * 0.8


def test_what_the_cache_keeps_for_an_hour_costs_more_and_is_missed_for_an_hour() -> None:
    first = saving(Usage(cache_write=10_000, cache_write_1h=10_000), 2_000)
    assert first.cost_microdollars == 10_000 * 6
    assert first.net_microdollars == pytest.approx(2_000 * 6)
    again = Usage(cache_write=11_000, cache_write_1h=11_000)
    assert saving(again, 2_000, first.turn, now_s=1000 + 3600).net_microdollars < 0
    assert saving(again, 2_000, first.turn, now_s=1000 + 3601).net_microdollars > 0
    assert saving(Usage(cache_write=11_000), 2_000, first.turn, now_s=1000 + 3600).net_microdollars > 0


def test_a_request_that_compression_brings_below_the_price_of_long_ones_saves_that_too() -> None:
    long = Price(input=6.0, cache_read=0.6, cache_write=7.5, output=22.5, cache_write_1h=12.0)
    price = replace(PRICE, long_context=long, long_above_tokens=200_000)
    found = saving_of(Usage(input=190_000, output=1_000), 20_000, None, 1000, Terms(price, 1.0, TTL, True))
    assert found.cost_microdollars == 190_000 * 3 + 1_000 * 15
    assert found.net_microdollars == 210_000 * 6 + 1_000 * 22.5 - found.cost_microdollars
    above = saving_of(Usage(input=250_000), 20_000, None, 1000, Terms(price, 1.0, TTL, True))
    assert above.net_microdollars == above.gross_microdollars == 20_000 * 6


def test_what_another_branch_saved_is_not_taken_for_what_this_one_did() -> None:
    """Two tabs of one conversation in turn: the last turn that is known is the other's."""
    other = saving(Usage(cache_read=9_000, cache_write=1_000), 1_000).turn
    long = saving(Usage(cache_read=100_000, cache_write=1_000), 20_000, other)
    # All but a hundredth of what it saved was in the cache, at a tenth of the price.
    assert long.net_microdollars == pytest.approx(20_000 * (0.99 * 0.3 + 0.01 * 3.75), rel=0.02)
    short = saving(Usage(cache_read=9_000, cache_write=1_000), 1_000, long.turn)
    assert short.net_microdollars == pytest.approx(1_000 * (0.9 * 0.3 + 0.1 * 3.75), rel=0.02)


def test_a_provider_that_caches_by_itself_may_tell_what_it_wrote() -> None:
    first = saving(Usage(input=100, cache_write=9_900), 1_000, told=False)
    assert first.turn.cached == 9_900
    assert first.net_microdollars == pytest.approx(1_000 * 3.75, rel=0.02)


@given(tokens, tokens, tokens, tokens, st.integers(0, 50_000), st.integers(0, 50_000), st.booleans())
def test_the_parts_never_fall_below_nothing(
    fresh: int, read: int, write: int, before: int, saved: int, saved_before: int, told: bool
) -> None:
    last = saving(Usage(before // 3, before // 3, before // 3), saved_before, told=told).turn
    found = saving(Usage(fresh, read, write), saved, last, told=told)
    uncompressed = found.cost_microdollars + found.net_microdollars
    assert uncompressed >= -1e-6
    assert uncompressed <= (fresh + read + write + saved) * PRICE.cache_write + 1e-6
    assert 0 <= found.turn.cached <= found.turn.total == fresh + read + write


def test_sums_go_on_with_the_conversation() -> None:
    first = saving(Usage(input=1_000, output=100), 200).turn
    second = saving(Usage(input=2_000, output=100), 300, first).turn
    assert second.input_total == 1_200 + 2_300
    assert second.cost_microdollars == 3_000 * 3 + 200 * 15


@given(st.floats(0.3, 3), st.floats(0.3, 3))
def test_an_estimate_that_is_corrected_on_the_way_makes_no_loss(before: float, after: float) -> None:
    first = saving(Usage(cache_write=10_000), 2_000, factor=before)
    second = saving(Usage(cache_read=10_000, cache_write=1_000), 2_300, first.turn, factor=after)
    assert second.net_microdollars == pytest.approx((2_000 * 0.3 + 300 * 3.75) * after, rel=0.01)
