"""Which compressors each kind of text goes through: the table is at the foot."""

from collections.abc import Mapping, Sequence

from proxy_pkg.compressors import gaps, json_strings
from proxy_pkg.compressors.alert_logs import ALERT_LOGS
from proxy_pkg.compressors.builds import BUILD
from proxy_pkg.compressors.configs import YAML
from proxy_pkg.compressors.contract import Compressor, Reducer
from proxy_pkg.compressors.delimited import DELIMITED
from proxy_pkg.compressors.delimited_rows import DELIMITED_ROWS
from proxy_pkg.compressors.detect import Kind, detect
from proxy_pkg.compressors.diff_context import DIFF_CONTEXT
from proxy_pkg.compressors.diff_repeats import DIFF_REPEATS
from proxy_pkg.compressors.diffs import DIFF
from proxy_pkg.compressors.findings import FINDINGS
from proxy_pkg.compressors.forged import is_forged
from proxy_pkg.compressors.go_events import GO_EVENTS
from proxy_pkg.compressors.go_test import GO_TEST
from proxy_pkg.compressors.json_rows import JSON_ROWS
from proxy_pkg.compressors.json_strings import Quoted
from proxy_pkg.compressors.json_table import JSON_TABLE
from proxy_pkg.compressors.json_text import JSON_TEXT
from proxy_pkg.compressors.json_wrapper import REST_CHARS, Peeled, peel
from proxy_pkg.compressors.lint import LINT
from proxy_pkg.compressors.listings import LISTING
from proxy_pkg.compressors.log_lines import LOG_LINES
from proxy_pkg.compressors.logs import LOGS
from proxy_pkg.compressors.markup import MARKUP
from proxy_pkg.compressors.numbered import NUMBERED
from proxy_pkg.compressors.opaque_lines import OPAQUE_LINES
from proxy_pkg.compressors.padded import PADDED
from proxy_pkg.compressors.padded_rows import PADDED_ROWS
from proxy_pkg.compressors.page_names import PAGE_NAMES
from proxy_pkg.compressors.page_text import PAGE_TEXT
from proxy_pkg.compressors.paths import PATHS
from proxy_pkg.compressors.printed import PRINTED
from proxy_pkg.compressors.reports import REPORTS
from proxy_pkg.compressors.ruled import RULED
from proxy_pkg.compressors.run_lines import RUN_LINES
from proxy_pkg.compressors.runners import RUNNERS
from proxy_pkg.compressors.search import SEARCH
from proxy_pkg.compressors.spelled import JSON_SPELLED, PYTHON
from proxy_pkg.compressors.terminal import TERMINAL
from proxy_pkg.compressors.terminal_lines import TERMINAL_LINES
from proxy_pkg.compressors.tree import TREE
from proxy_pkg.model import Grade, Producer

STRINGS_DEPTH_MAX = 3
"""Long strings in JSON are looked into, and those in JSON that they hold, so many times over."""
_EXACT = frozenset((Grade.INVERTIBLE,))


def run_chain(
    kind: str, text: str, grades: frozenset[Grade] = frozenset(Grade), *, unquotes: bool = False
) -> tuple[str, tuple[Compressor, ...]] | None:
    """Return `text` after the chain for `kind`, and the compressors that changed it in order; None if none did.

    Each step takes what the one before it left, and may find nothing to do. A kind without a row has an empty
    chain. What a tool put around its output stays as it is. Only steps of these `grades` are taken. With `unquotes`
    a JSON document around the output need not stay one: its text may stand below it, without escapes. Lines that
    look like our own headers or marks leave the text as it is.
    """
    if kind == Kind.JSON:
        return _run_json(text, grades, unquotes=unquotes)
    whole = peel(text)
    if is_forged(whole.body) or gaps.has_marks(whole.body):
        return None
    result, taken = _chained(kind, whole.body, grades)
    return _put_back(whole, result, taken, unquotes=unquotes)


def _run_json(
    text: str, grades: frozenset[Grade], *, unquotes: bool, depth: int = STRINGS_DEPTH_MAX
) -> tuple[str, tuple[Compressor, ...]] | None:
    """As `run_chain` for JSON: as one document, or what is in its strings if that is where its text is."""
    taken: tuple[Compressor, ...]
    outer = peel(text, is_quoted=False)
    if is_forged(outer.body) or gaps.has_marks(outer.body):
        return None
    whole = peel(text)
    if Grade.VALUE_EQUAL in grades and whole.is_quoted and whole.rest_chars_max <= REST_CHARS:
        result, taken = _chained(Kind.RECORDS, whole.body, grades)
        if taken:
            return _put_back(whole, result, taken, unquotes=unquotes)
    result, taken = _chained(Kind.JSON, outer.body, grades)
    in_place, strings = ("", ()) if whole.is_plain and taken else _with_shorter_strings(outer.body, grades, depth)
    if strings:
        table = JSON_TABLE.compress(in_place) if Grade.VALUE_EQUAL in grades else None
        in_place, strings = (in_place, strings) if table is None else (table, (*strings, JSON_TABLE))
        if len(in_place) < len(result):
            result, taken = in_place, strings
    return (outer.around(result), taken) if taken else None


def _with_shorter_strings(document: str, grades: frozenset[Grade], depth: int) -> tuple[str, tuple[Compressor, ...]]:
    """Return a JSON document in which long strings are written as their own kind is, and the steps that did it."""
    taken: dict[Compressor, None] = {}
    parts: list[str] = []
    at = 0
    for found in json_strings.long_ones(document) if depth else ():
        shorter = _shorter_string(found[0], grades, depth - 1)
        if shorter is not None:
            parts += [document[at : found.start()], shorter[0]]
            at = found.end()
            taken |= dict.fromkeys(shorter[1])
    return "".join([*parts, document[at:]]), tuple(taken)


def _shorter_string(literal: str, grades: frozenset[Grade], depth: int) -> tuple[str, tuple[Compressor, ...]] | None:
    read = json_strings.unquote(literal)
    if read is None:
        return None
    text, is_ascii = read
    kind = detect(text, Producer()).kind
    if kind == Kind.JSON:
        exact = Kind.RECORDS if Grade.VALUE_EQUAL in grades else kind
        shorter = run_chain(exact, text, grades) or _run_json(text, _EXACT, unquotes=False, depth=depth)
    else:
        shorter = run_chain(kind, text, grades)
    if shorter is None:
        return None
    result = json_strings.quote(shorter[0], is_ascii=is_ascii)
    return (result, shorter[1]) if len(result) < len(literal) else None


def _put_back(
    whole: Peeled, result: str, taken: tuple[Compressor, ...], *, unquotes: bool
) -> tuple[str, tuple[Compressor, ...]] | None:
    """Return `result` with its layers around it, and the steps that were taken; None if nothing changed."""
    for layer in reversed(whole.layers):
        result = layer.around(result)
        below = JSON_TEXT.compress(result) if unquotes and type(layer) is Quoted else None
        if below is not None:
            result, taken = below, (*taken, JSON_TEXT)
    return (result, taken) if taken else None


def reduce_and_run_chain(
    kind: str, text: str, wanted: Sequence[str]
) -> tuple[str, tuple[Compressor | Reducer, ...]] | None:
    """As `run_chain`, but on what the reducer for `kind` leaves of the output; None if it leaves everything."""
    whole = peel(text, is_quoted=kind != Kind.JSON)
    reducer = REDUCERS.get(kind)
    reduced = reducer.reduce(whole.body, wanted) if reducer is not None else None
    if reducer is None or reduced is None or is_forged(whole.body):
        return None
    result, taken = _chained(kind, reduced)
    return whole.around(result), (reducer, *taken)


def _chained(kind: str, text: str, grades: frozenset[Grade] = frozenset(Grade)) -> tuple[str, tuple[Compressor, ...]]:
    taken = []
    for compressor in CHAINS.get(kind, ()):
        if compressor.grade not in grades:
            continue
        shorter = compressor.compress(text)
        if shorter is not None:
            text = shorter
            taken.append(compressor)
    return text, tuple(taken)


_GRADES = list(Grade)


def weakest_grade(steps: tuple[Compressor | Reducer, ...]) -> Grade:
    """Return what the result of `steps`, at least one, still promises."""
    return max((step.grade for step in steps), key=_GRADES.index)


CHAINS: Mapping[str, tuple[Compressor, ...]] = {
    Kind.NUMBERED: (NUMBERED,),
    Kind.FILE: (),
    Kind.JSON: (JSON_TEXT, JSON_TABLE),
    Kind.RECORDS: (JSON_SPELLED,),
    Kind.PYTHON: (PYTHON,),
    Kind.TERMINAL: (
        TERMINAL,
        JSON_TABLE,
        DIFF,
        DIFF_REPEATS,
        FINDINGS,
        LINT,
        SEARCH,
        PATHS,
        LISTING,
        RUNNERS,
        BUILD,
        ALERT_LOGS,
        LOGS,
        DELIMITED,
        PADDED,
        RULED,
    ),
    Kind.DIFF: (DIFF, DIFF_REPEATS),
    Kind.MARKUP: (MARKUP, PAGE_NAMES),
    Kind.SEARCH: (SEARCH, REPORTS),
    Kind.PATHS: (PATHS,),
    Kind.TREE: (TREE,),
    Kind.LISTING: (LISTING,),
    Kind.RULED: (RULED,),
    Kind.DELIMITED: (DELIMITED,),
    Kind.PADDED: (PADDED,),
    Kind.GO_TEST: (GO_TEST, JSON_TABLE),
    Kind.LINT: (FINDINGS, LINT),
    Kind.BUILD: (RUNNERS, BUILD),
    Kind.LOG: (RUNNERS, ALERT_LOGS, LOGS),
    Kind.YAML: (YAML,),
    Kind.TOML: (),
    Kind.INI: (),
    Kind.OUTPUT: (PRINTED,),
    Kind.GENERATED: (PRINTED,),
    Kind.TEXT: (),
}
COMPRESSORS = tuple({compressor.name: compressor for chain in CHAINS.values() for compressor in chain}.values())
REDUCERS: Mapping[str, Reducer] = {
    Kind.JSON: JSON_ROWS,
    Kind.DELIMITED: DELIMITED_ROWS,
    Kind.PADDED: PADDED_ROWS,
    Kind.DIFF: DIFF_CONTEXT,
    Kind.MARKUP: PAGE_TEXT,
    Kind.TEXT: OPAQUE_LINES,
    Kind.OUTPUT: OPAQUE_LINES,
    Kind.LOG: LOG_LINES,
    Kind.BUILD: RUN_LINES,
    Kind.GO_TEST: GO_EVENTS,
    Kind.TERMINAL: TERMINAL_LINES,
}
"""What may leave lines or records out, by kind, at the level `balanced`."""
