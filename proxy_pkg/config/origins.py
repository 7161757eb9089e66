"""Where the values in force came from, and since when: what a running server tells of its own configuration."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct, structs

from proxy_pkg.config.row import shown
from proxy_pkg.config.settings import ROWS, Settings


class Origin(Struct, frozen=True):
    """Of one value: where it stands, and when it came into force (Unix time)."""

    source: str
    since_ns: int


class Origins(Struct, frozen=True):
    """Of all values: by setting, and when they were last read without a fault (Unix time)."""

    read_ns: int = 0
    by_setting: dict[str, Origin] = {}


def at_start(sources: Mapping[str, str]) -> Origins:
    """Of what has just been read."""
    now = time.time_ns()
    return Origins(now, {name: Origin(source, now) for name, source in sources.items()})


def after_reload(before: Origins, old: Settings, new: Settings, sources: Mapping[str, str]) -> Origins:
    """Of what has been read again: a value that is as it was keeps its age; one that was held back, its source too."""
    now = time.time_ns()
    result = {}
    for name, row in ROWS.items():
        known = before.by_setting.get(name, Origin("default", now))
        is_same = getattr(old, name) == getattr(new, name)
        source = sources[name] if row.reloadable else known.source
        result[name] = Origin(source, known.since_ns if is_same else now)
    return Origins(now, result)


def origins_section(settings: Settings, origins: Origins) -> dict[str, Any]:
    """Each setting in force, its source and its age, for people and scripts. Secrets are hidden."""
    now = time.time_ns()
    values = structs.asdict(settings)
    return {
        "read": _moment(origins.read_ns),
        "read_age_seconds": _age_seconds(origins.read_ns, now),
        "settings": {
            name: {
                "value": shown(row, values[name]),
                "source": origin.source,
                "since": _moment(origin.since_ns),
                "age_seconds": _age_seconds(origin.since_ns, now),
                "applied_by": "HUP" if row.reloadable else "restart",
            }
            for name, row in ROWS.items()
            if (origin := origins.by_setting.get(name))
        },
    }


def _moment(unix_ns: int) -> str:
    return datetime.fromtimestamp(unix_ns // 10**9, UTC).isoformat()


def _age_seconds(unix_ns: int, now_ns: int) -> int:
    """Never below zero, whoever sets the clock."""
    return max(0, now_ns - unix_ns) // 10**9
