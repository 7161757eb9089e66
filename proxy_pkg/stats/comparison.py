"""Two arms of conversations compared by what they cost: a measurement with its error, and no estimate of a saving.

What is compared is the mean over conversations of ln(cost / input), and so, by how many percent a conversation's cost
for its input differs. Requests of one conversation are not independent of each other, and a few long conversations
make most of all costs: the interval of a ratio of sums (Cochran, Sampling Techniques, 1977, 6.4) holds the truth
in 65 to 88 % of draws from such lengths instead of 95. Logarithms have no such tail. The
difference of both arms has the sum of their variances (Welch); with CONVERSATIONS_MIN in each, its distribution is
normal enough for the interval.
"""

from collections.abc import Mapping
from math import expm1, sqrt
from typing import Any, Final

from msgspec import Struct

from proxy_pkg.stats.catalogue import METRICS

CONVERSATIONS_MIN: Final = 30
"""In each arm; with fewer nothing is said."""
BASIS: Final = (
    "measured: by how many percent a conversation with tool results costs less or more for its input, output included; "
    "the geometric mean over conversations, each counting alike, so the bill as a whole may differ by another share. "
    "The interval is of 95 %, of the mean logarithm of cost by input, by Welch's difference. Input is the client's "
    "own: of the compressed arm what was sent and, by estimate, what was saved"
)

_ARMS: Final = ("compressed", "held_out")
_SUMS: Final = tuple(name for name, _ in METRICS["proxy_holdout_sums_total"].split)
_Z_95: Final = 1.959964
_USD_PER_UNIT: Final = 1e-4
"""A cost in the sums is in hundredths of a cent."""
_UNITS_PER_MILLION: Final = 1000
"""An input in the sums is in thousands of tokens."""


class Mean(Struct, frozen=True):
    """Of ln(cost / input) over the conversations of an arm, in the units of a record: a constant cancels out."""

    value: float
    variance: float


def mean_of(sums: Mapping[str, int]) -> Mean:
    """The mean of an arm with two or more conversations, and the variance of that mean."""
    count = sums["conversations"]
    value = (sums["log_rise"] - sums["log_fall"]) / 1e6 / count
    square = (sums["square_rise"] - sums["square_fall"]) / 1e6 / count
    return Mean(value, max(0.0, square - value * value) / (count - 1))


def compared(arms: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """Both arms and their difference as `/stats` tells them; empty without a hold-out."""
    if not arms:
        return {}
    full = {arm: {name: arms.get(arm, {}).get(name, 0) for name in _SUMS} for arm in _ARMS}
    result: dict[str, Any] = {"basis": BASIS, "arms": {arm: _arm(sums) for arm, sums in full.items()}}
    fewest = min(sums["conversations"] for sums in full.values())
    if fewest < CONVERSATIONS_MIN or not all(sums["input"] and sums["cost"] for sums in full.values()):
        return result | {"result": f"not enough data: {fewest} of {CONVERSATIONS_MIN} conversations in an arm"}
    compressed, held_out = (mean_of(full[arm]) for arm in _ARMS)
    difference = compressed.value - held_out.value
    error = _Z_95 * sqrt(compressed.variance + held_out.variance)
    return result | {
        "difference_percent": _percent(difference),
        "interval_95_percent": [_percent(difference - error), _percent(difference + error)],
        "result": _result(difference, error),
    }


def _arm(sums: Mapping[str, int]) -> dict[str, Any]:
    requests, cost, tokens = sums["requests"], sums["cost"] * _USD_PER_UNIT, sums["input"]
    return {
        "conversations": sums["conversations"],
        "requests": requests,
        "cost_usd": round(cost, 4),
        "mean_cost_usd_per_request": round(cost / requests, 6) if requests else None,
        "cost_usd_per_million_input_tokens": _usd(sums["cost"] / tokens) if tokens else None,
    }


def _percent(difference: float) -> float:
    """Of a difference of logarithms."""
    return round(100 * expm1(difference), 2)


def _usd(ratio: float) -> float:
    return round(ratio * _USD_PER_UNIT * _UNITS_PER_MILLION, 4)


def _result(difference: float, error: float) -> str:
    if abs(difference) <= error:
        return "no difference beyond chance"
    return "compressed conversations cost less" if difference < 0 else "compressed conversations cost more"
