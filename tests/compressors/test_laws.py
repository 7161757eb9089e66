"""The laws of compressors/contract.py, for every compressor in the table, on hostile and on real texts."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.compressors.detect import Kind, detect
from proxy_pkg.compressors.json_wrapper import peel
from proxy_pkg.compressors.table import CHAINS, COMPRESSORS, run_chain, weakest_grade
from proxy_pkg.model import Grade, Producer

CASES = Path(__file__).parent.parent / "cases" / "compressors"
REAL = {str(path.relative_to(CASES)): path for path in sorted(CASES.glob("*/*/*.txt"))}
ALL = pytest.mark.parametrize("compressor", COMPRESSORS, ids=lambda compressor: compressor.name)

PIECES = st.one_of(
    st.sampled_from(["     1→a\n     2→b\n     3→c\n", " 12\t", "1→", "[every 10th line numbered]\n"]),
    st.sampled_from(["\n", "\r", "\r\n", "\b", "\x1b[31m", "\x1b[K", "\x1b", "10%", "\u2028", "\x0c", "\x00"]),
    st.sampled_from(['{"a": 1}', "[", "]", "{", "}", ",", ", ", '"', ":", "[3 rows: a\n", "😀", "漢", "e\u0301"]),
    st.sampled_from(["src/a.py:1:x\n", "src/a.py-2-\n", "src/a.py:y\n", "7:a\n8-b\n", "--\n", "== a\n", "src/b.c\n"]),
    st.sampled_from(["diff --git a/x b/x\n", "--- a/x\n+++ b/x\n", "@@ -1 +1 @@\n-a\n+b\n", "diff x\n", "rename to\n"]),
    st.sampled_from(["<html>", "<p  id='a'>", "</p>", "<!--x-->", "<pre>", "<script>", "<?xml ?>", "  ", "&gt;"]),
    st.sampled_from(["2024-05-01 10:00 INFO a b c\n" * 6, "a/b.py:1:1: E501 x\n" * 5, "[…]\n", " [block 1 again]\n"]),
    st.sampled_from(["-rw-r--r-- 1 a b 9 Nov  1 10:00 x\n" * 5, "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 5]),
    st.sampled_from(["test_a (a.T.test_a) ... ok\n" * 5, "/a/b.ts:\n" + "  Line 1: x\n" * 4, "[5 ls rows: a"]),
    st.sampled_from(["10:00:00 ERROR a: b\n" * 5, "items:\n" + "- a: 1\n  b:\n    c: 2\n" * 9, "├─┼─┤\n", "[printed"]),
    st.sampled_from(['{"Action":"run","Test":"T"}\n' * 4, "tests/a.py::t PASSED\n" * 5, "collected 5 items\n"]),
    st.text(max_size=5),
)
TEXTS = st.lists(PIECES, max_size=20).map("".join)


def _wide(count: int) -> str:
    return "{" + ", ".join(f'"{n}": {n}' for n in range(count)) + "}"


HOSTILE = {
    "numbers": lambda size: "".join(f"{n:6d}→x\n" for n in range(size // 9)),
    "the same number": lambda size: "     1→x\n" * (size // 9),
    "digits": lambda size: "1" * size,
    "blanks": lambda size: " " * size,
    "newlines": lambda size: "\n" * size,
    "returns": lambda size: "\r" * size + "x",
    "returns and backspaces": lambda size: "x\r\b" * (size // 3),
    "progress": lambda size: "10%\r" * (size // 4) + "11%",
    "escapes": lambda size: "\x1b[" * (size // 2),
    "open titles": lambda size: "\x1b]" * (size // 2),
    "erasures": lambda size: "a" * (size // 2) + "\x1b[1K" * (size // 8),
    "brackets": lambda size: "[" * size,
    "quotes": lambda size: '["' + '\\"' * (size // 2) + '", 1]',
    "small objects": lambda size: "[" + '{"a": "b c  "}, ' * (size // 16) + "{}]",
    "like objects": lambda size: "[" + '{"a": "b c"}, ' * (size // 14) + '{"a": 1}]',
    "wide objects": lambda size: "[" + ", ".join([_wide(size // 36)] * 3) + "]",
    "objects without a common key": lambda size: "[" + ", ".join(f'{{"{n}": {n}}}' for n in range(size // 16)) + "]",
    "slashes": lambda size: "/" * size + " a.py:1:x",
    "paths as long as lines": lambda size: "a/" * (size // 2) + ":1:x\n" + "a/" * 9,
    "hits": lambda size: "src/a.py:1:x\n" * (size // 13),
    "hits of as many files": lambda size: "".join(f"src/{n}.py:1:x\nsrc/{n}.py-2-y\n" for n in range(size // 28)),
    "dashes and numbers": lambda size: "a.py:1:x\n" * 9 + ("a-1-" * 200 + "\n") * (size // 801),
    "paths": lambda size: "".join(f"/srv/app/{n % 99}/{n}.py\n" for n in range(size // 18)),
    "diff headers": lambda size: "diff --git a/x b/x\nindex 1..2\n" * (size // 31),
    "hunk headers": lambda size: "--- a\n+++ b\n" + "@@ -1 +1 @@\n" * (size // 12),
    "open tags": lambda size: "<html>" + "<a" * (size // 2),
    "open attributes": lambda size: "<html>" + '<a b="' * (size // 6),
    "open comments": lambda size: "<html>" + "<!--" * (size // 4),
    "one comment": lambda size: "<html>" + "<!--a--> \n" * (size // 10),
    "tags in tags": lambda size: "<html>" + "<a <a <a " * (size // 9),
    "scripts in attributes": lambda size: "<html>" + '<a t="<script>" ' * (size // 16),
    "tags around scripts in attributes": lambda size: "<html>" + '<a t="<script>">x ' * (size // 18),
    "empty log lines": lambda size: "2024-05-01 10:00:00 INFO a\n" * 9 + "\n" * size,
    "open scripts": lambda size: "<html>" + "<script>" * (size // 8),
    "elements": lambda size: "<html>" + "<li   class='a'>x  &gt;</li>\n\n" * (size // 30),
    "log lines": lambda size: "".join(f"2024-05-01 10:00:{n % 60:02d} INFO app: item {n}\n" for n in range(size // 40)),
    "the same log line": lambda size: "2024-05-01 10:00:00 INFO app: item\n" * (size // 36),
    "log lines that share more and more": lambda size: "".join(
        "2024-05-01 10:00:00 " + "a " * (n % 120) + "b\n" for n in range(size // 140)
    ),
    "log lines of errors": lambda size: "2024-05-01 10:00:00 ERROR: x\n" * (size // 29),
    "cycles of log lines": lambda size: "".join(
        f"10:00:{n % 37:02d} a\n" if n % 1000 else f"10:{n}:00 b\n" for n in range(size // 11)
    ),
    "one long log line": lambda size: "2024-05-01 10:00:00 INFO\n" * 9 + "error " * (size // 6),
    "phrases without digits": lambda size: "2024-05-01 10:00 INFO\n" * 9 + "ab " * 400 + "x" * size,
    "findings": lambda size: "".join(f"src/{n % 50}/a.py:{n}:1: E501 Line too long\n" for n in range(size // 36)),
    "events of go": lambda size: '{"Action":"output","Test":"T","Output":"a\\tb\\n"}\n' * (size // 50),
    "passing tests": lambda size: "collected 9 items\n" + "tests/a.py::test_a PASSED  [ 11%]\n" * (size // 34),
    "entries of a directory": lambda size: "".join(
        f"-rw-r--r-- {n % 9} app app {n} Nov 21 10:{n % 60:02d} {n}\n" for n in range(size // 44)
    ),
    "directories": lambda size: "\n".join(f"./{n}:\n-rw-r--r-- 1 a b {n} Nov 21 10:00 x" for n in range(size // 44)),
    "bars": lambda size: "|" * size,
    "bars and rules": lambda size: "| a | b |\n|---|---|\n" * (size // 20),
    "a drawn table": lambda size: "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * (size // 10),
    "rules": lambda size: "-+" * (size // 2),
    "reported hits": lambda size: "/srv/a.ts:\n  Line 1: x\n" * (size // 23),
    "tests that passed": lambda size: "test_a (a.T.test_a) ... ok\n" * (size // 27),
    "errors at all times": lambda size: "".join(
        f"2024-05-01 10:{n // 60 % 60:02d}:{n % 60:02d} ERROR [w-{n % 7}] app: item {n}\n" for n in range(size // 48)
    ),
    "tests in suites": lambda size: "  Cart\n    ✓ adds (9 ms)\n    ✓ x|7\n" * (size // 36),
    "steps of a build": lambda size: "".join(f"[{n}/9] Building a/{n % 99}.o\n" for n in range(size // 24)),
    "tests of ctest": lambda size: "".join(
        f"      Start {n}: a{n}\n{n}/9 Test #{n}: a{n} ...   Passed    0.01 sec\n" for n in range(size // 64)
    ),
    "findings under paths": lambda size: "/srv/a.ts\n  1:1  error  a b  c\n  2:1  error  d  e\n" * (size // 53),
    "a finding without end": lambda size: "  1:1  error  a b  c\n" * 9 + "  1:1  error  " + "a  " * (size // 3),
    "keys": lambda size: "a:\n  b: 1\n  c: 2\n" * (size // 17),
    "nested objects": lambda size: "[" + ",".join(['{"a":' * 30 + "1" + "}" * 30] * (size // 181)) + "]",
}


def compressed(compressor: Compressor, text: str) -> str:
    shorter = compressor.compress(text)
    assert shorter is None or len(shorter) < len(text)
    return text if shorter is None else shorter


@ALL
@given(text=TEXTS)
@settings(max_examples=150, deadline=None)
def test_never_raises_never_longer_idempotent(compressor: Compressor, text: str) -> None:
    once = compressed(compressor, text)
    assert compressed(compressor, once) == once


@pytest.mark.parametrize("kind", CHAINS)
@given(text=TEXTS)
@settings(max_examples=60, deadline=None)
def test_a_chain_says_which_steps_took_part(kind: Kind, text: str) -> None:
    done = run_chain(kind, text)
    if done is not None:
        result, steps = done
        assert steps
        whole = peel(text, is_quoted=kind != Kind.JSON)
        body = whole.body
        for step in steps:
            body = compressed(step, body)
        assert result == whole.around(body)


def test_a_chain_promises_what_its_weakest_step_does() -> None:
    done = run_chain(Kind.TERMINAL, '\x1b[1m[{"a": 1}, {"a": 2}, {"a": 3}]\x1b[0m')
    assert done is not None
    result, steps = done
    assert result == "[3 rows: a\n1\n2\n3\n]"
    assert [step.name for step in steps] == ["terminal", "json-table"]
    assert weakest_grade(steps) == Grade.PRESENTATION


def digest() -> str:
    """Return a hash over everything that the real cases are compressed to."""
    total = hashlib.sha256()
    for path in REAL.values():
        text = path.read_bytes().decode()
        for compressor in COMPRESSORS:
            total.update(repr(compressor.compress(text)).encode())
        found = detect(text, Producer())
        result, steps = run_chain(found.kind, text) or ("", ())
        total.update(repr((found.kind, found.why, result, [step.name for step in steps])).encode())
    return total.hexdigest()


@pytest.mark.parametrize("seed", ["0", "7"])
def test_pure_in_another_process_with_another_hash_seed(seed: str) -> None:
    there = subprocess.run(
        [sys.executable, "-c", "import test_laws; print(test_laws.digest())"],
        env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.strip() == digest()


@ALL
@pytest.mark.parametrize("name", REAL)
def test_real_texts_keep_the_laws(compressor: Compressor, name: str) -> None:
    once = compressed(compressor, REAL[name].read_bytes().decode())
    assert compressed(compressor, once) == once
