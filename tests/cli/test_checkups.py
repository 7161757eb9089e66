"""What the doctor looks at on this machine: each finding in both states, and each fault with what to do about it."""

import hashlib
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from msgspec import structs

from proxy_pkg.cli.checkups import knowledge, machine, state_directory
from proxy_pkg.cli.checkups.finding import Finding
from proxy_pkg.cli.checkups.state_directory import Mount
from proxy_pkg.config.load import load
from proxy_pkg.config.settings import Settings
from proxy_pkg.prices.table import Source
from proxy_pkg.server.preflight import descriptors_needed
from proxy_pkg.store import embedded
from proxy_pkg.store.layout import FILE as CLAIMS
from proxy_pkg.store.values import FILE as VALUES

GIB = 1 << 30


def settings(**changed: object) -> Settings:
    return structs.replace(load({}).settings, **changed)


def has_advice(found: Finding) -> bool:
    return found.state != "ok" and bool(found.advice)


def test_open_files_are_enough_up_to_the_limit() -> None:
    needed = descriptors_needed(settings())
    assert machine.descriptors(settings(), needed).state == "ok"
    assert machine.descriptors(settings(), None).state == "ok"
    found = machine.descriptors(settings(), needed - 1)
    assert has_advice(found)
    assert str(needed) in found.advice


@pytest.mark.parametrize(
    ("limit", "state_of_it", "names"),
    [
        (64 * GIB, "ok", ""),
        (GIB, "warning", "HEADROOM_BODY_BYTES_IN_FLIGHT_MAX="),
        (GIB // 8, "warning", "HEADROOM_WORKERS"),
    ],
)
def test_memory_is_enough_for_workers_and_bodies(limit: int, state_of_it: str, names: str) -> None:
    found = machine.memory(settings(workers=2), limit, "this control group")
    assert found.state == state_of_it
    assert names in found.advice


def test_what_is_advised_about_memory_helps() -> None:
    advice = machine.memory(settings(), GIB, "this machine").advice
    fitting = int(advice.partition("=")[2].partition("MiB")[0]) << 20
    assert machine.memory(settings(body_bytes_in_flight_max=fitting), GIB, "this machine").state == "ok"


def test_the_kernel_may_cut_the_backlog() -> None:
    assert machine.backlog(settings(backlog=128), 128).state == "ok"
    assert machine.backlog(settings(backlog=128), None).state == "ok"
    found = machine.backlog(settings(backlog=2048), 128)
    assert has_advice(found)
    assert "somaxconn=2048" in found.advice


def test_a_clock_that_was_set_back_is_seen() -> None:
    now = time.time()
    assert machine.time_of_day(now, int((now - 5) * 1e9), "2025-12-01").state == "ok"
    assert machine.time_of_day(0, 0, "2025-12-01").state == "problem"
    assert machine.time_of_day(now, int((now + 3600) * 1e9), "2025-12-01").state == "warning"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("cgroup", "files", "limit", "source"),
    [
        ("0::/\n", {}, 8 * GIB, "this machine"),
        ("0::/a/b\n", {"a/memory.max": f"{GIB}", "a/b/memory.max": "max"}, GIB, "this control group"),
        ("0::/\n", {"memory.max": f"{2 * GIB}"}, 2 * GIB, "this control group"),
        ("0::/../elsewhere\n", {"memory.max": f"{2 * GIB}"}, 2 * GIB, "this control group"),
        ("4:memory:/a\n0::/\n", {"memory/a/memory.limit_in_bytes": f"{GIB}"}, GIB, "this control group"),
        ("4:memory:/a\n", {"memory/a/memory.limit_in_bytes": f"{2**63 - 4096}"}, 8 * GIB, "this machine"),
    ],
)
def test_the_least_limit_of_memory_counts(
    tmp_path: Path, cgroup: str, files: dict[str, str], limit: int, source: str
) -> None:
    write(tmp_path / "proc/meminfo", f"MemTotal: {8 * GIB // 1024} kB\nMemFree: 1 kB\n")
    write(tmp_path / "proc/self/cgroup", cgroup)
    for name, text in files.items():
        write(tmp_path / "sys/fs/cgroup" / name, text)
    assert machine.memory_limit(tmp_path, "self") == (limit, source)


def test_the_machine_is_examined_as_the_kernel_tells_it(tmp_path: Path) -> None:
    write(tmp_path / "proc/7/limits", "Max open files            20                   30                   files\n")
    write(tmp_path / "proc/sys/net/core/somaxconn", "16\n")
    found = {each.subject: each for each in machine.examined(settings(), tmp_path, 7)}
    assert (found["open files"].state, found["backlog"].state, found["memory"].state) == ("warning", "warning", "ok")
    assert "30" in found["open files"].text
    assert all(each.state in ("ok", "warning") for each in machine.examined(settings()))


@pytest.mark.parametrize(
    ("state_dir", "mount", "expected"),
    [
        ("/var/lib/proxy_pkg", Mount("/", "ext4"), "ok"),
        ("/run/proxy_pkg/8787", Mount("/run", "tmpfs"), "warning"),
        ("/state", Mount("/", "overlay"), "warning"),
        ("/tmp/proxy_pkg-0/8787", Mount("/", "ext4"), "warning"),
    ],
)
def test_a_state_that_ends_with_a_restart_is_told(state_dir: str, mount: Mount, expected: str) -> None:
    found = state_directory.fate(state_dir, mount)
    assert found.state == expected
    assert has_advice(found) == (expected == "warning")


def test_the_innermost_mount_holds_a_directory(tmp_path: Path) -> None:
    inner = tmp_path / "a b"
    inner.mkdir()
    table = tmp_path / "mountinfo"
    table.write_text(
        "1 0 8:1 / / rw - ext4 /dev/a rw\n"
        f"2 1 0:2 / {str(inner).replace(' ', chr(92) + '040')} rw shared:1 - tmpfs tmpfs rw\n"
        f"3 1 0:3 / {tmp_path}/a rw - overlay overlay rw\n"
    )
    assert state_directory.mount_of(inner, table) == Mount(str(inner), "tmpfs")
    assert state_directory.mount_of(tmp_path, table).kind == "ext4"
    assert state_directory.mount_of(tmp_path, tmp_path / "none").kind == "unknown"


def test_room_is_told_with_what_it_may_grow_to(tmp_path: Path) -> None:
    assert state_directory.room(settings(store_bytes_max=1 << 20), tmp_path).state == "ok"
    found = state_directory.room(settings(store_bytes_max=1 << 60), tmp_path)
    assert (found.state, has_advice(found)) == ("warning", True)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A state directory as a server leaves it."""
    embedded.prepare(str(tmp_path))
    return tmp_path


def states(directory: Path) -> dict[str, str]:
    return {each.subject: each.state for each in state_directory.sound(directory)}


def test_a_sound_store_is_left_as_it_is(directory: Path) -> None:
    def content() -> dict[str, str]:
        files = [path for path in directory.rglob("*") if path.is_file()]
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before = content()
    assert states(directory) == {"store": "ok", "totals": "ok"}
    assert content() == before


def test_an_empty_directory_is_sound(tmp_path: Path) -> None:
    assert states(tmp_path) == {"store": "ok", "totals": "ok"}


@pytest.mark.parametrize(
    "harm",
    [
        lambda directory: (directory / CLAIMS).write_bytes(b"something else"),
        lambda directory: (directory / CLAIMS).write_bytes((directory / CLAIMS).read_bytes()[:-1]),
        lambda directory: (directory / VALUES).write_bytes(b"no database, but long enough " * 50),
    ],
    ids=["claims of another form", "claims cut short", "values of another form"],
)
def test_a_damaged_store_is_told_and_left_alone(directory: Path, harm: Callable[[Path], object]) -> None:
    harm(directory)
    names = sorted(path.name for path in directory.iterdir())
    found = [each for each in state_directory.sound(directory) if each.subject == "store"]
    assert [has_advice(each) for each in found] == [True]
    assert sorted(path.name for path in directory.iterdir()) == names


def test_damaged_totals_are_told(directory: Path) -> None:
    (directory / "lifetime.counters").write_bytes(b"x")
    assert states(directory) == {"store": "ok", "totals": "warning"}


def test_the_vocabulary_is_named_with_its_file() -> None:
    found = knowledge.vocabulary()
    assert (found.state, "o200k_base.tiktoken.gz" in found.text) == ("ok", True)


def test_old_prices_are_told_where_they_go_first() -> None:
    today = date(2026, 6, 30)
    fresh, old = "2026-06-01", (today - timedelta(days=knowledge.PRICE_DAYS_MAX + 1)).isoformat()

    def found(*dates: str) -> list[str]:
        return [each.state for each in knowledge.prices([Source(f"file {day}", day) for day in dates], today)]

    assert found(fresh) == ["ok"]
    assert found(old) == ["warning"]
    assert found(fresh, old) == ["ok", "ok"], "what differs was looked up"
    assert found(old, fresh) == ["warning", "ok"]
    assert found("last spring") == ["warning"]
    assert all(each.advice for each in knowledge.prices([Source("shipped", old)], today))
