"""What the tools of each format say of the files: nothing."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.processes import ROOT

DEPLOY = ROOT / "deploy"
INSTALLED = ROOT / ".venv/linters/bin"
PROMTOOL = shutil.which("promtool")
LATER_OR_LEFT_OUT = ("http_headers", "kubernetes_sd_configs")
"""What Prometheus knows from 2.55, and what Debian builds it without."""

BROKEN = {
    "hadolint": "FROM python\nRUN cd /tmp && apt-get install vim\n",
    "compose": "services: {a: {imag: b}}\n",
    "kubernetes": "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {prots: []}\n",
}
MANIFESTS = ["proxy_pkg.yaml", "autoscaling.yaml", "network.yaml"]


def linter(name: str) -> str:
    path = INSTALLED / name
    if not path.exists():
        pytest.skip(f"{name} is not installed (tests/deploy/install does it, with pip)")
    return str(path)


def ended(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def hadolint(file: Path) -> tuple[int, str]:
    return ended(linter("hadolint"), "--no-color", str(file))


def compose(file: Path) -> tuple[int, str]:
    return ended(linter("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(file))


def kubernetes(*files: Path) -> tuple[int, str]:
    return ended(linter("kubernetes-validate"), "--strict", "--quiet", *map(str, files))


def test_hadolint_finds_no_fault() -> None:
    assert hadolint(DEPLOY / "docker/Dockerfile") == (0, "")


def test_the_compose_file_fits_its_specification() -> None:
    assert compose(DEPLOY / "docker/compose.yaml") == (0, "ok -- validation done\n")


def test_the_manifests_fit_the_clusters_schemas() -> None:
    code, said = kubernetes(*(DEPLOY / "kubernetes" / name for name in MANIFESTS))
    assert (code, said) == (0, "")


def test_every_manifest_is_looked_at() -> None:
    objects = {path.name for path in (DEPLOY / "kubernetes").iterdir() if "apiVersion:" in path.read_text()}
    assert objects == set(MANIFESTS)


def test_the_linters_find_faults(tmp_path: Path) -> None:
    for check in (hadolint, compose, kubernetes):
        file = tmp_path / f"{check.__name__}.yaml"
        file.write_text(BROKEN[check.__name__])
        assert check(file)[0] != 0, check.__name__


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (on Debian: prometheus)")
@pytest.mark.parametrize("name", ["scrape.yaml", "scrape-kubernetes.yaml"])
def test_prometheus_takes_the_scrape_job(name: str, tmp_path: Path) -> None:
    text = (DEPLOY / "prometheus" / name).read_text()
    code, said = promtool(text, tmp_path)
    for block in LATER_OR_LEFT_OUT:
        if f"field {block} not found" in said:
            text, count = re.subn(rf"^  {block}:\n(    .*\n)+", "", text, flags=re.MULTILINE)
            assert count == 1
            code, said = promtool(text, tmp_path)
    assert code == 0, said


def promtool(job: str, folder: Path) -> tuple[int, str]:
    file = folder / "prometheus.yml"
    file.write_text("scrape_configs:\n" + "".join(f"  {line}\n" for line in job.splitlines()))
    assert PROMTOOL
    return ended(PROMTOOL, "check", "config", "--syntax-only", str(file))
