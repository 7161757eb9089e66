"""What can still be read in what is sent, and whether each step of compression kept its promise.

Nothing is taken on trust: each step that a verdict names is run again, and its result is turned back by an inverse
that the tests have from the documented form. A text is looked into only after that.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from bench.processes import ROOT
from proxy_pkg.compressors import asked, gaps
from proxy_pkg.compressors.contract import Compressor, Reducer
from proxy_pkg.compressors.detect import Kind
from proxy_pkg.compressors.json_wrapper import peel
from proxy_pkg.compressors.table import COMPRESSORS, REDUCERS
from proxy_pkg.model import Grade, Producer, Verdict
from tests.compressors import inverses
from tests.compressors.inverse_diffs import lost_context_only
from tests.compressors.inverse_layers import reads_as
from tests.compressors.inverse_lines import lines
from tests.compressors.inverse_tables import json_values
from tests.compressors.kept_records import has_only_records_of
from tests.compressors.page import held
from tests.compressors.page_runs import has_only_runs_of
from tests.compressors.screen import seen

_UNKNOWN = Producer()

Inverse = Callable[[str], Any]
Check = Callable[[str, str], bool]

_DECODING_ERRORS = (AssertionError, ValueError, LookupError, AttributeError, TypeError, RecursionError)


class Decoded(Struct, frozen=True):
    """What a reader has: a text, or the values of a JSON text. `problem` says which promise was broken, if any."""

    value: Any
    problem: str = ""


def decode(before: str, verdict: Verdict, producer: Producer = _UNKNOWN) -> Decoded:
    """What a reader of `verdict.text`, sent in place of `before`, a result of `producer`, can know of it."""
    if verdict.text is None:
        return Decoded(before)
    found = _replayed(before, verdict.text, verdict, producer)
    # Strings inside JSON go through chains of their own, which cannot be run again one after another.
    if found.problem and reads_as(before, verdict.text):
        return Decoded(values(before) if verdict.grade is Grade.VALUE_EQUAL else before)
    return found


def _replayed(before: str, sent: str, verdict: Verdict, producer: Producer) -> Decoded:
    whole = peel(before, is_quoted=verdict.kind != Kind.JSON)
    value, after_reducer = None, False
    text = whole.body
    wanted = asked.terms(producer.arguments, producer.question)
    for name in verdict.compressor.split("+"):
        step = STEPS.get(name)
        shorter = step.reduce(text, wanted) if isinstance(step, Reducer) else step.compress(text) if step else None
        if step is None or shorter is None:
            return Decoded(sent, f"{name} does not give again what was sent")
        problem, undone = _undo(step, text, shorter)
        if problem:
            return Decoded(undone, problem)
        if value is None or after_reducer:
            value = undone
        after_reducer = isinstance(step, Reducer)
        text = shorter
    if whole.around(text) != sent:
        return Decoded(sent, f"{verdict.compressor} does not give again what was sent")
    return Decoded(whole.around(value) if isinstance(value, str) else value)


def broken_promise(step: Compressor | Reducer, before: str, after: str) -> str:
    """Which promise `step` broke when it wrote `after` for `before`; empty if it kept all of them."""
    return _undo(step, before, after)[0]


def _undo(step: Compressor | Reducer, before: str, after: str) -> tuple[str, Any]:
    """The promise that a step broke, if any, and what a reader makes of its result."""
    if isinstance(step, Reducer):
        keeps = KEEPS.get(step.name, has_only_lines_of)
        return ("" if keeps(before, after) else f"{step.name} adds, changes or reorders what it keeps"), after
    check = CHECKS.get(step.name)
    if check is not None:
        return ("" if check(before, after) else f"{step.name} changes more than it may"), after
    inverse = INVERSES.get(step.name)
    if inverse is None:
        return f"{step.name} has no inverse in the tests", after
    try:
        undone = inverse(after)
    except _DECODING_ERRORS as error:
        return f"the inverse of {step.name} fails: {type(error).__name__} {error!s:.60}", after
    if undone == before or (step.grade is Grade.VALUE_EQUAL and undone == values(before)):
        return "", undone
    return f"the inverse of {step.name} gives something else", undone


def values(text: str) -> Any:
    """The values of a JSON text with numbers as they are spelled; equal to nothing where it is no JSON."""
    try:
        return json_values(text)
    except (ValueError, RecursionError):
        return object()


def has_only_lines_of(before: str, after: str) -> bool:
    """Whether the lines of `after` are those of `before`, in order, and each mark names just the lines that went."""
    lines, at = before.split("\n"), 0
    for line in after.split("\n"):
        gap = gaps.read(line)
        if gap is not None:
            if gap[0] != at + 1:
                return False
            at = gap[1]
        elif at < len(lines) and lines[at] == line:
            at += 1
        else:
            return False
    return at == len(lines)


def same_on_screen(before: str, after: str) -> bool:
    """Whether a terminal shows the same, line by line, blanks at the end of lines apart."""
    return list(map(seen, before.split("\n"))) == list(map(seen, after.split("\n")))


def same_page(before: str, after: str) -> bool:
    """Whether two HTML or XML texts have the same elements, attributes, words and comments."""
    return held(before) == held(after)


def _named() -> dict[str, Inverse]:
    """The functions in the tests' files of inverses that are named like a compressor."""
    stems = sorted(path.stem for path in (ROOT / "tests/compressors").glob("inverse*.py"))
    modules = [importlib.import_module(f"tests.compressors.{stem}") for stem in stems]
    names = {name: name.replace("-", "_") for name in STEPS}
    return {name: getattr(module, its) for name, its in names.items() for module in modules if hasattr(module, its)}


_STEPS: tuple[Compressor | Reducer, ...] = (*COMPRESSORS, *REDUCERS.values())
STEPS: Mapping[str, Compressor | Reducer] = {step.name: step for step in _STEPS}
FOLDING = ("lint", "printed", "build", "logs", "page-names")
"""Compressors that share one form, and so one inverse."""
INVERSES: Mapping[str, Inverse] = dict.fromkeys(FOLDING, lines) | _named() | inverses.INVERSES
"""By compressor: what gives back the text, or its values."""
CHECKS: Mapping[str, Check] = {"terminal": same_on_screen, "markup": same_page}
"""By compressor without an inverse: whether `before` and `after` are the same to a reader."""
KEEPS: Mapping[str, Check] = {
    "diff-context": lost_context_only,
    "page-text": has_only_runs_of,
    "json-rows": has_only_records_of,
}
"""By reducer whose units are not lines: whether all it keeps is the input's, in order, and all that went is marked."""
