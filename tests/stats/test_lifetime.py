"""Totals over all runs: they never fall and count nothing twice, however a run or a start ends."""

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.stats import directory, lifetime
from proxy_pkg.stats.counters import Counters, open_counters
from proxy_pkg.stats.directory import prepare
from proxy_pkg.stats.figures import main_figures
from proxy_pkg.stats.ledger import LEDGER_BYTES, Ledger
from proxy_pkg.stats.ledger_paths import LIFETIME, LIFETIME_DAMAGED, slot_paths, stats_bytes_max
from proxy_pkg.stats.metric import Label, Metric
from proxy_pkg.stats.record import RequestRecord
from proxy_pkg.stats.series import series_key
from proxy_pkg.stats.snapshot import read_lifetimes, read_server
from tests.stats.reader import total

STEPS = ("fsync", "replace", "unlink", "pwrite")


@contextmanager
def run(state_dir: Path | str, requests: int = 1, client: str = "") -> Iterator[Counters]:
    """A server with one worker, from its start to its end."""
    server = prepare(str(state_dir))
    worker = open_counters(str(state_dir), 1)
    for _ in range(requests):
        worker.finished(record(client))
    yield worker
    worker.close()
    server.close()


def record(client: str = "") -> RequestRecord:
    return RequestRecord(
        protocol="anthropic",
        route="messages",
        client=client,
        decision="rewritten",
        decision_reason="smaller",
        tokens_before=10,
        tokens_after=4,
    )


def requests_of(state_dir: Path | str) -> int:
    return main_figures(read_lifetimes(str(state_dir)).lifetime)["requests"]


def start_cut_off(state_dir: str, step: str, times: int) -> None:
    """A process that starts a server, and is killed as it comes to a step for the n-th time, or when it has started."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return

    def killing(really: object) -> object:
        left = [times]

        def call(*arguments: object, **options: object) -> object:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return really(*arguments, **options)  # type: ignore[operator]

        return call

    place = os if step in ("fsync", "pwrite") else Path
    setattr(place, step, killing(getattr(place, step)))
    try:
        prepare(state_dir)
    finally:
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_run_begins_at_nothing_and_the_lifetime_goes_on(tmp_path: Path) -> None:
    for number, requests in enumerate((3, 4, 5), 1):
        with run(tmp_path / "state", requests):
            both = read_lifetimes(str(tmp_path / "state"))
            assert main_figures(both.now)["requests"] == requests
            assert both.runs == number
    figures = main_figures(both.lifetime)
    assert (figures["requests"], figures["tokens_before"], figures["tokens_after"]) == (12, 120, 48)
    assert both.lifetime.worker_starts == 3


def test_the_first_run_is_when_a_lifetime_began(tmp_path: Path) -> None:
    with run(tmp_path):
        began_ns = read_server(str(tmp_path)).started_ns
    with run(tmp_path), run(tmp_path):
        both = read_lifetimes(str(tmp_path))
        assert both.lifetime.started_ns == began_ns
        assert both.now.started_ns > began_ns


def test_totals_keep_their_name_and_others_have_another(tmp_path: Path) -> None:
    names = []
    for place in ("a", "a", "b"):
        with run(tmp_path / place):
            names.append(read_lifetimes(str(tmp_path / place)).identity)
    assert names[0] == names[1] != names[2]
    assert all(names)


Event = tuple[str, int]
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("count"), st.integers(1, 5)),
        st.tuples(st.just("stop"), st.just(0)),
        st.tuples(st.just("kill"), st.just(0)),
        *(st.tuples(st.just(step), st.integers(1, 3)) for step in STEPS),
    ),
    max_size=12,
)


@settings(max_examples=30, deadline=None)
@given(EVENTS)
def test_totals_are_exact_under_any_order_of_kills_and_restarts(events: list[Event]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        state_dir = f"{folder}/state"
        server, worker = prepare(state_dir), open_counters(state_dir, 2)
        counted = 0
        for event, number in events:
            if event == "count":
                for _ in range(number):
                    worker.finished(record())
                counted += number
            else:
                if event == "kill":
                    worker._slot.close()  # as the kernel does it: the ledger stays as it is
                else:
                    worker.close()
                server.close()
                if event in STEPS:
                    start_cut_off(state_dir, event, number)
                    assert requests_of(state_dir) == counted
                server, worker = prepare(state_dir), open_counters(state_dir, 2)
                assert server.fresh
            assert requests_of(state_dir) == counted
        worker.close()
        server.close()


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"\0" * LEDGER_BYTES, b"\xff" * LEDGER_BYTES, b"\0" * 3 * LEDGER_BYTES],
    ids=["empty", "short", "zeros", "ones", "long"],
)
def test_a_damaged_file_is_set_aside_with_a_warning(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with run(tmp_path, 2):
        (tmp_path / LIFETIME).write_bytes(content)
        assert "cannot be read" in read_lifetimes(str(tmp_path)).problem
    with run(tmp_path, 3):
        assert requests_of(tmp_path) == 5
    assert (tmp_path / LIFETIME_DAMAGED).read_bytes() == content
    assert "set aside" in caplog.text


@settings(max_examples=30, deadline=None)
@given(st.integers(0, LEDGER_BYTES * 8 - 1))
def test_no_flipped_bit_goes_unseen_or_stops_a_start(bit: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with run(folder, 2):
            pass
        with run(folder, 1):
            path = Path(folder) / LIFETIME
            content = bytearray(path.read_bytes())
            content[bit // 8] ^= 1 << bit % 8
            path.write_bytes(content)
            assert read_lifetimes(folder).problem
        with run(folder, 1):
            assert requests_of(folder) == 2


def test_a_ledger_with_impossible_numbers_stops_no_start(tmp_path: Path) -> None:
    for number in (-(2**63), 2**63 - 1, 2**63 - 1):
        with run(tmp_path) as worker:
            for cell in range(len(worker._ledger.cells)):
                worker._ledger.cells[cell] = number
    with run(tmp_path):
        assert requests_of(tmp_path) >= 2**62


def test_without_room_the_run_before_goes_on_and_is_added_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with run(tmp_path, 2):
        pass
    with monkeypatch.context() as full:
        full.setattr(lifetime, "_replace", no_room)
        with run(tmp_path, 3):
            assert requests_of(tmp_path) == total(str(tmp_path)) == 5
    assert "No space left" in caplog.text
    with run(tmp_path, 1):
        assert requests_of(tmp_path) == 6
        assert total(str(tmp_path)) == 1


def no_room(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_ever_new_clients_take_no_more_than_the_file_and_lose_no_request(tmp_path: Path) -> None:
    for number in range(40):
        with run(tmp_path, 2, client=f"client/{number}"):
            pass
    with run(tmp_path, 1):
        both = read_lifetimes(str(tmp_path))
        assert main_figures(both.lifetime)["requests"] == 81
        clients = both.lifetime.series["proxy_client_bodies_total"]
        assert sum(cells[0] for cells in clients.values()) == 80
        assert len(clients) <= 25
    assert (tmp_path / LIFETIME).stat().st_size == LEDGER_BYTES


def test_a_ledger_full_of_series_loses_no_request(tmp_path: Path) -> None:
    """More series over time than one ledger holds: the detail goes, the totals stay."""
    for number in range(12):
        with run(tmp_path, 0) as worker:
            for route in range(40):
                made = record()
                made.route, made.protocol = f"route {route}", f"protocol {number}"
                made.upstream_ns = made.first_byte_ns = made.connect_ns = 1_000_000
                made.spans = [(f"kind {n}", "kept", f"reason {n} {number}", 1) for n in range(20)]
                worker.finished(made)
    with run(tmp_path, 1):
        both = read_lifetimes(str(tmp_path)).lifetime
        assert main_figures(both)["requests"] == 12 * 40 + 1
        assert sum(cells[0] for cells in both.series["proxy_spans_total"].values()) == 12 * 40 * 20


def test_a_total_whose_labels_changed_counts_on_without_them(tmp_path: Path) -> None:
    earlier = Metric("proxy_requests_total", "counter", "requests", "", (Label("protocol"),))
    gone = Metric("proxy_gone_total", "counter", "requests", "")
    with run(tmp_path, 1) as worker:
        assert isinstance(worker._ledger, Ledger)
        for metric, values in ((earlier, ("anthropic",)), (gone, ())):
            entry = worker._ledger.add(series_key(metric, values), 1)
            assert entry is not None
            worker._ledger.cells[entry.first] = 7
    with run(tmp_path, 1):
        assert requests_of(tmp_path) == 9


def test_the_directory_stays_within_its_bound(tmp_path: Path) -> None:
    for _ in range(100):
        with run(tmp_path), open_second(tmp_path):
            pass
        (tmp_path / LIFETIME).write_bytes(b"damaged")
    found = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in found) <= stats_bytes_max(slots=2)
    assert len(slot_paths(tmp_path)) == 2


@contextmanager
def open_second(state_dir: Path) -> Iterator[None]:
    worker = open_counters(str(state_dir), 1)
    yield
    worker.close()


def test_a_clock_that_went_back_names_no_two_runs_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory.time, "time_ns", lambda: 1_000)
    for number in range(1, 4):
        with run(tmp_path):
            assert requests_of(tmp_path) == number
