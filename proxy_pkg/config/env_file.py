"""Reads a file of NAME=VALUE lines by the rules of systemd's EnvironmentFile= (systemd.exec(5)).

Lines that start with # or ; are comments. A value may stand in single quotes (verbatim), in double quotes
(a backslash keeps one of " \\ ` $) or bare (a backslash keeps the next character); both quoted forms may
span lines, and a backslash at the end of a line joins it with the next. Nothing is interpolated: $NAME
stays as it is.
"""

import re
from typing import Final

from msgspec import Struct

BETWEEN: Final = re.compile(r"(?:[ \t\r\n]+|[#;][^\r\n]*)+")
KEY: Final = re.compile(r"[^=\r\n]*")
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
BLANK: Final = re.compile(r"[ \t]*")
BARE: Final = re.compile(r"(?:\\.|[^\\\r\n])*\\?", re.DOTALL)
BARE_PIECE: Final = re.compile(r"\\.|[^\\ \t]+|[ \t]|\\\Z", re.DOTALL)
SINGLE: Final = re.compile(r"'([^']*)'")
DOUBLE: Final = re.compile(r'"((?:\\.|[^"\\])*)"', re.DOTALL)
DOUBLE_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)


class EnvFile(Struct, frozen=True):
    """What a file says: the last value of each name.

    `unread` holds the lines, by number, whose part before the equals sign is no name, for instance
    `export NAME`. `open_line` is the line of a quote that is never closed, 0 if all are.
    """

    values: dict[str, str]
    unreadable: dict[int, str]
    open_line: int = 0


def parse(text: str) -> EnvFile:
    """Never raises. Lines without an equals sign mean nothing, as for systemd."""
    values: dict[str, str] = {}
    unreadable: dict[int, str] = {}
    line = 1
    counted = 0
    at = _end(BETWEEN, text, 0)
    while at < len(text):
        line += text.count("\n", counted, at)
        start = counted = at
        at = _end(KEY, text, at)
        name = text[start:at].rstrip()
        if text.startswith("=", at):
            value, at = _value(text, at + 1)
            if value is None:
                return EnvFile(values, unreadable, line)
            if NAME.fullmatch(name):
                values[name] = value
            else:
                unreadable[line] = name
        at = _end(BETWEEN, text, at)
    return EnvFile(values, unreadable)


def _value(text: str, at: int) -> tuple[str | None, int]:
    """The value that starts at `at`, and its end; None where a quote stays open. Quoted parts join up."""
    parts: list[str] = []
    while True:
        at = _end(BLANK, text, at)
        if at >= len(text) or text[at] in "\r\n":
            return "".join(parts), at
        if text[at] not in "'\"":
            end = _end(BARE, text, at)
            return "".join([*parts, _bare(text[at:end])]), end
        quoted = (SINGLE if text[at] == "'" else DOUBLE).match(text, at)
        if quoted is None:
            return None, len(text)
        parts.append(quoted[1] if text[at] == "'" else DOUBLE_ESCAPE.sub(_double_escape, quoted[1]))
        at = quoted.end()


def _bare(raw: str) -> str:
    pieces: list[str] = BARE_PIECE.findall(raw)
    while pieces and pieces[-1] in (" ", "\t"):  # blanks at the end go, unless a backslash keeps them
        pieces.pop()
    return "".join(piece[1:].strip("\r\n") if piece[0] == "\\" else piece for piece in pieces)


def _double_escape(match: re.Match[str]) -> str:
    if match[1] == "\n":
        return ""
    return match[1] if match[1] in '"\\`$' else match[0]


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at
