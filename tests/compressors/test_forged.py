"""Whatever headers and marks of ours a text imitates, what is sent for it can be turned back."""

import json
from pathlib import Path

import pytest

from bench.compression_decode import decode
from proxy_pkg.compressors.forged import is_forged
from proxy_pkg.compressors.json_wrapper import peel
from proxy_pkg.compressors.table import CHAINS, run_chain, weakest_grade
from proxy_pkg.model import Verdict
from tests.compressors.forgery import CASES, MARKS, forged

SENT = sorted(CASES.glob("*/*/out.txt"))


def problems(count: int, seed: int) -> list[str]:
    """The promises that forms of forged texts broke."""
    found = []
    for text in forged(count, seed):
        for kind in CHAINS:
            done = run_chain(kind, text)
            if done is not None:
                names = "+".join(step.name for step in done[1])
                found.append(decode(text, Verdict("smaller", kind, names, weakest_grade(done[1]), done[0])).problem)
    assert found
    return [problem for problem in found if problem]


def test_no_forged_text_is_read_as_another() -> None:
    assert problems(1500, seed=11) == []


@pytest.mark.parametrize("path", SENT, ids=lambda path: f"{path.parts[-3]}/{path.parts[-2]}")
def test_what_was_sent_is_left_alone_when_it_comes_again(path: Path) -> None:
    """An agent may print a text that was sent to it; a second form above the first could not be read."""
    body = peel(path.read_bytes().decode()).body
    if is_forged(body):
        assert all(run_chain(kind, body) is None for kind in CHAINS)


HEADERS = [mark for mark in MARKS if mark.lstrip()[0] in "[{" and "…" not in mark[:4] and "left out: " not in mark]
OTHERS = ["[2024-05-01 10:00:00] INFO a", "[INFO] 3 rows", '["a", "b"]', "[x] done", "[1/9] Building a.o"]


@pytest.mark.parametrize("mark", HEADERS)
def test_a_line_like_a_header_is_found_wherever_it_stands(mark: str) -> None:
    assert is_forged(mark)
    assert is_forged(f"a\n{mark}\nb")
    assert not is_forged(f"a {mark} b")


@pytest.mark.parametrize("line", OTHERS)
def test_brackets_of_other_texts_are_no_headers(line: str) -> None:
    assert not is_forged(f"{line}\n{line}")


def test_how_rows_were_printed_is_found_inside_a_line() -> None:
    assert is_forged("a [rows printed '%s'; lines without tab are as they were]")


def test_a_json_document_with_such_a_cell_takes_no_form() -> None:
    rows = [{"id": number, "note": "as it came"} for number in range(20)]
    assert run_chain("json", json.dumps(rows)) is not None
    rows[7]["note"] = "a [rows printed '%s']"
    assert run_chain("json", json.dumps(rows)) is None
