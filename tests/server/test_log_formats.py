"""Every line of the server is one of two forms."""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from gunicorn.config import Config

from proxy_pkg.server.log_formats import LOGGERS, JsonFormatter, TextFormatter


def record(message: Any, *arguments: Any, failed: bool = False) -> logging.LogRecord:
    caught = None
    if failed:
        try:
            raise ValueError("why")
        except ValueError:
            caught = sys.exc_info()
    return logging.LogRecord("proxy_pkg", logging.WARNING, "file", 1, message, arguments or None, caught)


@pytest.mark.parametrize("message", ["plain", "two\nlines", 'quoted "x" é', "lone \ud83d"])
def test_a_json_line_is_one_line_of_json(message: str) -> None:
    line = JsonFormatter().format(record(message))
    assert "\n" not in line
    fields: Mapping[str, Any] = msgspec.json.decode(line)
    assert (fields["level"], fields["logger"]) == ("warning", "proxy_pkg")
    assert fields["message"].replace("?", "\ud83d") == message or "\ud83d" not in message
    assert fields["time"].endswith("Z")


def test_arguments_fields_and_tracebacks_are_told() -> None:
    formatter = JsonFormatter()
    assert msgspec.json.decode(formatter.format(record("%s of %d", "one", 2)))["message"] == "one of 2"
    assert msgspec.json.decode(formatter.format(record({"event": "e", "n": 1})))["n"] == 1
    assert "ValueError: why" in msgspec.json.decode(formatter.format(record("x", failed=True)))["exception"]


def test_a_text_line_begins_with_when_who_and_how_bad() -> None:
    line = TextFormatter().format(record("it %s", "went"))
    assert line.split()[2:] == ["warning", "it", "went"]
    assert "n=1" in TextFormatter().format(record({"n": 1}))
    assert "ValueError: why" in TextFormatter().format(record("x", failed=True))


CANARIES = "a\x00\x07\t\x0b\x0c\x1b[31m\r\x7f\x85\x9b\u2028\u2029\u202e\ufeff\nforged line"
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()], ids=["json", "text"])
@pytest.mark.parametrize("place", ["message", "argument", "field", "key", "exception", "cause"])
def test_no_control_letter_reaches_a_line_raw(place: str, formatter: logging.Formatter) -> None:
    failed = None
    if place in ("exception", "cause"):
        try:
            try:
                raise KeyError(CANARIES)
            except KeyError as error:
                raise RuntimeError(CANARIES if place == "exception" else "x") from error
        except RuntimeError:
            failed = sys.exc_info()
    messages: dict[str, Any] = {"message": CANARIES, "field": {"x": CANARIES}, "key": {CANARIES: "x"}}
    arguments = (CANARIES,) if place == "argument" else None
    made = logging.LogRecord("proxy_pkg", 30, "file", 1, messages.get(place, "it was %s"), arguments, failed)
    if place in ("exception", "cause"):
        made.msg = "it failed"
    text = formatter.format(made)
    assert "forged line" in text
    assert not CONTROL.search(text)
    assert not any(line.startswith("forged") for line in text.split("\n"))
    if isinstance(formatter, TextFormatter):
        assert failed or "\n" not in text
    else:
        assert "\n" not in text
        assert CANARIES in repr(msgspec.json.decode(text)).encode().decode("unicode_escape") or failed


def test_each_form_has_its_logger() -> None:
    assert set(LOGGERS) == {"json", "text"}


def test_every_logger_of_the_process_writes_in_the_form(capfd: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = root.handlers
    logger = LOGGERS["json"](Config())
    try:
        for name in ("gunicorn.error", "uvicorn.error", "proxy_pkg", "asyncio", "redis.connection"):
            logging.getLogger(name).warning("from %s", name)
    finally:
        root.handlers = before
        logging.captureWarnings(capture=False)
    lines = [msgspec.json.decode(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["message"] for line in lines] == [f"from {line['logger']}" for line in lines]
    assert len(lines) == 5
    assert logger.error_log.handlers
