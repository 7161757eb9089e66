import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors.json_text import compress
from tests.compressors import inverse_tables

SPELLINGS: list[dict[str, Any]] = [
    {"separators": (",", ":")},
    {},
    {"indent": 2},
    {"indent": 4},
    {"indent": 3},
    {"indent": "\t"},
    {"ensure_ascii": False, "indent": 2},
]
LISTING = 'total 12\ndrwxr-xr-x "a"\n\t…\\b\n' * 9


def returns(document: Any, **spelling: Any) -> str:
    text = json.dumps(document, **spelling)
    short = compress(text)
    assert short is not None
    assert inverse_tables.json_text(short) == inverse_tables.json_values(text)
    return short


def test_the_text_stands_as_it_is_below_the_rest() -> None:
    short = returns({"output": LISTING, "metadata": {"exit_code": 0, "seconds": 1.50}})
    assert short == f'[… in {{"output":…,"metadata":{{"exit_code":0,"seconds":1.5}}}} is the text below]\n{LISTING}'


@pytest.mark.parametrize("inner", SPELLINGS)
def test_json_in_json_returns_as_it_was_spelled(inner: dict[str, Any]) -> None:
    rows = [{"id": n, "name": f"é {n}", "at": [], "of": {}, "x": 1.0} for n in range(9)]
    short = returns([{"type": "text", "text": json.dumps({"total": 9, "rows": rows}, **inner)}])
    has_table = inner.get("indent") in (None, 2, 4) and inner.get("ensure_ascii") is False
    assert ("[9 rows: " in short) or not has_table


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=4), inside, max_size=4),
        max_leaves=12,
    ),
    st.sampled_from(SPELLINGS),
    st.text(max_size=5),
)
@settings(max_examples=100, deadline=None)
def test_values_return(value: Any, spelling: dict[str, Any], name: str) -> None:
    text = json.dumps({"a": 1, name: json.dumps([value, "\n" * 80], **spelling)})
    short = compress(text)
    if short is not None:
        assert inverse_tables.json_text(short) == inverse_tables.json_values(text)


@pytest.mark.parametrize(
    "document",
    [
        {"output": "short\n"},
        {"output": LISTING, "note": "… goes on"},
        {"output": LISTING, "again": LISTING},
        {"output": "plain words " * 30},
        [LISTING, LISTING + "x", LISTING + "y"],
    ],
)
def test_documents_that_are_not_one_text_are_left_alone(document: Any) -> None:
    assert compress(json.dumps(document)) is None


@pytest.mark.parametrize(
    "text", ["", "{", '{"a": "' + "\\n" * 90 + '"', '{"a":"' + "\\ud800\\n" * 90 + '"}', "[" * 100_000]
)
def test_what_is_no_document_is_left_alone(text: str) -> None:
    assert compress(text) is None
