"""The one reader of the environment: layers in, complete and checked Settings out, all faults reported
together.
"""

import os
import re
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from proxy_pkg.config import checks, headroom, layers, parsers
from proxy_pkg.config.cpus import usable_cpus
from proxy_pkg.config.layers import Layer
from proxy_pkg.config.row import HIDDEN, Given, Row, Scalar
from proxy_pkg.config.settings import (
    CONFIG_FILE,
    CONFIG_JSON,
    ENVIRONMENT_FILE,
    ROWS,
    SERVE_OPTIONS,
    USUAL_VARIABLES,
    Settings,
)
from proxy_pkg.errors import SettingsError

_VERBS: Final = frozenset(("carries", "does", "has", "holds", "its"))
"""How a reason begins that is a whole predicate."""
SHOWN_CHARACTERS_MAX: Final = 80
FILE_OPTIONS: Final = {"config": CONFIG_FILE, "env_file": ENVIRONMENT_FILE}
"""Command line options that name a file of settings -> the variable they stand for."""


class Loaded(Struct, frozen=True):
    """A configuration that can be used.

    `sources` says for each setting where its value came from: "default", "file PATH", "environment NAME",
    "environment file PATH" or "command line". `warnings` are whole sentences.
    """

    settings: Settings
    sources: dict[str, str]
    warnings: tuple[str, ...]


class Examined(Struct, frozen=True):
    """A configuration as far as it can be understood.

    `faulty` settings have their defaults in `settings`. `uncertain` are those, and all of them where a layer
    could not be read: nothing should be concluded from their values.
    """

    settings: Settings
    sources: dict[str, str]
    warnings: tuple[str, ...]
    problems: tuple[str, ...]
    faulty: frozenset[str]
    uncertain: frozenset[str]


def load(environ: Mapping[str, str] | None = None, overrides: Mapping[str, str] | None = None) -> Loaded:
    """Settings from defaults, TOML file, environment, environment file and `overrides`; later layers win.

    `overrides` is the command line: setting names, `config` or `env_file` -> text. None as `environ` is
    the real one. Raises SettingsError with every problem found.
    """
    return _usable(examine(environ, overrides))


def load_for_asgi(environ: Mapping[str, str] | None = None) -> Loaded:
    """The same without gunicorn, where HEADROOM_PROXY_CONFIG_JSON wins over all other layers."""
    return _usable(examine(environ, json_read=True))


def examine(
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, str] | None = None,
    *,
    json_read: bool = False,
) -> Examined:
    """What `load` does, with the problems beside the settings instead of an error."""
    names = os.environ if environ is None else environ
    found, given_names = _layers(names, overrides or {}, json_read)
    adapted = headroom.adapted(given_names, _merge(found))
    given = adapted.given
    read: dict[str, Scalar] = {}
    problems = [problem for layer in found for problem in layer.problems]
    faulty: set[str] = set()
    for name, row in ROWS.items():
        read[name] = row.default
        if name in given:
            try:
                read[name] = parsers.read(row, given[name].raw)
            except ValueError as error:
                problems.append(_problem(row, given[name], str(error)))
                faulty.add(name)
    uncertain = frozenset(faulty if all(layer.complete for layer in found) else ROWS)
    sources = _sources(given, read)
    settings = _settings(names, read)
    problems += adapted.problems
    problems += headroom.contradictions(given_names, settings, uncertain)
    problems += checks.problems(settings, uncertain)
    warnings = [*adapted.warnings, *_stray_names(given_names, json_read), *checks.warnings(settings, uncertain)]
    return Examined(settings, sources, tuple(warnings), tuple(problems), frozenset(faulty), uncertain)


def environment_for(overrides: Mapping[str, str], environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a server process that is to see `overrides` as its command line."""
    child = dict(os.environ if environ is None else environ)
    options = {name: text for name, text in overrides.items() if name in ROWS and text}
    child.update({ROWS[name].environment: text for name, text in options.items()})
    child.update({variable: overrides[name] for name, variable in FILE_OPTIONS.items() if overrides.get(name)})
    child[SERVE_OPTIONS] = ",".join([*options, *(name for name in FILE_OPTIONS if overrides.get(name))])
    return child


def socket_passed(environ: Mapping[str, str] | None = None) -> bool:
    """Whether a service manager hands this process the socket to listen on (sd_listen_fds(3))."""
    names = os.environ if environ is None else environ
    return names.get("LISTEN_PID") == str(os.getpid()) and names.get("LISTEN_FDS", "0") not in ("", "0")


def take_notify_socket() -> str:
    """Where a service manager listens (sd_notify(3)), or nothing. Nobody else in this process will find it after."""
    return os.environ.pop("NOTIFY_SOCKET", "")


def _usable(examined: Examined) -> Loaded:
    if examined.problems:
        raise SettingsError(examined.problems)
    return Loaded(examined.settings, examined.sources, examined.warnings)


def _layers(
    names: Mapping[str, str], overrides: Mapping[str, str], json_read: bool
) -> tuple[list[Layer], Mapping[str, str]]:
    """All layers, weakest first, and the names that environment and environment file set together."""
    # An option of `serve` reaches this process as a variable; it outranks the environment file all the same.
    variables = {name: row.environment for name, row in ROWS.items()} | FILE_OPTIONS
    served = [name for name in names.get(SERVE_OPTIONS, "").split(",") if name in variables]
    options = {name: names.get(variables[name], "") for name in served} | dict(overrides)
    files = {name: options.pop(name, "").strip() for name in FILE_OPTIONS}
    env_file = files["env_file"] or names.get(ENVIRONMENT_FILE, "").strip()
    file_names, file_layer = layers.from_env_file(env_file) if env_file else ({}, Layer())
    together = {**names, **file_names}
    config = files["config"] or together.get(CONFIG_FILE, "").strip()
    found = [
        layers.from_usual(together),
        layers.from_toml(config) if config else Layer(),
        layers.from_environment({name: raw for name, raw in names.items() if name not in file_names}),
        file_layer,
        layers.from_options(options),
        layers.from_json(together[CONFIG_JSON]) if json_read and together.get(CONFIG_JSON) else Layer(),
    ]
    return found, together


def _merge(found: list[Layer]) -> dict[str, Given]:
    """The strongest value for each setting. Blanks around a text mean nothing; an empty one is not given, and takes
    back what a variable that most programs read had said.
    """
    merged: dict[str, Given] = {}
    for layer in found:
        for name, given in layer.given.items():
            raw = given.raw.strip() if isinstance(given.raw, str) else given.raw
            if raw != "":
                merged[name] = Given(raw, given.label, given.source)
            elif name in merged and merged[name].label in USUAL_VARIABLES:
                del merged[name]  # the way not to have what all programs have, such as a proxy
    return merged


def _settings(names: Mapping[str, str], read: dict[str, Scalar]) -> Settings:
    if read["workers"] == parsers.AUTO:
        read["workers"] = min(usable_cpus(), int(ROWS["workers"].maximum))
    read["state_dir"] = read["state_dir"] or _state_dir(names, int(str(read["port"])))
    return msgspec.convert(read, Settings)


def _state_dir(names: Mapping[str, str], port: int) -> str:
    """One directory for each port, so that two servers of one person never share their counters."""
    if runtime := _directory(names.get("RUNTIME_DIRECTORY", "").partition(":")[0]):
        return f"{runtime}/{port}"
    if session := _directory(names.get("XDG_RUNTIME_DIR", "")):
        return f"{session}/proxy_pkg/{port}"
    temporary = _directory(names.get("TMPDIR", "")) or "/tmp"  # noqa: S108 (the directory in it is private)
    return f"{temporary}/proxy_pkg-{os.getuid()}/{port}"


def _directory(path: str) -> str:
    return path.rstrip("/") if path.startswith("/") and path.isprintable() else ""


def _sources(given: Mapping[str, Given], read: Mapping[str, Scalar]) -> dict[str, str]:
    sources = {name: given[name].source if name in given else "default" for name in ROWS}
    if read["workers"] == parsers.AUTO:
        sources["workers"] += f" ({parsers.AUTO})"
    return sources


def _problem(row: Row, given: Given, reason: str) -> str:
    text = HIDDEN if row.secret else _quoted(_without_credentials(row, _text(given.raw)))
    if row.kind == "upstreams":
        text = "this table"  # it may be long, and hold credentials at any place
    verb = "" if reason.split(" ", 1)[0] in _VERBS else "is "
    return f"{given.label}: {text} {verb}{reason}; allowed: {parsers.allowed(row)}"


def _text(raw: object) -> str:
    if isinstance(raw, bool):
        return str(raw).lower()
    # Python refuses to write out numbers of thousands of digits.
    return "a very long number" if isinstance(raw, int) and raw.bit_length() > 256 else str(raw)


def _without_credentials(row: Row, text: str) -> str:
    """A URL as a message may repeat it: whatever could be a password or a key is gone."""
    if row.kind != "url":
        return text
    text = re.sub(r"[?#].*", "?…", text, flags=re.DOTALL)
    return re.sub(r"\A([a-z]+://)?.*@", r"\1…@", text, flags=re.DOTALL | re.IGNORECASE)


def _quoted(text: str) -> str:
    if len(text) > SHOWN_CHARACTERS_MAX:
        text = text[:SHOWN_CHARACTERS_MAX] + "…"
    return repr(text)


def _stray_names(names: Mapping[str, str], json_read: bool) -> list[str]:
    warnings = []
    if names.get(CONFIG_JSON) and not json_read:
        warnings.append(f"{CONFIG_JSON} is set, but only proxy_pkg.server.asgi:create_app_from_env reads it")
    return warnings
