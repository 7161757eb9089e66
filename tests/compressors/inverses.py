"""Inverses of the invertible compressors, written from their documented rules and not from their code."""

import re

from tests.compressors.inverse_tables import Number as Number
from tests.compressors.inverse_tables import delimited as delimited
from tests.compressors.inverse_tables import json_sent as json_sent
from tests.compressors.inverse_tables import json_table as json_table
from tests.compressors.inverse_tables import json_values as json_values


def numbered(text: str) -> str:
    """Return the read that `compressors.numbered` was given."""
    header, *lines = text.split("\n")
    found = re.fullmatch(r'\[every 10th line numbered(?:, from "(.*?)")?(, first unpadded)?\]', header)
    assert found, header
    form = (found[1] or "%6d→").replace("\\t", "\t")
    lead, spec, mark = re.fullmatch(r"(.*?)(%-?[0-9]*d)(.*)", form).groups()  # type: ignore[union-attr]
    out: list[str] = []
    pending: list[str] = []
    last: int | None = None
    for line in lines:
        explicit = re.match(re.escape(lead) + r"([0-9]{1,9})" + re.escape(mark), line)
        if explicit is None:
            pending.append(line)
            continue
        number = int(explicit[1])
        if last is not None and number - last - 1 == len(pending):
            pending = [_prefix(lead, spec, mark, last + 1 + i) + one for i, one in enumerate(pending)]
        out += [*pending, _prefix(lead, spec, mark, number) + line[explicit.end() :]]
        pending, last = [], number
    read = "\n".join(out + pending)
    return read.lstrip(" ") if found[2] else read


def _prefix(lead: str, spec: str, mark: str, number: int) -> str:
    return lead + spec % number + mark


INVERSES = {"numbered": numbered, "json-table": json_table}
"""By the compressor's name, where a text can be turned back, or its values."""
