"""The layers that settings come from, each read into the same shape; which of them wins is decided in
`load.py`.
"""

import difflib
import os
import stat
import tomllib
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from proxy_pkg.config import env_file
from proxy_pkg.config.headroom import FOREIGN
from proxy_pkg.config.row import Given
from proxy_pkg.config.settings import (
    BY_ENVIRONMENT,
    CONFIG_FILE,
    CONFIG_JSON,
    ENVIRONMENT_FILE,
    PREFIX,
    ROWS,
    SOURCES,
    USUAL_VARIABLES,
)

FILE_BYTES_MAX: Final = 1024 * 1024


class Layer(Struct, frozen=True):
    """What one layer says: setting name -> value given, and one sentence for each fault.

    `complete` is false where a part could not be read, so that what is missing says nothing.
    """

    given: dict[str, Given] = {}
    problems: tuple[str, ...] = ()
    complete: bool = True


def unreadable(problem: str) -> Layer:
    """A layer that could not be read at all."""
    return Layer(problems=(problem,), complete=False)


def from_environment(names: Mapping[str, str], file: str = "") -> Layer:
    """Our names among `names`, which stand in the environment, or in the environment file `file`."""
    place = f" in {file}" if file else ""
    given: dict[str, Given] = {}
    problems: list[str] = []
    for name, raw in sorted(names.items()):
        if name in BY_ENVIRONMENT:
            source = f"environment file {file}" if file else f"environment {name}"
            given[BY_ENVIRONMENT[name]] = Given(raw, name + place, source)
        elif name.startswith(PREFIX) and name not in SOURCES and name not in FOREIGN:
            problems.append(_unknown(name, place, BY_ENVIRONMENT))
    return Layer(given, tuple(problems))


def from_usual(names: Mapping[str, str]) -> Layer:
    """What the variables say that most programs read."""
    return Layer(
        {
            setting: Given(names[variable], variable, f"environment {variable}")
            for variable, settings in USUAL_VARIABLES.items()
            if names.get(variable, "").strip()
            for setting in settings
        }
    )


def from_options(options: Mapping[str, str]) -> Layer:
    """The command line: setting name -> text."""
    given = {
        name: Given(raw, "--" + name.replace("_", "-"), "command line") for name, raw in options.items() if name in ROWS
    }
    problems = [_unknown("--" + name.replace("_", "-"), "", ROWS) for name in options if name not in ROWS]
    return Layer(given, tuple(problems))


def from_toml(path: str) -> Layer:
    """A TOML file of `name = value` at its top level; one problem and no value where it cannot be used."""
    text, problem = read_text(path)
    if problem:
        return unreadable(f"{CONFIG_FILE}={printable(path)}: {problem}")
    try:
        table = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError is one, and so is what a number of 5,000 digits raises
        return unreadable(f"{CONFIG_FILE}={printable(path)}: not valid TOML: {error}")
    except RecursionError:
        return unreadable(f"{CONFIG_FILE}={printable(path)}: its values are nested too deeply")
    return _from_keys(table, f" in {printable(path)}", f"file {printable(path)}")


def from_json(document: str) -> Layer:
    """One JSON object with setting names as keys; null is not set. The text is never repeated."""
    try:
        table = msgspec.json.decode(document.encode("utf-8", "surrogateescape"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error) if isinstance(error, msgspec.DecodeError) else "not UTF-8, or nested too deeply"
        return unreadable(f"{CONFIG_JSON}: not valid JSON: {reason}")
    if not isinstance(table, dict):
        return unreadable(f"{CONFIG_JSON}: not a JSON object with setting names as keys")
    return _from_keys(table, f" in {CONFIG_JSON}", f"environment {CONFIG_JSON}")


def from_env_file(path: str) -> tuple[Mapping[str, str], Layer]:
    """The names that a file of NAME=VALUE lines sets, and the layer of ours among them."""
    place = f"{ENVIRONMENT_FILE}={printable(path)}"
    text, problem = read_text(path)
    if problem:
        return {}, unreadable(f"{place}: {problem}")
    parsed = env_file.parse(text)
    layer = from_environment(parsed.values, printable(path))
    faults = [
        f"{place}: line {line}: {printable(name)!r} is not a name; write NAME=value"
        for line, name in parsed.unreadable.items()
        if any(word in BY_ENVIRONMENT or word.startswith(PREFIX) for word in name.split())
    ]
    if parsed.open_line:
        faults.append(f"{place}: line {parsed.open_line}: a quote is opened and never closed")
    return parsed.values, Layer(layer.given, (*faults, *layer.problems), not parsed.open_line)


def read_text(path: str) -> tuple[str, str]:
    """The text of a small regular file and "", or "" and why it cannot be had. Waits for no pipe."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return "", "not a regular file"
            data = file.read(FILE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        return "", f"cannot be read: {getattr(error, 'strerror', None) or error}"
    if len(data) > FILE_BYTES_MAX:
        return "", f"longer than {FILE_BYTES_MAX} bytes"
    try:
        return data.decode("utf-8-sig"), ""
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return "", f"not UTF-8 (at line {line})"


def printable(text: str) -> str:
    """`text` as it can stand in a message on any terminal and in JSON: what cannot be printed is escaped."""
    return text if text.isprintable() else repr(text)


def _from_keys(table: Mapping[str, object], place: str, source: str) -> Layer:
    given: dict[str, Given] = {}
    problems: list[str] = []
    for key, raw in table.items():
        if key in ROWS and (ROWS[key].kind == "upstreams" or not isinstance(raw, dict | list)):
            given[key] = Given("" if raw is None else raw, key + place, source)
        elif key in ROWS:
            problems.append(f"{key}{place}: one value is needed, not a table or a list")
        elif isinstance(raw, dict):
            problems.append(f"{printable(key)}{place}: settings stand at the top level, not in a table")
        else:
            problems.append(_unknown(key, place, ROWS))
    return Layer(given, tuple(problems))


def _unknown(name: str, place: str, known: Iterable[str]) -> str:
    """Says so, with the nearest of the `known` names, or where to find them if none is near."""
    plain = {entry.upper().removeprefix(PREFIX): entry for entry in known}
    sought = name.lstrip("-").upper().replace("-", "_").removeprefix(PREFIX)
    close = difflib.get_close_matches(sought, plain, n=1)
    hint = f"did you mean {plain[close[0]]}?" if close else "`proxyctl config show` lists all"
    return f"{printable(name)}{place}: there is no such setting; {hint}"
