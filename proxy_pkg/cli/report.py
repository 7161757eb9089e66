"""How commands print problems and warnings: one line each on standard error."""

import sys
from collections.abc import Iterable
from typing import NoReturn

import msgspec
import typer

from proxy_pkg.config.parsers import size_text
from proxy_pkg.config.row import Row, Scalar, shown


def print_findings(problems: Iterable[str], warnings: Iterable[str] = ()) -> None:
    """Prints them, problems first."""
    for label, sentences in (("problem", problems), ("warning", warnings)):
        for sentence in sentences:
            print(f"{label}: {sentence}", file=sys.stderr)


def fail(problems: Iterable[str], warnings: Iterable[str] = ()) -> NoReturn:
    """Prints them and ends the command with exit code 1."""
    print_findings(problems, warnings)
    raise typer.Exit(1)


def print_json(document: object) -> None:
    """One JSON document on standard output, indented."""
    print(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())


def value_text(row: Row, value: Scalar) -> str:
    """A setting's value as people write it, secrets hidden."""
    text = shown(row, value)
    if isinstance(text, bool):
        return str(text).lower()
    if isinstance(text, int) and row.kind == "size":
        return size_text(text)
    if isinstance(text, tuple):
        return ", ".join(f"{upstream.name}={upstream.url}" for upstream in text)
    return f"{text:g}" if isinstance(text, float) else str(text)


def age_text(seconds: float) -> str:
    """A time as people say it, in its two largest units."""
    whole = int(seconds)
    days, hours, minutes = whole // 86_400, whole // 3600 % 24, whole // 60 % 60
    return f"{days}d {hours}h" if days else f"{hours}h {minutes}m" if hours else f"{minutes}m {whole % 60}s"
