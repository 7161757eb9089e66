"""Two arms of conversations compared by what they cost: a measurement with its error, and no estimate of a saving.

What is compared is the ratio of cost to input, both summed over whole conversations, since the requests of one are
not independent of each other. The variance of a ratio of sums is that of Cochran, Sampling Techniques (1977), 6.4: of
the residuals cost - ratio x input. The difference of both arms has the sum of their variances (Welch); with
CONVERSATIONS_MIN in each, its distribution is normal enough for the interval.
"""

from collections.abc import Mapping
from math import sqrt
from typing import Any, Final

from msgspec import Struct

from proxy_pkg.stats.catalogue import METRICS

CONVERSATIONS_MIN: Final = 30
"""In each arm; with fewer nothing is said."""
BASIS: Final = (
    "measured: cost of whole conversations with tool results, output included, for each million tokens of the client's "
    "own input; of the compressed arm this input is what was sent and, by estimate, what was saved. The interval is of "
    "95 %, by a ratio estimator over conversations (Cochran 1977, 6.4) and Welch's difference"
)

_ARMS: Final = ("compressed", "held_out")
_SUMS: Final = tuple(name for name, _ in METRICS["proxy_holdout_sums_total"].split)
_Z_95: Final = 1.959964
_USD_PER_UNIT: Final = 1e-4
"""A cost in the sums is in hundredths of a cent."""
_UNITS_PER_MILLION: Final = 1000
"""An input in the sums is in thousands of tokens."""


class Ratio(Struct, frozen=True):
    """Cost for input, in the units of the sums."""

    value: float
    variance: float


def ratio_of(sums: Mapping[str, int]) -> Ratio:
    """The ratio of an arm with two or more conversations and some input."""
    count, cost, tokens = sums["conversations"], sums["cost"], sums["input"]
    value = cost / tokens
    residuals = sums["cost_square"] - 2 * value * sums["cost_input"] + value * value * sums["input_square"]
    return Ratio(value, count * max(0.0, residuals) / (count - 1) / tokens**2)


def compared(arms: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """Both arms and their difference as `/stats` tells them; empty without a hold-out."""
    if not arms:
        return {}
    full = {arm: {name: arms.get(arm, {}).get(name, 0) for name in _SUMS} for arm in _ARMS}
    told: dict[str, Any] = {"basis": BASIS, "arms": {arm: _arm(sums) for arm, sums in full.items()}}
    fewest = min(sums["conversations"] for sums in full.values())
    if fewest < CONVERSATIONS_MIN or not all(sums["input"] and sums["cost"] for sums in full.values()):
        return told | {"result": f"not enough data: {fewest} of {CONVERSATIONS_MIN} conversations in an arm"}
    compressed, held_out = (ratio_of(full[arm]) for arm in _ARMS)
    difference = compressed.value - held_out.value
    error = _Z_95 * sqrt(compressed.variance + held_out.variance)
    return told | {
        "difference_usd_per_million_input_tokens": _usd(difference),
        "interval_95_usd_per_million_input_tokens": [_usd(difference - error), _usd(difference + error)],
        "difference_percent": round(100 * difference / held_out.value, 2),
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


def _usd(ratio: float) -> float:
    return round(ratio * _USD_PER_UNIT * _UNITS_PER_MILLION, 4)


def _result(difference: float, error: float) -> str:
    if abs(difference) <= error:
        return "no difference beyond chance"
    return "compressed conversations cost less" if difference < 0 else "compressed conversations cost more"
