"""The dashboard and the alerts: Prometheus takes every expression, and each alert fires when it should and not else."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench.processes import ROOT
from proxy_pkg.stats.catalogue import CATALOGUE, METRICS
from proxy_pkg.stats.metric import Metric

HERE = Path(__file__).parent
ALERTS = ROOT / "deploy/prometheus/alerts.yaml"
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(not PROMTOOL, reason="promtool is not installed (on Debian: prometheus)")

VARIABLES = {"$instance": ".*", "$__rate_interval": "1m", "$__range": "6h"}
"""What Grafana puts in, and something that may stand there."""
SELECTOR = re.compile(r"\b(proxy_[a-z_]+?)(_bucket|_sum|_count)?\{([^}]*)\}")
GROUPED = re.compile(r"\bby \(([^)]*)\) \([^{]*?\b(proxy_[a-z_]+?)(?:_bucket)?\{")


def promtool(*arguments: str) -> str:
    """What it prints; fails with that where it is not content."""
    done = subprocess.run([PROMTOOL or "", *arguments], capture_output=True, text=True, check=False, cwd=HERE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text())["panels"]
    return found


def expressions() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel["targets"]]


@needs_promtool
def test_prometheus_takes_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    rules = []
    for number, expression in enumerate(expressions()):
        for variable, text in VARIABLES.items():
            expression = expression.replace(variable, text)
        assert "$" not in expression
        rules.append({"record": f"panel:{number}", "expr": expression})
    path = tmp_path / "rules.yaml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))  # YAML takes JSON
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(path))


@needs_promtool
def test_each_alert_fires_when_it_should_and_is_silent_otherwise() -> None:
    promtool("test", "rules", "alerts.yaml")


def test_each_alert_is_tried() -> None:
    alerts = re.findall(r"- alert: (\w+)", ALERTS.read_text())
    assert alerts == re.findall(r"- name: (\w+)", (HERE / "alerts.yaml").read_text())
    assert len(alerts) == len(set(alerts))


def labels_of(metric: Metric) -> set[str]:
    return {label.name for label in metric.labels} | {"instance", "job", "le"}


def test_labels_that_are_asked_for_exist() -> None:
    for expression in (*expressions(), ALERTS.read_text()):
        for name, _, selected in SELECTOR.findall(expression):
            asked = set(re.findall(r"(\w+)\s*[=!]", selected))
            assert asked <= labels_of(METRICS[name]), (name, asked)
        for grouped, name in GROUPED.findall(expression):
            assert {label.strip() for label in grouped.split(",")} <= labels_of(METRICS[name]), (grouped, name)


def test_values_of_closed_labels_that_are_asked_for_exist() -> None:
    closed = {label.name: set(label.values) for metric in CATALOGUE for label in metric.labels if label.values}
    for expression in expressions():
        for label, pattern in re.findall(r'(\w+)=~?"([^"]*)"', expression):
            if label in closed and not pattern.startswith("$"):
                assert set(pattern.split("|")) <= closed[label], expression


def test_panels_have_their_own_numbers_and_places() -> None:
    numbers = [panel["id"] for panel in panels()]
    assert len(numbers) == len(set(numbers))
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_each_part_has_its_row() -> None:
    rows = [panel["title"] for panel in panels() if panel["type"] == "row"]
    assert rows == ["At a glance", "Requests", "Money", "Limits", "Compression", "Latency", "Workers and servers"]
    assert [panel["title"] for panel in panels() if panel["type"] != "row" and not panel["targets"]] == []
