import os
from pathlib import Path

import pytest

from proxy_pkg.config.cpus import usable_cpus

HERE = len(os.sched_getaffinity(0))


@pytest.fixture
def many_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)))


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_this_machine() -> None:
    assert 1 <= usable_cpus() <= HERE


def test_without_control_groups_the_affinity_counts(tmp_path: Path, many_cpus: None) -> None:
    assert usable_cpus(tmp_path) == 16


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("400000 100000", 4), ("150000 100000", 1), ("50000 100000", 1), ("max 100000", 16), ("9000000 100000", 16)]
    + [(text, 16) for text in ("", "nonsense", "1 2 3", "100000 0", "-1 100000")],
)
def test_version_2(tmp_path: Path, many_cpus: None, text: str, cpus: int) -> None:
    assert usable_cpus(tree(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": text})) == cpus


def test_version_2_counts_every_ancestor(tmp_path: Path, many_cpus: None) -> None:
    files = {
        "proc/self/cgroup": "0::/a/b\n",
        "sys/fs/cgroup/a/cpu.max": "300000 100000",
        "sys/fs/cgroup/a/b/cpu.max": "max 100000",
    }
    assert usable_cpus(tree(tmp_path, files)) == 3


@pytest.mark.parametrize(("quota", "cpus"), [("200000", 2), ("-1", 16)])
@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
def test_version_1_in_a_container_that_sees_only_its_mount(
    tmp_path: Path, many_cpus: None, mount: str, quota: str, cpus: int
) -> None:
    files = {
        "proc/self/cgroup": "12:memory:/x\n4:cpu,cpuacct:/docker/0123\n",
        f"sys/fs/cgroup/{mount}/cpu.cfs_quota_us": f"{quota}\n",
        f"sys/fs/cgroup/{mount}/cpu.cfs_period_us": "100000\n",
    }
    assert usable_cpus(tree(tmp_path, files)) == cpus
