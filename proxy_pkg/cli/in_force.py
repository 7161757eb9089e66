"""What a running server says that it runs with, and how that differs from what is read here."""

from typing import Any, Final

from msgspec import json, structs

from proxy_pkg.cli.finding_server import stats_of
from proxy_pkg.config.load import Examined
from proxy_pkg.config.parsers import size_text
from proxy_pkg.config.row import HIDDEN, Row, shown
from proxy_pkg.config.settings import ROWS, Settings

_FILES: Final = ("file ", "environment file ")


def asked(settings: Settings) -> tuple[dict[str, Any], str]:
    """The section `configuration` of the server where these settings have it; and why there is none."""
    stats, silence = stats_of(settings)
    if silence:
        return {}, silence
    section = stats.get("configuration")
    if not isinstance(section, dict) or not isinstance(section.get("settings"), dict):
        return {}, "it does not say what it runs with: it is of another version"
    return section, ""


def differences(examined: Examined, section: dict[str, Any], *, of_files: bool = False) -> list[tuple[Row, str]]:
    """The settings that are not the same here, each with a sentence. `of_files`: only those that a file gives here.

    Secrets are not compared, since the server does not tell them.
    """
    here = structs.asdict(examined.settings)
    found = []
    for name, row in ROWS.items():
        there = section["settings"].get(name)
        value = json.decode(json.encode(shown(row, here[name])))  # as the server's answer has it: lists, no tuples
        if there is None or row.secret or name in examined.uncertain or there.get("value") == value:
            continue
        source = examined.sources[name]
        if not of_files or source.startswith(_FILES):
            how = "`proxyctl reload` applies it" if row.reloadable else "only a restart applies it"
            text = (
                f"{row.environment}: the server runs with {text_of(row, there.get('value'))} ({there.get('source')}), "
                f"here it is {text_of(row, value)} ({source}); {how}"
            )
            found.append((row, text))
    return found


def text_of(row: Row, value: object) -> str:
    """A value as JSON brought it, as people write it."""
    if value == HIDDEN:
        return HIDDEN
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and row.kind == "size":
        return size_text(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return ", ".join(f"{each.get('name')}={each.get('url')}" for each in value) or "(empty)"
    return str(value) if value != "" else "(empty)"
