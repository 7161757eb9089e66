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
