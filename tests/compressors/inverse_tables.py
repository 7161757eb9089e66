"""The reader of tables, written from the rules that compressors/columns.py and json_table.py state."""

import json
import re
from typing import Any


class Number(str):
    """A JSON number as it was spelled: equal to no string that looks alike."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is Number and str.__eq__(self, other)

    __hash__ = str.__hash__


SCALARS = json.JSONDecoder(parse_float=Number, parse_int=Number)
_TABLE = re.compile(r"([\[{])([0-9]+) (?:rows|JSON lines)(?:, [0-9]+ left out)?: ")
_MARK = re.compile(r"\[[0-9]+ [a-z]+ left out: [0-9]+(?:-[0-9]+)?\](?=\n)")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LITERALS = {"null": None, "true": True, "false": False}
_BARE = re.compile(r"[^,\n]*")
_LEGEND = re.compile(r"\A\[In tables: [^\n]*\]\r?\n")
MISSING = object()
REPEATED = object()
SLOT = re.compile(r"\{([^{}]*)\}")


class Form(str):
    """How a string is made: {} its cell, {#} its part of the last # line, {name} another column's string."""

    __slots__ = ()


class Item:
    """A column as a header has it."""

    def __init__(self, name: list[str], form: Any, fallback: Any, *, shown: bool, named: bool) -> None:
        self.name, self.form, self.fallback, self.shown, self.named = name, form, fallback, shown, named


def json_values(text: str) -> Any:
    """Return the value of a JSON document, numbers as they are spelled; a tuple if there are several."""
    values, at = [], 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        value, at = SCALARS.raw_decode(text, at)
        values.append(value)
    return values[0] if len(values) == 1 else tuple(values)


def json_table(text: str) -> Any:
    """Return the value that `compressors.json_table` wrote; a tuple if there are several."""
    text = _LEGEND.sub("", text)
    if re.match(r"\[[0-9]+ JSON lines(?:, [0-9]+ left out)?: ", text):
        value, end = _value(text, 0)
        assert end == len(text), text[end:]
        return tuple(value)
    values, at = [], 0
    while at < len(text):
        value, at = _value(text, at)
        values.append(value)
        assert at == len(text) or text[at] == "\n", text[at:]
        at += 1
    return values[0] if len(values) == 1 else tuple(values)


def _value(text: str, at: int) -> tuple[Any, int]:
    table = _TABLE.match(text, at)
    if table:
        return _table(text, table.end(), int(table[2]), table[1] == "{")
    if text[at] not in "[{":
        return SCALARS.raw_decode(text, at)
    return _object(text, at + 1) if text[at] == "{" else _array(text, at + 1)


def _object(text: str, at: int) -> tuple[dict[str, Any], int]:
    made = {}
    while text[at] != "}":
        at += text[at] == ","
        key, at = SCALARS.raw_decode(text, at)
        assert text[at] == ":"
        made[key], at = _value(text, at + 1)
    return made, at + 1


def _array(text: str, at: int) -> tuple[list[Any], int]:
    made = []
    while text[at] != "]":
        value, at = _value(text, at + (text[at] == ","))
        made.append(value)
    return made, at + 1


def header(text: str, at: int, ends: str = "\n", *, is_raw: bool = False) -> tuple[list[Item], bool, int]:
    """Return the columns of the header at `at`, whether rows may end in further keys, and where the header ends."""
    items, further = [], False
    while True:
        if text[at] == "+" and text[at + 1] in ends:
            further, at = True, at + 1
        else:
            item, at = _item(text, at, is_raw=is_raw)
            items.append(item)
        if text[at] in ends:
            return items, further, at
        assert text[at] == ",", text[at:]
        at += 1


def _item(text: str, at: int, *, is_raw: bool) -> tuple[Item, int]:
    named, hidden = text[at] == "+", text[at] == "("
    name, at = _name(text, at + (named or hidden))
    form = fallback = None
    if text[at] == "=":
        form, at = _meaning(text, at + 1, is_form=not hidden, is_raw=is_raw)
    if text.startswith(" or ", at):
        assert not hidden
        fallback, at = _meaning(text, at + 4, is_form=False, is_raw=is_raw)
        fallback = (fallback,)
    if hidden:
        assert text[at] == ")", text[at:]
        at += 1
    return Item(name, form, fallback, shown=not hidden, named=named), at


def _meaning(text: str, at: int, *, is_form: bool, is_raw: bool) -> tuple[Any, int]:
    """Return the value or form at `at`."""
    if text.startswith('f"', at):
        made, at = SCALARS.raw_decode(text, at + 1)
        return Form(made), at
    if text[at] in '"[' or (
        not is_form and re.compile(r'\{(?:["}]|[0-9]+ rows(?:, [0-9]+ left out)?: )').match(text, at)
    ):
        return _value(text, at)
    end = re.compile(r" or |[,)\]\n]" if is_form else r"[,)\]\n]").search(text, at)
    assert end
    bare = text[at : end.start()]
    at = end.start()
    if is_form or SLOT.search(bare):
        return Form(bare), at
    return (REPEATED if bare == "as above" else bare if is_raw else _bare(bare)), at


def _name(text: str, at: int) -> tuple[list[str], int]:
    parts = []
    while True:
        if text[at] == '"':
            part, at = SCALARS.raw_decode(text, at)
        else:
            found = re.compile(r"[^\s,.;:=()\]]+").match(text, at)
            assert found, text[at:]
            part, at = found[0], found.end()
        parts.append(part)
        if text[at] != ".":
            return parts, at
        at += 1


def _table(text: str, at: int, count: int, is_keyed: bool) -> tuple[Any, int]:
    items, _, at = header(text, at)
    at += 1
    table = Table(items)
    rows: list[Any] = []
    keys: list[Any] = []
    gaps = 0
    while len(rows) - gaps < count or text.startswith("# ", at) or _MARK.match(text, at):
        if mark := _MARK.match(text, at):
            rows.append(None if is_keyed else mark[0])
            keys.append(mark[0])
            gaps += 1
            at = mark.end() + 1
            continue
        if text.startswith("# ", at):
            at += 2
            heads = []
            for item in table.headed:
                cell, at = _cell(text, at, is_text=item.form != "{#}")
                heads.append(cell)
                assert text[at] in ",\n", text[at:]
                at += 1
            table.heads = heads
            continue
        cells: list[Any] = []
        named: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        while True:
            if len(cells) < len(table.placed):
                cell, at = _cell(text, at, is_text=table.placed[len(cells)].form is not None)
                cells.append(cell)
            elif text[at] == "{":
                extra, at = _object(text, at + 1)
            else:
                name, at = _name(text, at)
                assert text[at] == "=", text[at:]
                item = next(item for item in items if item.named and item.name == name)
                named[".".join(name)], at = _cell(text, at + 1, is_text=item.form is not None)
            assert text[at] in ",\n", text[at:]
            at += 1
            if text[at - 1] == "\n":
                break
        cells += [MISSING] * (len(table.placed) - len(cells))
        row, key = table.row(cells, named), None
        row.update(extra)
        if is_keyed:
            key = row.pop("KEY")
        rows.append(row)
        keys.append(key)
    assert text[at] == "]}"[is_keyed], text[at:]
    return (dict(zip(keys, rows, strict=True)) if is_keyed else rows), at + 1


class Table:
    """Columns, and the last cells above that some of them may repeat."""

    def __init__(self, items: list[Item]) -> None:
        self.items = items
        self.placed = [item for item in items if item.shown and not item.named]
        self.headed = [item for item in items if isinstance(item.form, Form) and "#" in SLOT.findall(item.form)]
        self.heads: list[Any] = []
        self.above: dict[int, Any] = {}

    def row(self, cells: list[Any], named: dict[str, Any]) -> dict[str, Any]:
        """Return the object that one row stands for."""
        own = {id(item): cell for item, cell in zip(self.placed, cells, strict=True)}
        own |= {id(item): named.get(".".join(item.name), MISSING) for item in self.items if item.named}
        heads = {id(item): head for item, head in zip(self.headed, self.heads, strict=True)}
        values: dict[str, Any] = {}

        def value(item: Item) -> Any:
            name = ".".join(item.name)
            if name not in values:
                values[name] = made(item)
            return values[name]

        def made(item: Item) -> Any:
            cell = own.get(id(item), MISSING)
            if item.shown and cell is MISSING:
                if item.fallback is None:
                    return MISSING
                meaning = item.fallback[0]
                if meaning is REPEATED:
                    return self.above[id(item)]
                return filled(meaning, item) if isinstance(meaning, Form) else meaning
            if item.shown and item.form is None:
                return MISSING if cell is ABSENT else cell
            if isinstance(item.form, Form):
                return heads[id(item)] if item.form == "{#}" else filled(item.form, item)
            return item.form

        def filled(form: Form, item: Item) -> Any:
            def slot(found: re.Match[str]) -> str:
                match found[1]:
                    case "":
                        return str(own[id(item)])
                    case "#":
                        return str(heads[id(item)])
                    case name:
                        return str(value(next(each for each in self.items if ".".join(each.name) == name)))

            if "" in SLOT.findall(form) and own[id(item)] is MISSING:
                return MISSING
            return SLOT.sub(slot, form)

        row: dict[str, Any] = {}
        for item in self.items:
            got = value(item)
            self.above[id(item)] = got
            if got is not MISSING and got is not ABSENT:
                _put(row, item.name, got)
        return row


ABSENT = object()


_WRAPPED = re.compile(r"\[… in (.*) is the (?:text|JSON) below(?:, (compact|spaced|indented [24]))?\]\n")
SPELLINGS: dict[str, dict[str, Any]] = {
    "compact": {"separators": (",", ":")},
    "spaced": {},
    "indented 2": {"indent": 2},
    "indented 4": {"indent": 4},
}


def json_sent(text: str) -> Any:
    """Return the value that is sent in any of the forms for JSON."""
    return json_text(text) if text.startswith("[… in ") else json_table(text)


def json_text(text: str) -> Any:
    """Return the value of the document that `compressors.json_text` was given."""
    found = _WRAPPED.match(text)
    assert found
    inner = text[found.end() :]
    if found[2]:
        inner = spelled(json_table(inner), SPELLINGS[found[2]])
    before, after = found[1].split("…")
    return json_values(before + json.dumps(inner) + after)


def spelled(value: Any, options: dict[str, Any]) -> str:
    """Return a value as JSON, with numbers as they are spelled."""
    mark = json.dumps("\ufdd0", ensure_ascii=options.get("ensure_ascii", False))[1:-1]
    text = json.dumps(_marked(value), **{"ensure_ascii": False, **options})
    return re.sub('"' + re.escape(mark) + '([^"]*)"', r"\1", text)


def _marked(value: Any) -> Any:
    """Return `value` with numbers as marked strings, for a writer that would spell them anew."""
    if isinstance(value, dict):
        return {name: _marked(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_marked(each) for each in value]
    return f"\ufdd0{value}" if type(value) is Number else value


_DELIMITED = re.compile(
    r"\[([0-9]+) (CSV|TSV|[;|]-separated) rows( without header)?(, CRLF)?(?:, printed '([^']*)')?"
    r"(?:, [0-9]+ lines left out)?: "
)
_SEPARATORS = {"CSV": ",", "TSV": "\t", ";-separated": ";", "|-separated": "|"}


def delimited(text: str) -> str:
    """Return the text that `compressors.delimited` was given."""
    text = _LEGEND.sub("", text)
    start = _DELIMITED.match(text)
    assert start
    items, _, at = header(text, start.end(), "]", is_raw=True)
    separator, end = _SEPARATORS[start[2]], "\r\n" if start[4] else "\n"
    table = Table(items)
    lines = [] if start[3] else [separator.join(item.name[0] for item in items)]
    at += 1
    above: dict[int, str] = {}
    for _ in range(int(start[1])):
        assert text.startswith(end, at), text[at:]
        at += len(end)
        while mark := _MARK.match(text, at):
            above[len(lines)] = above.get(len(lines), "") + mark[0] + "\n"
            at = mark.end() + 1
        if text.startswith("# ", at):
            table.heads, at = _raw_cells(text, at + 2, separator, end)
            at += len(end)
        cells, at = _raw_cells(text, at, separator, end)
        placed = [
            cell if cell or item.fallback is None else MISSING for cell, item in zip(cells, table.placed, strict=False)
        ]
        named: dict[str, Any] = {}
        assert len(placed) == len(table.placed)
        for cell in cells[len(placed) :]:
            name, after = _name(cell, 0)
            named[".".join(name)] = cell[after + 1 :]
        row = table.row(placed, named)
        lines.append(separator.join(str(row[item.name[0]]) for item in items))
    if start[5]:
        rows = [line.split(separator) for line in lines]
        lines = [(start[5] % tuple(row)).rstrip(" ") for row in rows]
    lines = [above.get(number, "") + line for number, line in enumerate(lines)]
    return end.join(lines) + text[at:]


padded = delimited


def _raw_cells(text: str, at: int, separator: str, end: str) -> tuple[list[str], int]:
    cells = []
    while True:
        mark = re.escape(separator)
        quoted = re.compile(rf' *"(?:[^"]|"")*" *(?={mark}|{end}|\Z)').match(text, at)
        found = quoted or re.compile(rf"[^{mark}\n]*").match(text, at)
        assert found
        cell = found[0]
        if not quoted and end == "\r\n":
            cell = cell.removesuffix("\r")
        cells.append(cell)
        at += len(cell)
        if text[at : at + 1] != separator:
            return cells, at
        at += 1


def _bare(cell: str) -> Any:
    if cell in _LITERALS:
        return _LITERALS[cell]
    if cell == "absent":
        return ABSENT
    return Number(cell) if _NUMBER.fullmatch(cell) else cell


def _cell(text: str, at: int, *, is_text: bool) -> tuple[Any, int]:
    if text[at] in '"[{':
        return _value(text, at)
    found = _BARE.match(text, at)
    assert found
    if not found[0]:
        return MISSING, at
    return (found[0] if is_text else _bare(found[0])), found.end()


def _put(row: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        row = row.setdefault(part, {})
    row[path[-1]] = value
