"""Inverse of the tables among other lines, written from the form that compressors/records.py documents."""

import re
from typing import Any

from tests.compressors.inverse_tables import MISSING, Table, header

HEADER = re.compile(r"\[([0-9]+) \S+ rows: ")
_NOTE = re.compile(r"\[rows printed '(.*)'; lines without (.*) are as they were\]")
_SEPARATORS = {'","': ",", "tab": "\t", '";"': ";", '"|"': "|", '"¦"': "¦"}
_SLOT = re.compile(r"(?<!%)%(-?)([0-9]+|\*)?s")


def records(text: str) -> str:
    """Return the text that `compressors.records` was given as lines."""
    first, note, *lines = text.split("\n")
    count = HEADER.match(first)
    assert count, first
    items, _, _ = header(first, count.end(), "]", is_raw=True)
    form = _NOTE.fullmatch(note)
    assert form, note
    separator = _SEPARATORS[form[2]]
    if lines[0].startswith("[In tables: "):
        del lines[0]
    table = Table(items)
    shown: list[str | dict[str, Any]] = []
    for line in lines:
        if line.startswith("# "):
            table.heads = line[2:].split(separator)
        elif separator not in line:
            shown.append(line)
        else:
            shown.append(_row(table, line.split(separator)))
    assert sum(isinstance(row, dict) for row in shown) == int(count[1])
    return "\n".join(_printed(shown, [".".join(item.name) for item in items], form[1]))


def _row(table: Table, cells: list[str]) -> dict[str, Any]:
    placed = [
        cell if cell or item.fallback is None else MISSING for cell, item in zip(cells, table.placed, strict=False)
    ]
    assert len(placed) == len(table.placed)
    named = dict(cell.split("=", 1) for cell in cells[len(placed) :] if cell)
    return table.row(placed, named)


def _printed(shown: list[str | dict[str, Any]], names: list[str], form: str) -> list[str]:
    out: list[str] = []
    at = 0
    while at < len(shown):
        end = next((n for n in range(at, len(shown)) if isinstance(shown[n], str)), None)
        run = shown[at:end]
        if not run:
            out.append(str(shown[at]))
            at += 1
            continue
        cells = [[str(row[name]) for name in names] for row in run if isinstance(row, dict)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        out += [_print(row, names, widths, form) for row in cells]
        at += len(run)
    return out


def _print(cells: list[str], names: list[str], widths: list[int], form: str) -> str:
    if "{" in form:
        return re.sub(r"\{(\w+)\}", lambda slot: cells[names.index(slot[1])], form)
    each = iter(zip(cells, widths, strict=True))

    def put(slot: re.Match[str]) -> str:
        cell, widest = next(each)
        width = widest if slot[2] == "*" else int(slot[2] or 0)
        return cell.ljust(width) if slot[1] else cell.rjust(width)

    return _SLOT.sub(put, form).replace("%%", "%")


listing = runners = alert_logs = findings = records
