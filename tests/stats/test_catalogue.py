"""The catalogue agrees with the record that feeds it and the page that describes it."""

from pathlib import Path

import pytest

from proxy_pkg.stats.catalogue import CATALOGUE, METRICS, Metric
from proxy_pkg.stats.ledger import SERIES_CELLS_MAX
from proxy_pkg.stats.metrics_page import metrics_markdown
from proxy_pkg.stats.record import ArmRecord, RequestRecord, SampleRecord, StoreLoss, UsageRecord
from proxy_pkg.stats.render import _DERIVED
from proxy_pkg.stats.series import client_label

FIELDS = {
    "request": set(dir(RequestRecord)),
    "usage": set(dir(UsageRecord)),
    "sample": set(dir(SampleRecord)),
    "arm": set(dir(ArmRecord)),
    "loss": set(dir(StoreLoss)),
}


def test_the_page_is_the_catalogue() -> None:
    page = Path(__file__).parents[2] / "docs" / "metrics.md"
    assert page.read_text() == metrics_markdown()


def test_names_are_unique_and_end_as_prometheus_expects() -> None:
    assert len(METRICS) == len(CATALOGUE)
    for metric in CATALOGUE:
        assert metric.name.startswith("proxy_")
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert (metric.unit == "seconds") == metric.name.endswith("_seconds")


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_each_metric_is_either_derived_or_fed_from_fields_that_exist(metric: Metric) -> None:
    assert metric.derived == (metric.name in _DERIVED)
    assert metric.cells <= SERIES_CELLS_MAX
    assert list(metric.bounds) == sorted(set(metric.bounds))
    if metric.derived or metric.spans:
        return
    labels = metric.labels[:-1] if metric.split else metric.labels
    used = {label.source for label in labels} | {field for _, field in metric.split} | {metric.amount, metric.when}
    assert used - {""} <= FIELDS[metric.record]
    assert not metric.split or metric.labels[-1].values == tuple(value for value, _ in metric.split)


@pytest.mark.parametrize(
    ("user_agent", "label"),
    [
        ("claude-cli/2.1.3 (external, cli)", "claude-cli/2.1.3"),
        ("codex_cli_rs/0.63.0 (Linux 6.1; x86_64) xterm", "codex_cli_rs/0.63.0"),
        ("GeminiCLI/v22.1.0 (linux; x64)", "geminicli/22.1.0"),
        ("OpenAI/Python 1.2.3", "openai"),
        ("AsyncAnthropic/Python 0.70.0", "asyncanthropic"),
        ("thing/1.2.3.4-beta+x", "thing/1.2.3"),
        ("curl", "curl"),
        ("", "other"),
        ("(weird)", "other"),
        ("\ud800", "other"),
        ("a" * 5000, "a" * 32),
    ],
)
def test_a_client_is_its_first_product_and_version(user_agent: str, label: str) -> None:
    assert client_label(user_agent) == label
