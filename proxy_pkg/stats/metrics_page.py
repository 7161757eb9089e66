"""Writes docs/metrics.md from the catalogue: `python -m proxy_pkg.stats.metrics_page > docs/metrics.md`."""

import sys

from proxy_pkg.stats.catalogue import CATALOGUE, Label, Metric
from proxy_pkg.stats.metric import FAMILIES_MAX

_HEAD = """# Metrics

Written from `proxy_pkg/stats/catalogue.py` by `python -m proxy_pkg.stats.metrics_page`; edit the catalogue, not
this file.

`/metrics` gives these as Prometheus text, `/stats` the same totals as JSON. Both answer for all workers
together and give the same totals whichever worker answers. Totals count since the server started
(`proxy_start_time_seconds`): a reload (HUP), an upgrade in place (USR2) and workers that die do not reset
them, stopping the server does. `proxy_lifetime_total` and `lifetime` in `/stats` count on over that too, where the
state directory survives it. A series appears when it is first counted. A label value that is not listed,
or comes after as many others as are kept, is counted as `other`. Of names that clients choose (`client`, `model`),
requests that the upstream did not accept can take a quarter of the places at most. Token counts are estimates by
o200k_base.

| metric | type | unit | labels | meaning |
|---|---|---|---|---|
"""


def metrics_markdown() -> str:
    """The whole page."""
    return _HEAD + "".join(map(_row, CATALOGUE)) + _buckets()


def _row(metric: Metric) -> str:
    labels = "; ".join(map(_label, metric.labels)) or "none"
    return f"| `{metric.name}` | {metric.kind} | {metric.unit} | {labels} | {metric.meaning} |\n"


def _label(label: Label) -> str:
    allowed = ", ".join(label.values) if label.values else f"up to {label.values_max} values per worker slot"
    if label.foreign:
        allowed += f", then up to {FAMILIES_MAX} without their version"
    return f"`{label.name}`: {allowed}"


def _buckets() -> str:
    rows = [
        f"- `{metric.name}`: {', '.join(map(str, metric.bounds))} {metric.unit}\n"
        for metric in CATALOGUE
        if metric.kind == "histogram"
    ]
    return "\n## Histogram buckets, upper bounds\n\n" + "".join(rows)


if __name__ == "__main__":
    sys.stdout.write(metrics_markdown())
