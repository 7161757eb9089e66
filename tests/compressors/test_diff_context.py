"""Of a diff only context and index lines go, each run counted where it stood."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors.diff_context import reduce
from proxy_pkg.compressors.diff_repeats import compress as repeated
from proxy_pkg.compressors.diffs import compress
from tests.compressors.inverse_diffs import diff_repeats, lost_context_only
from tests.compressors.inverse_search import diff
from tests.compressors.test_diffs import OTHERS, files

CHANGED = ("+", "-", "@@", "diff ", "rename ", "\\", "new file", "deleted file")
TEXT = """commit 12ab34cd
    Say what is new
    and what is not

diff --git a/src/app/server.py b/src/app/server.py
index 12ab34c..56de78f 100644
--- a/src/app/server.py
+++ b/src/app/server.py
@@ -7,8 +7,7 @@ import sys
 def listen(host: str, port: int) -> None:
     bound = bind(host, port)
     if not bound:
-        raise ListenError(port)
-
+        raise ListenError(host, port)
     while True:
         accept(bound)
\x20
@@ -90,3 +89,4 @@ class Server:
     timeout_ms = 300
     backlog = 128
+    reuse = True
     name = "server"
--\x20
2.40.0
"""


def test_context_goes_and_every_change_stays() -> None:
    assert (
        reduce(TEXT, ())
        == """[10 context and index lines left out: "[3]" stands for 3 of them]
commit 12ab34cd
    Say what is new
    and what is not

diff --git a/src/app/server.py b/src/app/server.py
[1]
--- a/src/app/server.py
+++ b/src/app/server.py
@@ -7,8 +7,7 @@ import sys
[3]
-        raise ListenError(port)
-
+        raise ListenError(host, port)
[3]
@@ -90,3 +89,4 @@ class Server:
[2]
+    reuse = True
[1]
--\x20
2.40.0
"""
    )


def test_context_that_was_asked_for_stays() -> None:
    reduced = reduce(TEXT, ("backlog",))
    assert reduced is not None
    assert "\n[1]\n     backlog = 128\n+    reuse = True\n[1]\n" in reduced


def test_lengths_of_hunks_are_counted_with_what_was_left_out() -> None:
    text = TEXT.replace("-8,7 +7,7", "-7,8 +7,7") * 8
    reduced = reduce(text, ())
    assert reduced is not None
    shorter = compress(reduced)
    assert shorter is not None
    assert "\n@@ -7 +7 @@ import sys\n[3]\n" in shorter
    assert diff(shorter) == reduced


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_nothing_but_context_is_lost_and_the_lossless_form_can_be_undone(data: st.DataObject) -> None:
    lines: list[str] = []
    for _ in range(data.draw(st.integers(1, 4))):
        lines += data.draw(files("a/", "b/"))
        lines += [data.draw(OTHERS)] * (data.draw(st.integers(0, 9)) == 0)
    text = "\n".join(lines * 6)
    reduced = reduce(text, ("same", "x")[: data.draw(st.integers(0, 2))])
    if reduced is None:
        return
    assert len(reduced) < len(text)
    assert lost_context_only(text, reduced)
    assert [line for line in reduced.split("\n") if line.startswith(CHANGED)] == [
        line for line in text.split("\n") if line.startswith(CHANGED)
    ]
    assert reduce(reduced, ()) is None
    shorter = compress(reduced)
    assert shorter is None or diff(shorter) == reduced


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace(" and what is not", " and what is not\n[1]"),
        TEXT.replace("@@ -", "@@@ -").replace("index ", "Index "),
        "\n".join(line for line in TEXT.split("\n") if not line.startswith((" ", "index "))),
        "no diff at all\n" * 99,
    ],
)
def test_a_doubtful_diff_or_one_without_context_stays(text: str) -> None:
    assert reduce(text, ()) is None


def test_hunks_that_come_again_are_shown_once() -> None:
    hunk = "@@ -1 +1,12 @@\n-import os\n+import sys\n" + "".join(f"+from pathlib import Path{n}\n" for n in range(11))
    text = "".join(f"diff --git a/{n}.py b/{n}.py\n--- a/{n}.py\n+++ b/{n}.py\n{hunk}" for n in range(9))
    shorter = repeated(text)
    assert shorter is not None
    assert shorter.count("import Path7") == 1
    assert diff_repeats(shorter) == text
    assert repeated(shorter) is None
    assert compress(shorter) is None
