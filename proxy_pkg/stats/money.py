"""The sections "usage" and "money" of `/stats`: what providers were paid, and what compression changed about it."""

from collections import defaultdict
from typing import Any, Final

from proxy_pkg.stats.catalogue import METRICS
from proxy_pkg.stats.comparison import compared
from proxy_pkg.stats.snapshot import Reading

USAGE_BASIS: Final = (
    "as the providers' answers tell it; of an answer that broke off, what it had told. `input` is what no cache served "
    "or took in, and reasoning is in `output`"
)
COST_BASIS: Final = (
    "usage at list prices: proxy_pkg/prices/prices.toml, and before them those of HEADROOM_PRICES; without batch, "
    "flex, priority and fast rates, regional surcharges and fees for tools that the provider runs"
)
GROSS_BASIS: Final = (
    "estimate: tokens saved (o200k_base, times the calibration of the model where there is one) at the full price of "
    "input. What a cache would have served at a tenth of it counts in full, so bills fall by less"
)
NET_BASIS: Final = (
    "estimate: what the same requests would have cost uncompressed, less what they cost. Uncompressed, the provider's "
    "cache would have served what it served and what was saved in it before; or where it served less than it held, "
    "although the conversation only grew within HEADROOM_NET_COST_CACHE_TTL_SECONDS, all that it would have held: so a "
    "cache miss counts against compression. gain - loss, may be negative"
)
CALIBRATION_BASIS: Final = (
    "estimate: providers' input tokens for one of ours, over bodies of text alone that were counted whole; `deviation` "
    "is the standard deviation of that ratio from request to request"
)

_ROUND_USD: Final = 6


def usage_dict(reading: Reading) -> dict[str, Any]:
    """Tokens as providers counted them, by model, and how many answers told none."""
    models: dict[str, dict[str, int]] = defaultdict(dict)
    totals: dict[str, int] = defaultdict(int)
    for (_, model, kind), cells in reading.of(METRICS["proxy_usage_tokens_total"]).items():
        models[model][kind] = models[model].get(kind, 0) + cells[0]
        totals[kind] += cells[0]
    missing: dict[str, dict[str, int]] = defaultdict(dict)
    for (protocol, reason), cells in reading.of(METRICS["proxy_usage_missing_total"]).items():
        missing[protocol][reason] = cells[0]
    return {
        "basis": USAGE_BASIS,
        "requests": _sum(reading, "proxy_usage_reported_total"),
        "tokens": dict(totals),
        "by_model": dict(models),
        "incomplete": _sum(reading, "proxy_usage_incomplete_total"),
        "missing": dict(missing),
    }


def money_dict(reading: Reading) -> dict[str, Any]:
    """US dollars: cost, saving gross and net with its two sides, each with its basis; calibration; hold-out."""
    cost = _usd_by_model(reading, "proxy_cost_microdollars_total")
    gross = _usd_by_model(reading, "proxy_gross_saving_microdollars_total")
    gain = _usd_by_model(reading, "proxy_net_gain_microdollars_total")
    loss = _usd_by_model(reading, "proxy_net_loss_microdollars_total")
    by_model = {
        model: _figures(*(side.get(model, 0.0) for side in (cost, gross, gain, loss)))
        for model in sorted(cost | gross | gain | loss)
    }
    return {
        **_figures(*(sum(side.values()) for side in (cost, gross, gain, loss))),
        "by_model": by_model,
        "basis": {"cost": COST_BASIS, "gross_saving": GROSS_BASIS, "net_saving": NET_BASIS},
        "requests_without_price": {
            model: cells[0] for (model,), cells in reading.of(METRICS["proxy_price_missing_total"]).items()
        },
        "calibration": {"basis": CALIBRATION_BASIS, "by_model": _calibration(reading)},
        "hold_out": compared(_arms(reading)),
    }


def _figures(cost: float, gross: float, gain: float, loss: float) -> dict[str, float]:
    return {
        "cost_usd": round(cost, _ROUND_USD),
        "gross_saving_usd": round(gross, _ROUND_USD),
        "net_saving_usd": round(gain - loss, _ROUND_USD),
        "net_gain_usd": round(gain, _ROUND_USD),
        "net_loss_usd": round(loss, _ROUND_USD),
    }


def _calibration(reading: Reading) -> dict[str, dict[str, float]]:
    sums: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for (model, name), cells in reading.of(METRICS["proxy_calibration_sums_total"]).items():
        sums[model][name] += cells[0]
    return {model: _ratio(of_model) for model, of_model in sums.items() if of_model["estimated"]}


def _ratio(sums: dict[str, int]) -> dict[str, float]:
    mean = sums["ratio"] / 1e6 / max(1, sums["samples"])
    square = sums["ratio_square"] / 1e6 / max(1, sums["samples"])
    return {
        "samples": sums["samples"],
        "factor": round(sums["reported"] / sums["estimated"], 4),
        "deviation": round(max(0.0, square - mean * mean) ** 0.5, 4),
    }


def _arms(reading: Reading) -> dict[str, dict[str, int]]:
    arms: dict[str, dict[str, int]] = defaultdict(dict)
    for (arm, name), cells in reading.of(METRICS["proxy_holdout_sums_total"]).items():
        arms[arm][name] = cells[0]
    return dict(arms)


def _usd_by_model(reading: Reading, name: str) -> dict[str, float]:
    sums: dict[str, float] = defaultdict(float)
    for (_, model), cells in reading.of(METRICS[name]).items():
        sums[model] += cells[0] / 1e6
    return dict(sums)


def _sum(reading: Reading, name: str) -> int:
    return sum(cells[0] for cells in reading.of(METRICS[name]).values())
