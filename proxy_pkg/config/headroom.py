"""Applies Headroom's environment variables, as headroom_rules.py describes them, to what the layers give."""

import os
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from msgspec import Struct

from proxy_pkg.config import headroom_rules as rules
from proxy_pkg.config.headroom_names import WITHOUT_MEANING
from proxy_pkg.config.row import Given
from proxy_pkg.config.settings import ROWS, USUAL_VARIABLES, Settings
from proxy_pkg.model import Level

SHOWN_CHARACTERS_MAX: Final = 80
PAGE: Final = "docs/from-headroom.md"
FOREIGN: Final = frozenset(
    {
        *WITHOUT_MEANING,
        *rules.APPLIED,
        *rules.NOT_BESIDE,
        *rules.REFUSED,
        *rules.HOLDS_IF_FALSE,
        *rules.HOLDS_IF_TRUE,
        *rules.HOLDS_ALWAYS,
    }
)
"""All names of Headroom's that are no settings here."""

IN_MEMORY: Final = ("/dev/shm/", "/run/")  # noqa: S108 (recognised; the directory in it is private)
_SWITCHES: Final = ("HEADROOM_OPTIMIZE", "HEADROOM_LOSSLESS_COMPACTION")
_MODE, _RETRIES = "HEADROOM_MODE", "HEADROOM_RETRY_MAX_ATTEMPTS"
_MODES: Final = {
    **dict.fromkeys(("off", "none", "disabled", "passthrough"), "off"),
    **dict.fromkeys(("audit", "observe", "simulate"), "observe"),
    **dict.fromkeys(("optimize", "token", "token_mode", "token_savings", "token_headroom"), ""),
    **dict.fromkeys(("cache", "cache_mode", "cost_savings"), ""),
}
"""Word -> the level that it asks for, or nothing."""
_LIMITS: Final = ("rpm", "total_rpm", "tpm", "total_tpm")


class Adapted(Struct, frozen=True):
    """What the layers give with Headroom's names applied, and whole sentences about them."""

    given: dict[str, Given]
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def adapted(names: Mapping[str, str], given: Mapping[str, Given]) -> Adapted:
    """Settings with those of Headroom's `names` applied that ask for something to be left alone."""
    set_names = {name: text.strip() for name, text in names.items() if name in FOREIGN and text.strip()}
    result = dict(given)
    problems = [
        f"{name}={_plain(set_names[name])}: {refusal.text} ({PAGE})"
        for name, refusal in rules.REFUSED.items()
        if name in set_names and refusal.asks(set_names[name])
    ]
    problems += _apply_level(set_names, result)
    problems += _apply_references(set_names, result)
    problems += _apply_statelessness(set_names, result)
    _apply_exact_tools(set_names, result)
    _apply_proxy(set_names, result)
    return Adapted(result, tuple(problems), tuple(_warnings(set_names)))


def contradictions(names: Mapping[str, str], settings: Settings, uncertain: Collection[str]) -> list[str]:
    """Where one of Headroom's names says "no" to what a setting of ours says "yes" to."""
    checks = (
        (_asks(names, "HEADROOM_LOSSLESS", True), "compression", settings.compression is Level.BALANCED),
        (_asks(names, "HEADROOM_LOSSLESS_ONLY", True), "compression", settings.compression is Level.BALANCED),
        *((_asks(names, "HEADROOM_RATE_LIMIT_ENABLED", False), name, getattr(settings, name) > 0) for name in _LIMITS),
        (
            _RETRIES if names.get(_RETRIES, "").strip() in ("0", "1") else "",
            "retry_attempts_max",
            settings.retry_attempts_max > 0,
        ),
        (_asks(names, "HEADROOM_OTEL_METRICS_ENABLED", False), "otel", settings.otel),
    )
    return [
        _contradiction(name, names[name].strip(), setting, getattr(settings, setting))
        for name, setting, opposes in checks
        if name and opposes and setting not in uncertain
    ]


def is_without_effect(name: str, text: str) -> bool:
    """Whether a warning is due: the name asks for something that there is not here."""
    if name in rules.HOLDS_IF_FALSE:
        return rules.is_true(text)
    if name in rules.HOLDS_IF_TRUE:
        return not rules.is_true(text)
    return name in WITHOUT_MEANING


def _asks(names: Mapping[str, str], name: str, wanted: bool) -> str:
    """`name` where it is set to the truth value `wanted`, else nothing."""
    text = names.get(name, "").strip()
    return name if text and rules.is_true(text) == wanted else ""


def _apply_level(names: Mapping[str, str], given: dict[str, Given]) -> list[str]:
    """`off` or `observe` where a name asks for it; the problems, where ours says the opposite or a word is unknown."""
    problems: list[str] = []
    asked = {name: "off" for name in _SWITCHES if _asks(names, name, False)}
    if mode := names.get(_MODE, "").lower():
        if mode not in _MODES:
            known = ", ".join(_MODES)
            problems.append(f"{_MODE}={_plain(names[_MODE])}: this mode is not known; use one of {known}, or unset it")
        elif _MODES[mode]:
            asked[_MODE] = _MODES[mode]
    ours = str(given["compression"].raw).lower() if "compression" in given else ""
    if ours in (Level.LOSSLESS, Level.BALANCED):
        return problems + [_contradiction(name, names[name], "compression", ours) for name in asked]
    if asked and not ours:
        name = min(asked, key=lambda name: asked[name] != "off")
        given["compression"] = Given(asked[name], name, f"environment {name}")
    return problems


def _apply_references(names: Mapping[str, str], given: dict[str, Given]) -> list[str]:
    name = _asks(names, "HEADROOM_DEDUPE", False)
    if not name:
        return []
    ours = given.get("compression_references")
    if ours is not None and rules.is_true(str(ours.raw)):
        return [_contradiction(name, names[name], "compression_references", ours.raw)]
    given["compression_references"] = Given("false", name, f"environment {name}")
    return []


def _apply_statelessness(names: Mapping[str, str], given: dict[str, Given]) -> list[str]:
    name = _asks(names, "HEADROOM_STATELESS", True)
    if not name:
        return []
    ours = given.get("state_dir")
    if ours is None:
        port = str(given["port"].raw) if "port" in given else str(ROWS["port"].default)
        if port.isdecimal():
            given["state_dir"] = Given(f"{IN_MEMORY[0]}proxy_pkg-{os.getuid()}/{port}", name, f"environment {name}")
    elif not str(ours.raw).startswith(IN_MEMORY):
        return [
            f"{name}={_plain(names[name])} and {ours.label} {_plain(str(ours.raw))} contradict each other: that "
            f"directory is on a disk; name one below {' or '.join(IN_MEMORY)}, or unset one of the two"
        ]
    return []


def _apply_exact_tools(names: Mapping[str, str], given: dict[str, Given]) -> None:
    """More tools whose results stay as they are: both lists count."""
    name = "HEADROOM_PROTECT_TOOL_RESULTS"
    if name not in names:
        return
    ours = given.get("compression_exact_tools")
    if ours is None:
        given["compression_exact_tools"] = Given(names[name], name, f"environment {name}")
    else:
        both = f"{ours.source}, environment {name}"
        given["compression_exact_tools"] = Given(f"{ours.raw},{names[name]}", f"{ours.label} and {name}", both)


def _apply_proxy(names: Mapping[str, str], given: dict[str, Given]) -> None:
    """Theirs is for all upstreams, and stronger than the variables of all programs."""
    name = "HEADROOM_HTTP_PROXY"
    for setting in ("upstream_https_proxy_url", "upstream_http_proxy_url"):
        ours = given.get(setting)
        if name in names and (ours is None or ours.label in USUAL_VARIABLES):
            given[setting] = Given(names[name], name, f"environment {name}")


def _contradiction(name: str, text: str, setting: str, value: object) -> str:
    shown = str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else value
    return (
        f"{name}={_plain(text)} and {ROWS[setting].environment} {shown} contradict each other: unset one of the two "
        f"({PAGE})"
    )


def _warnings(names: Mapping[str, str]) -> Iterator[str]:
    foreign = sorted(name for name, text in names.items() if is_without_effect(name, text))
    if foreign:
        yield f"set, but without meaning for this proxy: {', '.join(foreign)} ({PAGE})"


def _plain(text: str) -> str:
    """A value as a message may repeat it: short, and without what could be a password."""
    if "@" in text or "://" in text:
        return "…"
    text = text if len(text) <= SHOWN_CHARACTERS_MAX else text[:SHOWN_CHARACTERS_MAX] + "…"
    return text if text.isprintable() else repr(text)
