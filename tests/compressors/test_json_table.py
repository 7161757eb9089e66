import json
from typing import Any

from tests.compressors import inverses
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors.json_table import DEPTH_MAX, compress

NAMES = st.sampled_from(
    ["id", "name", "a.b", "+", "", "x y", "in all", 'q"', "é", "n\n", "owner", "k=v", "1", "[3 rows: a"]
)
STRINGS = st.one_of(
    st.sampled_from(["", " ", "a, b", "x\ny", "\u2028", "\x7f", "C:\\x", "é", "😀", "2024-01-01"]),
    st.sampled_from(['"q"', "null", "true", "1", "1.0", "-", "1e5", "[1]", "{}", "]", "; in all: a=1", "a=b"]),
    st.text(max_size=6),
)
SPELLINGS = st.sampled_from(["0", "-0", "1.0", "1", "1e5", "1E+5", "-0.0", "123456789012345678901234567890", "0.10"])
SCALARS = st.one_of(st.none(), st.booleans(), STRINGS, SPELLINGS.map(inverses.Number))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
LIKE = st.dictionaries(NAMES, VALUES, min_size=1, max_size=5).flatmap(
    lambda row: st.lists(
        st.one_of(
            st.just(row),
            st.fixed_dictionaries(dict.fromkeys(row, VALUES)),
            st.dictionaries(NAMES, VALUES),
        ),
        min_size=3,
        max_size=7,
    )
)


def spell(value: Any, indent: str = "\n") -> str:
    """Write `value` as roomy JSON, each number as it is spelled."""
    if type(value) is inverses.Number:
        return str(value)
    if isinstance(value, list):
        return "[" + ",".join(f"{indent} {spell(each, indent + ' ')}" for each in value) + indent + "]"
    if isinstance(value, dict):
        pairs = (f"{indent} {json.dumps(name)} : {spell(each, indent + ' ')}" for name, each in value.items())
        return "{" + ",".join(pairs) + indent + "}"
    return json.dumps(value)


def returns(text: str) -> str:
    """Compress `text`, check that its values return, and give the compressed text."""
    short = compress(text)
    assert short is not None
    assert inverses.json_table(short) == inverses.json_values(text)
    return short


@given(st.one_of(LIKE, VALUES.map(lambda value: [value]), st.dictionaries(NAMES, LIKE | VALUES, min_size=1)))
@settings(max_examples=60, deadline=None)
def test_values_return(value: Any) -> None:
    text = spell(value)
    short = compress(text)
    if short is not None:
        assert inverses.json_table(short) == inverses.json_values(text)
    else:
        assert len(text) < 6, "roomy JSON always has slack"


def test_an_array_of_like_objects_is_a_header_and_lines() -> None:
    rows = [{"id": n, "name": f"n {n}", "kind": "user", "at": {"x": n * 2}} for n in range(4)]
    short = returns(json.dumps({"total": 4, "items": rows}, indent=2))
    assert short == (
        '{"total":4,"items":[4 rows: id,name,at.x; in all: kind=user\n0,n 0,0\n1,n 1,2\n2,n 2,4\n3,n 3,6\n]}'
    )


def test_missing_null_and_empty_differ() -> None:
    rows = [{"a": 1, "b": None}, {"a": 2, "b": ""}, {"a": 3}, {"a": 4, "b": "null"}] * 2
    assert returns(json.dumps(rows)).split("\n")[1:5] == ["1,null", '2,""', "3,", '4,"null"']


def test_numbers_keep_their_spelling() -> None:
    spellings = ["1.0", "1", "1e5", "1E5", "-0.0", "-0", "123456789012345678901234567890", "0.1000"]
    text = "[" + ", ".join(f'{{"value": {each}, "text": "{each}"}}' for each in spellings) + "]"
    assert returns(text).split("\n")[1:-1] == [f'{each},"{each}"' for each in spellings]


def test_keys_that_few_rows_have_stand_at_the_end_of_the_row() -> None:
    rows: list[dict[str, Any]] = [{"id": n} for n in range(9)]
    rows[4]["error"] = "disk, full"
    short = returns(json.dumps(rows))
    assert short.startswith("[9 rows: id,+\n")
    assert '\n4,{"error":"disk, full"}\n' in short


def test_like_objects_inside_unlike_ones_are_tables() -> None:
    groups = [{f"group {n}": [{"name": f"x{i}", "size": i} for i in range(9)]} for n in range(3)]
    assert returns(json.dumps(groups)).count("[9 rows: name,size\n") == 3


def test_pretty_printing_goes() -> None:
    assert compress('{\n  "a": [1, 2,\r\n 3],\n  "b": {}\n}\n') == '{"a":[1,2,3],"b":{}}'


def test_rows_that_are_all_the_same_keep_a_cell() -> None:
    assert returns(json.dumps([{"a": 1, "b": "x"}] * 5)) == "[5 rows: a; in all: b=x\n1\n1\n1\n1\n1\n]"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "[]",
        '{"a":1}',
        "[1, 2",
        '{"a": 1, "a": 1}',
        '[{"a": 1, "a": 2}, {"a": 1}, {"a": 1}]',
        "[NaN, 1]",
        "[-Infinity,  1]",
        '["\\ud800", 1]',
        '{"a": 1} {"b": 2}',
        "[01, 2]",
        '"text"  ',
        "[ 12 ]x",
        "[" * 200_000,
        "[ " * (DEPTH_MAX + 1) + "]" * (DEPTH_MAX + 1),
        '{ "a":' * 900 + "1" + "}" * 900,
    ],
)
def test_what_is_not_plain_json_is_left_alone(text: str) -> None:
    assert compress(text) is None


def test_the_deepest_document_allowed_is_written() -> None:
    assert returns("[ " * (DEPTH_MAX - 1) + "1" + "]" * (DEPTH_MAX - 1)).startswith("[[[")
