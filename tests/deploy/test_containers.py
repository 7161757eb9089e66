"""Container, cluster and monitoring files agree with the package: names of metrics and settings, users, time limits."""

import json
import re
import shutil
import subprocess

import pytest

from bench.processes import ROOT
from proxy_pkg.cli.checkups.state_directory import state_bytes_max
from proxy_pkg.config.load import load
from proxy_pkg.config.settings import BY_ENVIRONMENT, SOURCES
from proxy_pkg.stats.catalogue import METRICS

DEPLOY = ROOT / "deploy"
TEXTS = [path for path in DEPLOY.rglob("*") if path.is_file()]
IDLE_BYTES = 3 * 40 << 20
STREAM_BYTES = 34 << 10
BYTES_FOR_A_BYTE = 2
"""Master and two workers at rest, an open stream, a body in flight: `make bench MEASURE="idle memory"`."""
SUFFIX = re.compile(r"_(bucket|sum|count)$")


@pytest.mark.parametrize(
    "name",
    [
        "grafana/dashboard.json",
        "prometheus/alerts.yaml",
        "kubernetes/autoscaling.yaml",
        "kubernetes/prometheus-adapter.yaml",
    ],
)
def test_every_metric_that_is_asked_for_exists(name: str) -> None:
    text = (DEPLOY / name).read_text()
    asked = {SUFFIX.sub("", found) for found in re.findall(r"\bproxy_[a-z_]+\b", text)} - {"proxy_pkg"}
    assert asked
    assert asked <= set(METRICS), asked - set(METRICS)


def test_every_setting_that_is_named_exists() -> None:
    known = set(BY_ENVIRONMENT) | set(SOURCES)
    for path in TEXTS:
        named = set(re.findall(r"\bHEADROOM_[A-Z_]+\b", path.read_text()))
        assert named <= known, (path, named - known)


def test_the_dashboard_is_whole() -> None:
    dashboard = json.loads((DEPLOY / "grafana/dashboard.json").read_text())
    panels = dashboard["panels"]
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    assert [expression for expression in asked if expression.count("(") != expression.count(")")] == []


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("kubernetes/proxy_pkg.yaml", r"terminationGracePeriodSeconds: (\d+)"),
        ("docker/compose.yaml", r"stop_grace_period: (\d+)s"),
    ],
)
def test_whoever_stops_it_waits_longer_than_it_drains(name: str, pattern: str) -> None:
    found = [int(seconds) for seconds in re.findall(pattern, (DEPLOY / name).read_text())]
    assert found
    assert min(found) > load({}).settings.drain_limit_seconds + 10


@pytest.mark.parametrize(
    ("name", "pattern"),
    [("kubernetes/proxy_pkg.yaml", r"sizeLimit: (\d+)Mi"), ("docker/compose.yaml", r"tmpfs:\n.*size=(\d+)m")],
)
def test_the_state_and_the_bodies_of_two_workers_fit_into_what_they_are_given(name: str, pattern: str) -> None:
    text = (DEPLOY / name).read_text()
    given = {found[1]: found[2] for found in re.finditer(r"(HEADROOM_\w+_MAX): (\w+)", text)}
    settings = load(given).settings
    found = re.search(pattern, text)
    assert found
    assert state_bytes_max(2, settings.store_bytes_max) < int(found[1]) << 20
    held = IDLE_BYTES + 2 * (settings.memo_bytes_max + STREAM_BYTES * settings.limit_concurrency)
    bodies = 2 * BYTES_FOR_A_BYTE * settings.body_bytes_in_flight_max
    limit = re.search(r"(?:memory|mem_limit): (\d)gi?\b", text, re.IGNORECASE)
    assert limit
    assert held + bodies + (int(found[1]) << 20) < int(limit[1]) << 30


def test_the_image_copies_only_what_the_build_reads() -> None:
    lines = (DEPLOY / "docker/Dockerfile").read_text().splitlines()
    copied = [
        word for line in lines if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]
    ]
    assert [name for name in copied if not (ROOT / name).exists()] == []
    ignored = (DEPLOY / "docker/Dockerfile.dockerignore").read_text().splitlines()
    assert {name.split("/")[0] for name in copied} == {line[1:] for line in ignored if line.startswith("!")}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (on Debian: prometheus)")
def test_prometheus_takes_the_rules() -> None:
    done = subprocess.run(
        ["promtool", "check", "rules", str(DEPLOY / "prometheus/alerts.yaml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
