import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors.detect import Kind, detect
from proxy_pkg.model import Producer

NOBODY = Producer()
READER = Producer("Read", {"file_path": "a.py"})


def lines(form: str, texts: list[str]) -> str:
    return "\n".join(form % number + text for number, text in enumerate(texts, 1))


@pytest.mark.parametrize(
    ("text", "producer", "kind"),
    [
        (lines("%6d→", ["a", "b", "c", "d"]), NOBODY, Kind.NUMBERED),
        (lines("%6d\t", ["a", "b", "c", "d"]), NOBODY, Kind.NUMBERED),
        (lines("%05d| ", ["a", "b", "c", "d"]), NOBODY, Kind.NUMBERED),
        (lines("L%d: ", ["a", "b", "c", "d"]), NOBODY, Kind.NUMBERED),
        (lines("%d: ", ["a", "b", "c", "d"]), READER, Kind.NUMBERED),
        (lines("%d: ", ["a", "b", "c", "d"]), NOBODY, Kind.TEXT),
        (lines("%d\t", ["ann", "bob", "cyd", "dan"]), NOBODY, Kind.TEXT),
        (lines("%3d | ", ["ann | 3", "bob | 4", "cyd | 5", "dan | 6"]), NOBODY, Kind.TEXT),
        ('{"a": 1}', READER, Kind.FILE),
        ('{"a": 1}', NOBODY, Kind.JSON),
        (' \n[{"a": 1}]\r\n', NOBODY, Kind.JSON),
        ("\x1b[32mok\x1b[0m", NOBODY, Kind.TERMINAL),
        ("\x1b[32mok\x1b[0m", READER, Kind.FILE),
        (" 5%\r10%\r\n", NOBODY, Kind.TERMINAL),
        ("a\r\nb\r\n", NOBODY, Kind.TEXT),
        ("2024-05-01 10:00:00 INFO started\n" * 5, NOBODY, Kind.LOG),
        ("[2024-05-01 10:00:00] app.INFO: started {}\n" * 5 + "}", NOBODY, Kind.LOG),
        ("Nov  3 09:23:38 host sshd[7]: session opened\n" * 5, NOBODY, Kind.LOG),
        ("    at org.example.Till.pay(Till.java:7)\n" * 5, NOBODY, Kind.LOG),
        ('[{"time": "2024-05-01 10:00:00"},\n {"time": "2024-05-01 10:00:01"}]', NOBODY, Kind.JSON),
        ("<!doctype html>\n<pre>\n" + lines("%4d→", ["a", "b", "c"]) + "</pre></html>", NOBODY, Kind.MARKUP),
        ("src/a.ts(3,5): error TS2322: no such type\n" * 5, NOBODY, Kind.LINT),
        ("a.py:3: error: Incompatible types  [assignment]\n" * 5, NOBODY, Kind.LINT),
        ("src/main.c:3:5: warning: unused variable\n" * 5, NOBODY, Kind.LINT),
        ("src/a.py:3:5: E501 Line too long\n" * 5, READER, Kind.FILE),
        ("tests/a.py::test_a PASSED\n" * 5, NOBODY, Kind.BUILD),
        ("running 2 tests\ntest a ... ok\ntest b ... ok\n", NOBODY, Kind.BUILD),
        ('{"Action":"run","Test":"TestA"}\n' * 5, NOBODY, Kind.GO_TEST),
        ("src/a.py:3:x\nsrc/a.py-4-y\nsrc/b.py:9:z\n", NOBODY, Kind.SEARCH),
        ("src/a.py:3:x\nsrc/a.py-4-y\nsrc/b.py:9:z\n", READER, Kind.FILE),
        ("7-a\n8:b\n9:c\n10:d\n11-e\n", Producer("bash", {"command": "grep -n -C1 x a.py"}), Kind.SEARCH),
        ("".join(f"src/cli/{name}.py\n" for name in "abcdef"), NOBODY, Kind.PATHS),
        (".\n├── a\n├── b\n├── c\n├── d\n└── e\n", NOBODY, Kind.TREE),
        ("diff --git a/x b/x\nindex 1..2\n", NOBODY, Kind.DIFF),
        ("HTTP/1.1 200 OK\r\nServer: x\r\n\r\n<!doctype html><p>a", NOBODY, Kind.MARKUP),
        ("day,count\n" + "2024-05-01,7\n" * 9, NOBODY, Kind.DELIMITED),
        ("NAME    READY   AGE\n" + "web-1   1/1     3d\n" * 9, NOBODY, Kind.PADDED),
        ("total 8\n" + "-rw-r--r-- 1 app app 120 Nov 21 10:02 a.py\n" * 5, NOBODY, Kind.LISTING),
        (" id | name\n----+------\n" + "  1 | ann\n" * 5 + "(5 rows)\n", NOBODY, Kind.RULED),
        ("words\n" * 9 + "| a | b |\n|---|---|\n" + "| 1 | x |\n" * 4, NOBODY, Kind.RULED),
        ("words\n" * 9 + "| a | b |\n|---|---|\n" + "| 1 | x |\n" * 4, READER, Kind.FILE),
        ("Found 3 matches\n/a/b.ts:\n  Line 1: x\n  Line 2: y\n  Line 9: z\n", NOBODY, Kind.SEARCH),
        ("test_a (t.T.test_a) ... ok\n" * 5, NOBODY, Kind.BUILD),
        ("items:\n" + "- name: a\n  spec:\n    image: b\n" * 5, NOBODY, Kind.YAML),
        ('[package]\nname = "a"\nversion = "1"\nedition = "2021"\n\n[features]\nx = []\ny = 1\n', NOBODY, Kind.TOML),
        ("[mysqld]\nport=3306\nsocket=/tmp/s\n[client]\nport=3306\nuser=app\n", NOBODY, Kind.INI),
        ("", NOBODY, Kind.TEXT),
    ],
)
def test_kinds(text: str, producer: Producer, kind: Kind) -> None:
    found = detect(text, producer)
    assert found.kind == kind
    assert found.why


@given(st.text(max_size=60), st.text(max_size=12), st.dictionaries(st.text(max_size=8), st.integers() | st.text()))
@settings(max_examples=200, deadline=None)
def test_any_text_of_any_producer_has_a_kind(text: str, name: str, arguments: dict[str, object]) -> None:
    assert detect(text, Producer(name, arguments)).kind in Kind
