"""One log line for each request: what happened, how long it took, and nothing secret.

The query is left out, since keys travel in it; so are all headers. Lines are gathered for a moment and written
together, so that a busy worker spends one system call on many: a worker that is killed loses the last of them.
"""

import asyncio
import os
from collections.abc import Callable

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from proxy_pkg.telemetry.escapes import escaped_json
from proxy_pkg.telemetry.outcome import Ended, shown_path

_encode = msgspec.json.Encoder().encode

_GATHER_SECONDS = 0.1
_LINES_MAX = 64


class AccessLog:
    """Writes lines as JSON or as text to `write`, from one event loop. Close it when the loop ends."""

    def __init__(self, form: str, write: Callable[[bytes], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._render = _RENDERERS[form]
        self._write = write
        self._gathered: list[Ended] = []
        self._timer: asyncio.TimerHandle | None = None
        self._pid = os.getpid()

    def add(self, ended: Ended) -> None:
        """Log a finished request."""
        self._gathered.append(ended)
        if len(self._gathered) >= _LINES_MAX:
            self.flush()
        elif self._timer is None:
            self._timer = self._loop.call_later(_GATHER_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what was gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        gathered, self._gathered = self._gathered, []
        if gathered:
            self._write(b"".join([self._render(_line(ended, self._pid)) for ended in gathered]))


class Line(Struct, omit_defaults=True):
    """What a line says, in this order; what is None does not apply and is left out."""

    time: str
    level: str
    logger: str
    pid: int
    id: str
    method: str
    path: str
    status: int
    outcome: str
    protocol: str
    client: str
    ms: float
    bytes_in: int
    bytes_out: int
    decision: str | None = None
    reason: str | None = None
    tokens_before: int | None = None
    tokens_after: int | None = None
    error: str | None = None
    problem: str | None = None


def _line(ended: Ended, pid: int) -> Line:
    record = ended.record
    line = Line(
        time=ended.time,
        level="warning" if ended.problem else "info",
        logger="proxy_pkg.access",
        pid=pid,
        id=ended.id,
        method=ended.method,
        path=shown_path(ended.path),
        status=ended.status,
        outcome=record.outcome,
        protocol=record.protocol,
        client=record.client,
        ms=ended.duration_ns // 10_000 / 100,
        bytes_in=record.request_bytes,
        bytes_out=record.response_bytes,
        error=record.answer_error or None,
        problem=ended.problem or None,
    )
    if record.decision:
        line.decision, line.reason = record.decision, record.decision_reason
        line.tokens_before, line.tokens_after = record.tokens_before, record.tokens_after
    return line


def _json(line: Line) -> bytes:
    try:
        return escaped_json(_encode(line)) + b"\n"
    except UnicodeEncodeError:  # a lone surrogate, which no encoding has: the lines beside it are not to go with it
        fields = {name: value for name, value in asdict(line).items() if value is not None}
        return escaped_json(_encode({name: _writable(value) for name, value in fields.items()})) + b"\n"


def _writable(value: object) -> object:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _text(line: Line) -> bytes:
    fields = {name: value for name, value in asdict(line).items() if value is not None}
    head = f"{fields.pop('time')} [{fields.pop('pid')}] {fields.pop('level'):<7} "
    del fields["logger"]
    return (head + " ".join(f"{key}={_word(value)}" for key, value in fields.items()) + "\n").encode("utf-8", "replace")


def _word(value: object) -> str:
    """A value as one word of a line: in quotes if it has blanks, escaped if it has what no terminal should get."""
    text = str(value)
    if text.isprintable() and " " not in text and '"' not in text:
        return text
    if not text.isprintable():
        text = text.encode("unicode_escape").decode("ascii")
    return '"' + text.replace('"', '\\"') + '"'


_RENDERERS = {"json": _json, "text": _text}
