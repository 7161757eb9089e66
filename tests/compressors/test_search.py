import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors.hits import looks_like
from proxy_pkg.compressors.search import compress
from tests.compressors.inverse_search import search

PATHS = st.sampled_from(
    ["src/a.py", "src/b/c.py", "src/b-2-/d.py", "Makefile", "/root/src/a.py", "C:\\x\\y.cs", "a b/c.go"]
)
TEXTS = st.sampled_from(
    ["", "x = 1", "    y: 2", "-", "--", "12:30", "7-8", "==", "== z", "a:3:b", "src/a.py:9:k", "\t\r"]
)
OTHERS = st.sampled_from(["--", "", "Binary file x matches", "== src", "[hits; ", "12:30", "src/a.py", "(truncated)"])
FORMS = {
    "numbered": lambda path, number, mark, text: f"{path}{mark}{number}{mark}{text}",
    "plain": lambda path, number, mark, text: f"{path}{mark}{text}",
    "one file": lambda path, number, mark, text: f"{number}{mark}{text}",
    "shortened where there is a colon": lambda path, number, mark, text: _claude(path, number, mark, text),
}


def _claude(path: str, number: int, mark: str, text: str) -> str:
    line = f"{path}{mark}{number}{mark}{text}"
    return line if ":" in line else "/home/me/project/" + line


@st.composite
def outputs(draw: st.DrawFn) -> str:
    """Return the output of a search of several files, some words of others mixed in."""
    form = FORMS[draw(st.sampled_from(sorted(FORMS)))]
    lines = []
    for path in draw(st.lists(PATHS, min_size=1, max_size=3)):
        number = draw(st.integers(1, 30))
        for text in draw(st.lists(TEXTS, min_size=1, max_size=14)):
            lines.append(form(path, number, draw(st.sampled_from(":--")), text))
            number += draw(st.sampled_from([1, 1, 1, 4]))
            if draw(st.integers(0, 12)) == 0:
                lines.append(draw(OTHERS))
    return "\n".join(lines * 3) + draw(st.sampled_from(["", "\n", "\n\n"]))


@given(outputs())
@settings(max_examples=200, deadline=None)
def test_the_inverse_gives_the_output_back(text: str) -> None:
    shorter = compress(text)
    if shorter is not None:
        assert search(shorter) == text
        assert compress(shorter) in (None, shorter)


@given(st.lists(st.tuples(PATHS, st.lists(TEXTS, min_size=1, max_size=9)), min_size=1, max_size=4), st.booleans())
@settings(max_examples=150, deadline=None)
def test_headings_come_back_with_their_blank_lines(files: list[tuple[str, list[str]]], found: bool) -> None:
    blocks = [path + "\n" + "\n".join(f"{n}{':-'[n % 2]}{t}" for n, t in enumerate(texts, 1)) for path, texts in files]
    text = "\n\n".join(["Found 3 files"] * found + blocks)
    shorter = compress(text)
    if shorter is not None:
        assert search(shorter) == text


def test_each_path_stands_once_and_context_has_no_numbers() -> None:
    given_text = (
        "src/cli/main.py-8-import os\nsrc/cli/main.py:9:import sys\n"
        "src/cli/main.py-10-\nsrc/cli/main.py-11-def run():\n"
        "--\nsrc/cli/report.py:40:import sys\nsrc/cli/report.py-41-import json\nsrc/cli/report.py-42-7: seven"
    )
    assert compress(given_text) == (
        "[hits by file (== path), paths start with src/cli/; unnumbered lines are context and count on]\n"
        "== main.py\n8-import os\n9:import sys\n10-\ndef run():\n--\n"
        "== report.py\n40:import sys\nimport json\n42-7: seven"
    )


def test_columns_stay_with_the_text() -> None:
    text = "".join(f"proxy/server/app.py:{n}:5: E501 line too long\n" for n in (3, 9, 14))
    assert compress(text) == (
        "[hits by file (== path)]\n== proxy/server/app.py\n3:5: E501 line too long\n9:5: E501 line too long\n"
        "14:5: E501 line too long\n"
    )


@given(outputs())
@settings(max_examples=150, deadline=None)
def test_every_hit_keeps_its_number_and_its_text(text: str) -> None:
    shorter = compress(text)
    if shorter is not None:
        kept = shorter.split("\n")
        for number, hit in re.findall(r"(?m)^(?:[^:\n]*[./\\][^:\n]*|Makefile):([0-9]+):(.*)$", text):
            assert any(line.endswith(f"{number}:{hit}") for line in kept)


@pytest.mark.parametrize(
    "text",
    [
        "10:11:12 start\n10:11:13 stop\n10:11:14 start\n",
        "2024-01-02T10:11:12 a\n2024-01-02T10:11:13 b\n2024-01-02T10:11:14 c\n",
        "2024/01/02 10:11:12 a\n2024/01/02 10:11:13 b\n2024/01/02 10:11:14 c\n",
        "2012-01-01,0.0\n2012-01-02,1.0\n2012-01-03,2.0\n",
        "Jan 12 10:11:12 host a\nJan 12 10:11:13 host b\nJan 12 10:11:14 host c\n",
        "name: a\nkind: b\nnote: c\n",
        "https://a.example: x\nhttps://b.example: y\nhttps://c.example: z\n",
        "12:a\n13:b\n14:c\n",
        "",
    ],
)
def test_what_only_looks_like_hits_is_left_alone(text: str) -> None:
    assert not looks_like(text)
    assert compress(text) is None
