"""The main figures of a reading: a few integers that only grow, alike for a run, a lifetime and a fleet."""

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from proxy_pkg.stats.catalogue import METRICS
from proxy_pkg.stats.snapshot import Reading

Figures = Mapping[str, int]


class _Part(Struct, frozen=True):
    """Sums of a metric: of the series whose last label is `value`, or is not `but`; empty takes all."""

    metric: str
    value: str = ""
    but: str = ""


def main_figures(reading: Reading) -> dict[str, int]:
    """By the names of FIGURES, each of them at least 0."""
    return {name: sum(_sum(reading, part) for part in parts) for name, parts in FIGURES.items()}


def added(several: Iterable[Figures]) -> dict[str, int]:
    """Sums of figures by name, of those names that this version knows."""
    sums = dict.fromkeys(FIGURES, 0)
    for figures in several:
        for name in sums:
            sums[name] += figures.get(name, 0)
    return sums


def as_counts(figures: Figures) -> dict[str, int]:
    """The same with what follows from them, for people."""
    return {
        **figures,
        "tokens_saved": figures["tokens_before"] - figures["tokens_after"],
        "bytes_saved": figures["bytes_before"] - figures["bytes_after"],
    }


def _sum(reading: Reading, part: _Part) -> int:
    series = reading.of(METRICS[part.metric])
    return sum(
        cells[0]
        for values, cells in series.items()
        if (not part.value or values[-1] == part.value) and (not part.but or values[-1] != part.but)
    )


def _after(unit: str) -> tuple[_Part, ...]:
    """What was only observed went out as it came, so it counts after as before."""
    return (
        _Part(f"proxy_{unit}_after_total", but="observed"),
        _Part(f"proxy_{unit}_before_total", value="observed"),
    )


FIGURES: Final[dict[str, tuple[_Part, ...]]] = {
    "requests": (_Part("proxy_requests_total"),),
    "relayed": (_Part("proxy_requests_total", value="relayed"),),
    "refused": (_Part("proxy_requests_total", value="refused"),),
    "failed": (_Part("proxy_requests_total", value="failed"),),
    "bodies": (_Part("proxy_bodies_total"),),
    "tokens_before": (_Part("proxy_tokens_before_total"),),
    "tokens_after": _after("tokens"),
    "bytes_before": (_Part("proxy_bytes_before_total"),),
    "bytes_after": _after("bytes"),
    "request_body_bytes": (_Part("proxy_request_body_bytes_total"),),
    "response_body_bytes": (_Part("proxy_response_body_bytes_total"),),
    "usage_input_tokens": (_Part("proxy_usage_tokens_total", value="input"),),
    "usage_cache_read_tokens": (_Part("proxy_usage_tokens_total", value="cache_read"),),
    "usage_cache_write_tokens": (_Part("proxy_usage_tokens_total", value="cache_write"),),
    "usage_output_tokens": (_Part("proxy_usage_tokens_total", value="output"),),
    "cost_microdollars": (_Part("proxy_cost_microdollars_total"),),
    "net_gain_microdollars": (_Part("proxy_net_gain_microdollars_total"),),
    "net_loss_microdollars": (_Part("proxy_net_loss_microdollars_total"),),
}
"""Name -> the sums that make it. Tokens before and after are estimates, those of usage are the providers'."""
