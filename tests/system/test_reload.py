"""A HUP brings what the files say now to every worker, or changes nothing at all."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.processes import Server
from tests.fakes.bodies import ANTHROPIC, NUMBERED, literal
from tests.fakes.client import Caller, ask, request_bytes
from tests.fakes.scripts import Script, begin, last_chunk
from tests.fakes.upstream import Upstream
from tests.system.patience import eventually

BODY = ANTHROPIC.body(literal(NUMBERED))
IN_A_ROW = 12


def decisions(server: Server) -> set[str]:
    """What several requests in a row, each on a connection of its own, were told."""
    answers = [ask(server.port, "POST", "/v1/messages", (), BODY) for _ in range(IN_A_ROW)]
    assert {answer.status for answer in answers} == {200}
    return {answer.header("x-headroom-decision").partition(";")[0] for answer in answers}


def hang_up(server: Server) -> None:
    os.kill(server.master_pid, signal.SIGHUP)


@pytest.mark.parametrize(
    ("variable", "first", "second", "broken"),
    [
        ("HEADROOM_CONFIG", 'compression = "lossless"', 'compression = "off"', 'compression = "of"'),
        ("HEADROOM_ENV_FILE", "HEADROOM_COMPRESSION=lossless", "HEADROOM_COMPRESSION=observe", "HEADROOM_COMPRESION=x"),
    ],
)
def test_a_hang_up_reaches_all_workers_and_a_broken_file_none(
    variable: str,
    first: str,
    second: str,
    broken: str,
    server: Callable[..., Server],
    tmp_path: Path,
    upstream: Upstream,
) -> None:
    file = tmp_path / "settings"
    file.write_text(first)
    running = server(**{variable: str(file)})
    assert decisions(running) == {"rewritten"}
    workers = set(running.worker_pids)
    file.write_text(second)
    hang_up(running)
    expected = {"passthrough"} if "off" in second else {"observed"}
    eventually(lambda: decisions(running) == expected)
    eventually(lambda: len(running.worker_pids) == 2 and not workers & set(running.worker_pids))
    file.write_text(broken)
    hang_up(running)
    eventually(lambda: "the reload is refused" in running.log.read_text())
    assert decisions(running) == expected
    file.write_text(first)
    hang_up(running)
    eventually(lambda: decisions(running) == {"rewritten"})
    assert running.process.poll() is None


def test_a_file_that_is_gone_changes_nothing(server: Callable[..., Server], tmp_path: Path, upstream: Upstream) -> None:
    file = tmp_path / "settings"
    file.write_text('compression = "off"')
    running = server(HEADROOM_CONFIG=str(file))
    file.unlink()
    hang_up(running)
    eventually(lambda: "the reload is refused" in running.log.read_text())
    assert decisions(running) == {"passthrough"}


def test_an_open_stream_outlives_a_hang_up(server: Callable[..., Server], upstream: Upstream) -> None:
    running = server()
    workers = set(running.worker_pids)
    held = begin([b"data: 1\n\n"], ("hold", "rest"))
    upstream.play(Script((*held.steps, ("send", b"9\r\ndata: 2\n\n\r\n" + last_chunk()))))
    with Caller(running.port) as caller:
        caller.write(request_bytes("POST", "/v1/messages", (), b'{"stream":true}'))
        answer = caller.begin()
        hang_up(running)
        eventually(lambda: len(set(running.worker_pids) - workers) == 2)
        upstream.release("rest")
        assert caller.finish(answer).complete
        assert answer.body == b"data: 1\n\ndata: 2\n\n"


def test_what_needs_a_restart_is_told_and_stays(
    server: Callable[..., Server], tmp_path: Path, upstream: Upstream
) -> None:
    file = tmp_path / "settings"
    file.write_text('compression = "lossless"')
    running = server(HEADROOM_CONFIG=str(file))
    file.write_text('compression = "off"\nbacklog = 77\nlog_format = "text"')
    hang_up(running)
    eventually(lambda: decisions(running) == {"passthrough"})
    assert "only a restart applies it: HEADROOM_BACKLOG, HEADROOM_LOG_FORMAT" in running.log.read_text()
