"""The law "its grade holds" for every compressor in the table, and whether this law finds what it should.

`bench/compression_decode.py` has the inverse of each compressor, or the check of what it keeps. Here they meet every
real case, edits of those cases, and compressors that were broken on purpose.
"""

import random
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from bench.compression_decode import CHECKS, INVERSES, KEEPS, broken_promise
from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.compressors.json_wrapper import peel
from proxy_pkg.compressors.table import CHAINS, COMPRESSORS, REDUCERS
from proxy_pkg.model import Grade

CASES = Path(__file__).parents[1] / "cases"
EDITS = 120
FIRED_MIN = 12
FOUND_SHARE_MIN = 0.9
ALL = pytest.mark.parametrize("compressor", COMPRESSORS, ids=lambda compressor: compressor.name)

ODD_LINES = (
    "",
    " ",
    "\t",
    "…",
    "x" * 300,
    "[3 rows: a",
    " [block 1 again]",
    "== a",
    "漢字 😀",
    '"',
    "\\",
    "1→",
    ",,,",
    "|",
)

Edit = Callable[[list[str], random.Random], None]


def _texts() -> Mapping[str, list[str]]:
    """For each compressor the texts that it makes shorter: cases, and what earlier steps of a chain leave of them."""
    found: dict[str, dict[str, None]] = {compressor.name: {} for compressor in COMPRESSORS}
    for path in sorted(CASES.rglob("*.txt")):
        if path.name == "out.txt":
            continue
        whole = path.read_bytes().decode("utf-8", "replace")
        for body in (peel(whole, is_quoted=False).body, peel(whole).body):
            for chain in CHAINS.values():
                text = body
                for step in chain:
                    shorter = step.compress(text)
                    if shorter is not None:
                        found[step.name][text] = None
                        text = shorter
    return {name: list(texts) for name, texts in found.items()}


TEXTS = _texts()


def test_every_entry_has_an_inverse_or_a_check() -> None:
    assert {compressor.name for compressor in COMPRESSORS} <= INVERSES.keys() | CHECKS.keys()
    assert not INVERSES.keys() & CHECKS.keys()
    assert {each.name for each in COMPRESSORS if each.grade is Grade.INVERTIBLE} <= INVERSES.keys()
    assert KEEPS.keys() <= {reducer.name for reducer in REDUCERS.values()}


@ALL
def test_its_grade_holds_on_every_case(compressor: Compressor) -> None:
    assert TEXTS[compressor.name], "no case has a text for it"
    for text in TEXTS[compressor.name]:
        assert broken_promise(compressor, text, compressor.compress(text) or text) == ""


def _drop(lines: list[str], at: random.Random) -> None:
    del lines[at.randrange(len(lines))]


def _repeat(lines: list[str], at: random.Random) -> None:
    index = at.randrange(len(lines))
    lines[index:index] = [lines[index]] * at.randint(1, 5)


def _swap(lines: list[str], at: random.Random) -> None:
    one, other = at.randrange(len(lines)), at.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]


def _renumber(lines: list[str], at: random.Random) -> None:
    index = at.randrange(len(lines))
    lines[index] = re.sub(r"[0-9]", lambda _: str(at.randrange(10)), lines[index], count=at.randint(1, 4))


def _cut(lines: list[str], at: random.Random) -> None:
    index = at.randrange(len(lines))
    lines[index] = lines[index][: at.randrange(len(lines[index]) + 1)]


def _insert(lines: list[str], at: random.Random) -> None:
    lines.insert(at.randrange(len(lines) + 1), at.choice(ODD_LINES))


def _shorten(lines: list[str], at: random.Random) -> None:
    start = at.randrange(len(lines))
    del lines[start : start + at.randint(1, 1 + len(lines) // 4)]


EDITS_OF_LINES: tuple[Edit, ...] = (_drop, _repeat, _swap, _renumber, _cut, _insert, _shorten)


def _edited(text: str, at: random.Random) -> str:
    lines = text.split("\n")
    for _ in range(at.randint(1, 4)):
        at.choice(EDITS_OF_LINES)(lines, at)
        if not lines:
            return text
    return "\n".join(lines)


@ALL
def test_its_grade_holds_on_edited_cases(compressor: Compressor) -> None:
    at, fired = random.Random(compressor.name), 0
    for _ in range(EDITS):
        text = _edited(at.choice(TEXTS[compressor.name]), at)
        shorter = compressor.compress(text)
        if shorter is not None:
            fired += 1
            assert broken_promise(compressor, text, shorter) == "", text
    assert fired >= FIRED_MIN, "most edits leave nothing to do, so that this shows little"


def _without_last_row(form: str) -> str:
    lines = form.rstrip("\n").split("\n")
    return "\n".join(lines[:-1]) + form[len(form.rstrip("\n")) :]


def _with_another_number(form: str) -> str:
    *_, last = re.finditer(r"[0-9]", form)
    digit = str((int(last[0]) + 1) % 10)
    return form[: last.start()] + digit + form[last.end() :]


def _with_two_lines_swapped(form: str) -> str:
    lines = form.split("\n")
    pairs = range(len(lines) - 1, 0, -1)
    index = next(at for at in pairs if "" not in lines[at - 1 : at + 1] and lines[at] != lines[at - 1])
    lines[index - 1], lines[index] = lines[index], lines[index - 1]
    return "\n".join(lines)


MUTANTS: Mapping[str, Callable[[str], str]] = {
    "drops the last row": _without_last_row,
    "changes a number": _with_another_number,
    "swaps two lines": _with_two_lines_swapped,
}


@pytest.mark.parametrize("fault", MUTANTS)
@ALL
def test_a_compressor_that_breaks_its_promise_is_found(compressor: Compressor, fault: str) -> None:
    def broken(text: str) -> str | None:
        form = compressor.compress(text)
        return None if form is None else MUTANTS[fault](form)

    mutant = replace(compressor, compress=broken)
    tried = found = 0
    for text in TEXTS[compressor.name]:
        try:
            form = mutant.compress(text)
        except (ValueError, StopIteration):  # the form has no number, or no two lines to swap
            continue
        assert form is not None
        tried += 1
        found += broken_promise(mutant, text, form) != ""
    assert tried, "no case has a form that this fault can change"
    # A mark that ends something where the text ends is not missed by a reader.
    assert found >= FOUND_SHARE_MIN * tried
