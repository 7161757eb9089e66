"""What a request would have cost without compression, beside what it cost. The difference may be negative.

The provider's cache is what makes this more than a subtraction. A token that the cache would have served anyway is
saved at a tenth of its price, and where a changed body no longer begins as the last one did, all of it is paid anew.
"""

from typing import Final

from msgspec import Struct

from proxy_pkg.billing.usage import Usage
from proxy_pkg.prices.table import Price
from proxy_pkg.store.turns import Turn

_HIT_PERCENT: Final = 90
"""A cache that served so much of what it held was hit: providers round down to blocks."""
_BEYOND_PERCENT: Final = 110
"""One that served more than this was filled by a turn that is not known here."""
_HOUR_SECONDS: Final = 3600


class Saving(Struct, frozen=True):
    """Millionths of a dollar. `turn` is what the conversation's next request needs to know of this one."""

    cost_microdollars: float
    gross_microdollars: float
    net_microdollars: float
    turn: Turn


class Terms(Struct, frozen=True):
    """What a saving is worked out with. `factor` is the provider's tokens for one of our estimate, `kept_s` for how
    long it keeps its cache, `is_told_to_cache` whether it caches what a request marks, and tells how much that was, and
    not by itself all that it gets.
    """

    price: Price
    factor: float
    kept_s: int
    asks_to_cache: bool


def saving_of(usage: Usage, estimate: int, last: Turn | None, now_s: int, terms: Terms) -> Saving:
    """The saving of a request from which compression took `estimate` tokens, `last` being the turn before.

    Without compression the input would have been all that was sent and what was saved. Of that, the cache would have
    served what it served, and what compression took from that part on the turn before; or where it served less than
    it held, although the turn before is younger than `kept_s` and the conversation only grew, all that it would hold.
    The rest would have been written to it or been fresh, as it was. What the cache served after a turn that is not the
    one before (another branch, one that was undone) held as large a part of what was saved as of what was sent.
    """
    price, saved = terms.price, round(estimate * terms.factor)
    total = usage.input_total + saved
    cost, net = cost_of(usage, price), 0.0
    if estimate or (last is not None and last.saved):
        net = cost_of(_uncompressed(usage, saved, last, now_s, terms), price) - cost
    turn = Turn(
        at_s=now_s,
        total=usage.input_total,
        cached=_cached(usage, last, terms),
        saved=estimate,
        cost_microdollars=(last.cost_microdollars if last else 0) + round(cost),
        input_total=(last.input_total if last else 0) + total,
    )
    return Saving(cost, saved * price.at(usage.input_total).input, net, turn)


def cost_of(usage: Usage, price: Price) -> float:
    """Millionths of a dollar."""
    at = price.at(usage.input_total)
    return (
        usage.input * at.input
        + usage.cache_read * at.cache_read
        + (usage.cache_write - usage.cache_write_1h) * at.cache_write
        + usage.cache_write_1h * at.cache_write_1h
        + usage.output * at.output
    )


def _uncompressed(usage: Usage, saved: int, last: Turn | None, now_s: int, terms: Terms) -> Usage:
    """The usage of the same request without compression."""
    total = usage.input_total + saved
    read = min(total, _would_be_read(usage, saved, last, now_s, terms))
    fresh = total - read
    held = usage.cache_read + usage.cache_write
    if held and _reports_writes(usage, terms):
        fresh = min(fresh, usage.input + saved - _part(saved, held, usage.input_total))
    write = total - read - fresh
    return Usage(fresh, read, write, usage.output, _part(write, usage.cache_write_1h, usage.cache_write))


def _part(tokens: int, some: int, total: int) -> int:
    """As many of `tokens` as `some` are of `total`: what was saved is spread over what was sent."""
    return tokens * min(some, total) // total if total else 0


def _reports_writes(usage: Usage, terms: Terms) -> bool:
    return terms.asks_to_cache or bool(usage.cache_write)


def _cached(usage: Usage, last: Turn | None, terms: Terms) -> int:
    if _reports_writes(usage, terms):
        return usage.cache_read + usage.cache_write
    # A provider that caches by itself keeps all it gets, if it caches at all.
    caches = usage.cache_read or (last is not None and last.cached)
    return usage.input_total if caches else 0


def _would_be_read(usage: Usage, saved: int, last: Turn | None, now_s: int, terms: Terms) -> int:
    if last is None or not last.cached:
        return usage.cache_read
    saved_before = round(last.saved * terms.factor)
    if _follows(usage, last):
        return usage.cache_read + _part(saved_before, last.cached, last.total)
    kept_s = max(terms.kept_s, _HOUR_SECONDS) if usage.cache_write_1h else terms.kept_s
    only_grew = usage.input_total + saved >= last.total + saved_before
    if usage.cache_read < last.cached and only_grew and now_s - last.at_s <= kept_s:
        return last.cached + _part(saved_before, last.cached, last.total)
    # What the cache served is of another turn than the last one that is known: another branch, or one that was undone.
    return usage.cache_read + _part(saved, usage.cache_read, usage.input_total)


def _follows(usage: Usage, last: Turn) -> bool:
    """Whether the cache served what it held after the last turn: a part of it less, where it holds whole blocks."""
    return last.cached * _HIT_PERCENT <= usage.cache_read * 100 <= last.cached * _BEYOND_PERCENT
