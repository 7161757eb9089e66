"""Log lines of the master and the workers, all in one form: JSON, one object a line, or text."""

import logging
import sys
import time
from collections.abc import Mapping
from typing import Any

import msgspec
from gunicorn.glogging import Logger

from proxy_pkg.telemetry.escapes import escaped, escaped_json, on_one_line
from proxy_pkg.telemetry.stderr_handler import STANDARD_ERROR


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, pid, then the event's own fields or its message."""

    def format(self, record: logging.LogRecord) -> str:
        fields = self.fields(record)
        try:
            line = msgspec.json.encode(fields)
        except UnicodeEncodeError:  # a lone surrogate, which no encoding has
            line = msgspec.json.encode({name: _writable(value) for name, value in fields.items()})
        return escaped_json(line).decode()

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "time": _utc(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
        }
        if isinstance(record.msg, Mapping):
            fields.update(record.msg)
        else:
            fields["message"] = record.getMessage()
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return fields


class TextFormatter(JsonFormatter):
    """The same, for eyes: time, pid, level, then the message or key=value pairs.

    A traceback stands below, indented, so that no text in it passes for a line of its own.
    """

    def format(self, record: logging.LogRecord) -> str:
        fields = self.fields(record)
        head = f"{fields.pop('time')} [{fields.pop('pid')}] {fields.pop('level'):<7} "
        del fields["logger"]
        exception = fields.pop("exception", "")
        message = fields.pop("message", "")
        pairs = " ".join(f"{key}={value}" for key, value in fields.items())
        line = on_one_line(head + " ".join(filter(None, (message, pairs))))
        return "\n    ".join([line, *escaped(exception).split("\n")]) if exception else line


class JsonLogger(Logger):  # type: ignore[misc]  # gunicorn ships no types
    """Gunicorn's logger with our lines; all loggers of the process share its handler."""

    formatter_class: type[logging.Formatter] = JsonFormatter

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        STANDARD_ERROR.formatter = self.formatter_class()
        for handler in self.error_log.handlers:
            handler.setFormatter(self.formatter_class())
            if getattr(handler, "stream", None) is sys.stderr:
                handler.setStream(STANDARD_ERROR)
        logging.getLogger().handlers = self.error_log.handlers  # what is wrong elsewhere: asyncio, libraries, warnings
        logging.captureWarnings(capture=True)
        for name in ("proxy_pkg", "uvicorn.error", "opentelemetry"):
            logger = logging.getLogger(name)
            logger.handlers = self.error_log.handlers
            logger.setLevel(self.loglevel)
            logger.propagate = False
        uvicorn_logger = logging.getLogger("uvicorn.error")
        if not uvicorn_logger.filters:
            uvicorn_logger.addFilter(_is_news)


class TextLogger(JsonLogger):
    formatter_class = TextFormatter


LOGGERS = {"json": JsonLogger, "text": TextLogger}
"""Logger class by the setting log_format."""


def _writable(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _utc(seconds: float) -> str:
    whole = int(seconds)
    return f"{_second(whole)}.{int((seconds - whole) * 1000):03d}Z"


_second_cache: tuple[int, str] = (0, "")


def _second(whole: int) -> str:
    global _second_cache
    if _second_cache[0] != whole:
        _second_cache = (whole, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)))
    return _second_cache[1]


def _is_news(record: logging.LogRecord) -> bool:
    """A stream that we cut because the upstream did is told of in the access log, with its reason."""
    return not str(record.msg).startswith("ASGI callable returned without completing response")
