"""What a request would have cost without compression, beside what it cost. The difference may be negative.

The provider's cache is what makes this more than a subtraction. A token that the cache would have served anyway is
saved at a tenth of its price, and where a changed body no longer begins as the last one did, all of it is paid anew.
"""

from typing import Final

from msgspec import Struct

from proxy_pkg.prices.table import Price
from proxy_pkg.store.turns import Turn
from proxy_pkg.web.usage import Usage

_HIT_PERCENT: Final = 90
"""A cache that served so much of what it held was hit: providers round down to blocks."""


class Saving(Struct, frozen=True):
    """Millionths of a dollar. `turn` is what the conversation's next request needs to know of this one."""

    cost_microdollars: float
    gross_microdollars: float
    net_microdollars: float
    turn: Turn


class Terms(Struct, frozen=True):
    """What a saving is worked out with. `factor` is the provider's tokens for one of our estimate, `kept_s` for how
    long it keeps its cache, `writes_are_told` whether it says what it put there.
    """

    price: Price
    factor: float
    kept_s: int
    writes_are_told: bool


def saving_of(usage: Usage, estimate: int, last: Turn | None, now_s: int, terms: Terms) -> Saving:
    """The saving of a request from which compression took `estimate` tokens, `last` being the turn before.

    Without compression the input would have been all that was sent and what was saved. Of that, the cache would have
    served what it served, and what compression took from that part on the turn before; or where it served less than
    it held, although the turn before is younger than `kept_s` and the conversation only grew, all that it would hold.
    The rest would have been written to it or been fresh, as it was.
    """
    price, saved = terms.price, round(estimate * terms.factor)
    total = usage.input_total + saved
    cost, net = _input_cost(usage, price), 0.0
    if estimate or (last is not None and last.saved):
        read = min(total, _would_be_read(usage, total, last, now_s, terms))
        fresh = total - read
        held = usage.cache_read + usage.cache_write
        if terms.writes_are_told and held:
            fresh = min(fresh, usage.input + saved - _part(saved, held, usage.input_total))
        net = _input_cost(Usage(fresh, read, total - read - fresh), price) - cost
    cost += usage.output * price.output
    turn = Turn(
        at_s=now_s,
        total=usage.input_total,
        cached=_cached(usage, last, terms),
        saved=estimate,
        cost_microdollars=(last.cost_microdollars if last else 0) + round(cost),
        input_total=(last.input_total if last else 0) + total,
    )
    return Saving(cost, saved * price.input, net, turn)


def _part(saved: int, cached: int, total: int) -> int:
    """How many of the tokens saved would be in the cache: the same part of them as of those that were sent."""
    return saved * min(cached, total) // total if total else 0


def _cached(usage: Usage, last: Turn | None, terms: Terms) -> int:
    if terms.writes_are_told:
        return usage.cache_read + usage.cache_write
    # A provider that caches by itself keeps all it gets, if it caches at all.
    caches = usage.cache_read or (last is not None and last.cached)
    return usage.input_total if caches else 0


def _would_be_read(usage: Usage, total: int, last: Turn | None, now_s: int, terms: Terms) -> int:
    if last is None or not last.cached:
        return usage.cache_read
    saved = round(last.saved * terms.factor)
    cached_saved = _part(saved, last.cached, last.total)
    if usage.cache_read * 100 >= last.cached * _HIT_PERCENT:
        return usage.cache_read + cached_saved
    if total >= last.total + saved and now_s - last.at_s <= terms.kept_s:
        return last.cached + cached_saved
    return usage.cache_read


def _input_cost(usage: Usage, price: Price) -> float:
    return usage.input * price.input + usage.cache_read * price.cache_read + usage.cache_write * price.cache_write
