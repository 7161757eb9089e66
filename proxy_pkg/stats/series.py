"""How a series is named in a ledger, and how many names there may be."""

from proxy_pkg.stats.catalogue import OTHER, Label, Metric

_SEPARATOR = "\x1f"
_VALUE_CHARS_MAX = 64


class Vocabulary:
    """The values one label may take, bounded whatever requests bring."""

    def __init__(self, label: Label) -> None:
        self._closed = bool(label.values)
        self._values_max = label.values_max
        self._values = set(label.values)

    def admit(self, value: str) -> str:
        """`value` if it belongs to the set or there is room for it (of plain, short text), else "other"."""
        if value in self._values:
            return value
        full = self._closed or len(self._values) >= self._values_max
        if full or value == OTHER or len(value) > _VALUE_CHARS_MAX or not (value.isascii() and value.isprintable()):
            return OTHER
        self._values.add(value)
        return value


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
