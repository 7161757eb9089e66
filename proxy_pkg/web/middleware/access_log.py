"""One log line for each request: what happened, how long it took, and nothing secret.

The query is left out, since keys travel in it; so are all headers. Lines are gathered for a moment and written
together, so that a busy worker spends one system call on many: a worker that is killed loses the last of them.
"""

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

import msgspec

from proxy_pkg.stats.record import RequestRecord

_encode = msgspec.json.Encoder().encode

_GATHER_SECONDS = 0.1
_LINES_MAX = 256


class AccessLog:
    """Writes lines as JSON or as text to `write`, from one event loop. Close it when the loop ends."""

    def __init__(self, form: str, write: Callable[[bytes], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._render = _RENDERERS[form]
        self._write = write
        self._lines: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._pid = os.getpid()

    def add(
        self, request_id: str, scope: dict[str, Any], status: int, record: RequestRecord, problem: str, began_ns: int
    ) -> None:
        """Log a finished request; `status` 0 means that no answer was started, `began_ns` is monotonic."""
        duration_ns = time.monotonic_ns() - began_ns
        self._lines.append(self._render(_fields(request_id, scope, status, record, problem, self._pid, duration_ns)))
        if len(self._lines) >= _LINES_MAX:
            self.flush()
        elif self._timer is None:
            self._timer = self._loop.call_later(_GATHER_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what was gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._lines = self._lines, []
        if lines:
            self._write(b"".join(lines))


def _fields(
    request_id: str, scope: dict[str, Any], status: int, record: RequestRecord, problem: str, pid: int, duration_ns: int
) -> dict[str, Any]:
    now = time.time()
    fields: dict[str, Any] = {
        "time": f"{_second(int(now))}.{int(now % 1 * 1000):03d}Z",
        "level": "warning" if problem else "info",
        "logger": "proxy_pkg.access",
        "pid": pid,
        "id": request_id,
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "outcome": record.outcome,
        "protocol": record.protocol,
        "client": record.client,
        "ms": duration_ns // 10_000 / 100,
        "bytes_in": record.request_bytes,
        "bytes_out": record.response_bytes,
    }
    if record.decision:
        fields["decision"] = record.decision
        fields["reason"] = record.decision_reason
        fields["tokens_before"] = record.tokens_before
        fields["tokens_after"] = record.tokens_after
    if problem:
        fields["problem"] = problem
    return fields


def _json(fields: dict[str, Any]) -> bytes:
    return _encode(fields) + b"\n"


def _text(fields: dict[str, Any]) -> bytes:
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


_second_cache: tuple[int, str] = (0, "")


def _second(whole: int) -> str:
    """The UTC time of a second, as ISO 8601 has it; most lines share theirs with the line before."""
    global _second_cache
    if _second_cache[0] != whole:
        _second_cache = (whole, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)))
    return _second_cache[1]


_RENDERERS = {"json": _json, "text": _text}
