"""How a series is named in a ledger, and how many names there may be."""

import re

from proxy_pkg.stats.catalogue import OTHER, Label, Metric
from proxy_pkg.stats.metric import FAMILIES_MAX, UNACCEPTED_SHARE

_SEPARATOR = "\x1f"
_VERSION = "/"
_VALUE_CHARS_MAX = 64

# RFC 9110, 10.1.5: product = token ["/" product-version]. Only the plain part of a token is let through.
_PRODUCT = re.compile(r"\s*([A-Za-z][A-Za-z0-9._-]{0,31})(?:/v?([0-9]{1,6}(?:\.[0-9]{1,6}){0,2}))?")
_USER_AGENT_CHARS_MAX = 256


def client_label(user_agent: str) -> str:
    """`"claude-cli/2.1.3"` for `"claude-cli/2.1.3 (external, cli)"`; "other" where no product can be read."""
    match = _PRODUCT.match(user_agent[:_USER_AGENT_CHARS_MAX])
    if match is None:
        return "other"
    name, version = match.groups()
    return f"{name.lower()}/{version}" if version else str(name.lower())


class Vocabulary:
    """The values one label may take, bounded whatever requests bring."""

    def __init__(self, label: Label) -> None:
        self._label = label
        self._values = set(label.values)

    def admit(self, value: str, *, is_accepted: bool = True) -> str:
        """`value` if it belongs to the set or there is room for it (of plain, short text), else its family or "other".

        `is_accepted` says that the upstream took the request that brings it: see `Label`.
        """
        label = self._label
        if value in self._values:
            return value
        if (
            label.values
            or value == OTHER
            or len(value) > _VALUE_CHARS_MAX
            or not (value.isascii() and value.isprintable())
        ):
            return OTHER
        room = label.values_max if is_accepted or not label.foreign else label.values_max // UNACCEPTED_SHARE
        if label.foreign and is_accepted and len(self._values) >= room:
            value, room = value.partition(_VERSION)[0], label.values_max + FAMILIES_MAX
        if value not in self._values and len(self._values) >= room:
            return OTHER
        self._values.add(value)
        return value

    def restore(self, value: str) -> None:
        """Know a value that was admitted before."""
        if not self._label.values and value != OTHER:
            self._values.add(value)


def series_key(metric: Metric, values: tuple[str, ...]) -> str:
    """The name of one series in a ledger: metric, schema and label values."""
    return _SEPARATOR.join((metric.name, metric.schema, *values))


def metric_name(key: str) -> str:
    """The metric that `key` names, which may be one this version does not know."""
    return key.partition(_SEPARATOR)[0]


def series_values(metric: Metric, key: str) -> tuple[str, ...] | None:
    """The label values in `key`; None if it names another metric or another definition of this one."""
    name, *rest = key.split(_SEPARATOR)
    if name != metric.name or not rest or rest[0] != metric.schema or len(rest) != len(metric.labels) + 1:
        return None
    return tuple(rest[1:])
