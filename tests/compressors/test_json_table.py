import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors.json_table import DEPTH_MAX, compress
from tests.compressors import inverses

NAMES = st.sampled_from(
    ["id", "name", "a.b", "+", "", "x y", "in all", 'q"', "é", "n\n", "owner", "k=v", "1", "[3 rows: a"]
)
STRINGS = st.one_of(
    st.sampled_from(["", " ", "a, b", "x\ny", "\u2028", "\x7f", "C:\\x", "é", "😀", "2024-01-01"]),
    st.sampled_from(['"q"', "null", "true", "1", "1.0", "-", "1e5", "[1]", "{}", "]", "; in all: a=1", "a=b"]),
    st.text(max_size=6),
)
WORDS = st.sampled_from(
    [
        "2024-01-01",
        "2024-01-02",
        "a/b/c.py",
        "a/b/d.py",
        "https://e.org/",
        "absent",
        "as above",
        "{}",
        "{#}",
        "x or y",
        'f"a"',
        "# x",
        "+",
        "(a)",
        "12",
        "007",
        "KEY",
        "{id}",
        "]",
        "}",
        "name=1",
        " or ",
        "open",
        "open",
        "closed",
    ]
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
        # A name that looks like a table's header has the words that explain one put above.
        assert len(text) < 6 or "rows: " in text, "roomy JSON always has slack"


@st.composite
def records(draw: st.DrawFn) -> Any:
    """Draw rows whose columns repeat, come in runs, have holes, or are made from one another."""
    count = draw(st.integers(3, 20))
    pools = {name: draw(st.lists(SCALARS | WORDS, min_size=1, max_size=4)) for name in draw(st.sets(NAMES, min_size=1))}
    rows: list[dict[str, Any]] = []
    for number in range(count):
        row = {name: pool[number // 4 % len(pool)] for name, pool in pools.items()}
        row["id"] = f"{draw(WORDS)}{number}" if draw(st.integers(0, 9)) else draw(SCALARS)
        row["url"] = f"https://e.org/{row['id']}.x" if draw(st.integers(0, 4)) else draw(SCALARS | WORDS)
        row["title"] = f"{draw(st.sampled_from(['a', 'a', 'b']))}: {row['id']}"
        row["owner"] = draw(st.sampled_from([None, {}, {"id": row["id"]}, {"id": "x", "n": None}, {"z": 1}, "o"]))
        rows.append({name: value for name, value in row.items() if draw(st.integers(0, 7))})
    return rows if draw(st.booleans()) else {f"{number:03}": row for number, row in enumerate(rows)}


@given(records())
@settings(max_examples=100, deadline=None)
def test_values_of_records_return(value: Any) -> None:
    text = spell(value)
    short = compress(text)
    if short is not None:
        assert inverses.json_table(short) == inverses.json_values(text)


def test_an_array_of_like_objects_is_a_header_and_lines() -> None:
    rows = [{"id": n, "name": f"n {n}", "kind": "user", "at": {"x": n * 2}} for n in range(4)]
    short = returns(json.dumps({"total": 4, "items": rows}, indent=2))
    assert short == ('{"total":4,"items":[4 rows: id,name,(kind=user),at.x\n0,n 0,0\n1,n 1,2\n2,n 2,4\n3,n 3,6\n]}')


def test_missing_null_and_empty_differ() -> None:
    rows: list[dict[str, Any]] = [{"a": 1, "b": None}, {"a": 2, "b": ""}, {"a": 3}, {"a": 4, "b": "null"}]
    assert returns(json.dumps(rows)).split("\n")[1:5] == ["1,null", '2,""', "3", '4,"null"']


def test_an_empty_cell_means_what_the_header_says() -> None:
    rows: list[dict[str, Any]] = [{"id": n, "state": "closed" if n % 4 == 3 else "open"} for n in range(40)]
    rows[5]["state"] = ""
    del rows[7]["state"]
    short = returns(json.dumps(rows))
    assert short.startswith(
        '[In tables: "a or b" is b where the cell is empty]\n[40 rows: id,state or open\n0\n1\n2\n3,closed\n4\n'
    )
    assert '\n5,""\n6\n7,absent\n8\n' in short


def test_a_rare_value_stands_at_the_end_of_its_row_with_its_name() -> None:
    rows = [{"id": n, "state": "failed" if n == 9 else "ok", "size": n * 7} for n in range(20)]
    short = returns(json.dumps(rows))
    assert short.split("\n")[1:3] == ["[20 rows: id,size,+state or ok", "0,0"]
    assert "\n9,63,state=failed\n" in short


def test_runs_of_values_stand_above_their_rows() -> None:
    rows = [{"day": f"2024-05-{1 + n // 8:02}T{n % 8:02}:30Z", "host": "ab"[n // 12 % 2], "n": n} for n in range(24)]
    short = returns(json.dumps(rows))
    assert short.split("\n")[1:4] == ["[24 rows: day=2024-05-{#}T{}:30Z,(host={#}),n", "# 01,a", "00,0"]


def test_what_follows_from_another_column_stands_in_the_header() -> None:
    rows = [
        {
            "id": 1000 + n,
            "name": f"r{n * 31}",
            "url": f"https://e.org/r{n * 31}/{1000 + n}",
            "title": f"A{n % 4}: r{n * 31}",
        }
        for n in range(9)
    ]
    legend, header, first, *_ = returns(json.dumps(rows)).split("\n")
    assert "{a} the value of a" in legend
    assert header == "[9 rows: id,name,(url=https://e.org/{name}/{id}),title={}: {name}"
    assert first == "1000,r0,A0"


def test_objects_keyed_by_id_are_rows() -> None:
    users = {f"u{n * 7}": {"name": f"ann {n}", "age": n, "at": {"city": "Bern"}} for n in range(4)}
    short = returns(json.dumps({"users": users}))
    assert short.startswith('{"users":{4 rows: KEY,name,age,(at.city=Bern)\nu0,ann 0,0\nu7,ann 1,1\n')


def test_tables_stand_inside_cells() -> None:
    rows = [{"id": n, "parts": [{"name": f"p{n}{i}", "size": n + i} for i in range(5)]} for n in range(4)]
    short = returns(json.dumps(rows))
    assert short.startswith("[4 rows: id,parts\n0,[5 rows: name,size\np00,0\n")


def test_objects_inside_rows_may_be_null() -> None:
    rows = [{"id": n, "owner": {"name": f"x{n}", "site": "s"} if n % 3 else None} for n in range(9)]
    assert returns(json.dumps(rows)).startswith("[9 rows: id,owner,owner.name,owner.site\n0,null\n1,,x1,s\n")


@pytest.mark.parametrize("between", ["\n", "\r\n", "\n\n"])
def test_json_lines_are_rows(between: str) -> None:
    lines = [{"level": "info", "msg": f"started {n}", "at": n} for n in range(5)]
    short = returns(
        between.join(json.dumps(line, indent=(between == "\n\n" and 2) or None) for line in lines) + between
    )
    assert short.startswith("[5 JSON lines: (level=info),msg,at\nstarted 0,0\n")


def test_unlike_json_lines_stand_below_each_other() -> None:
    assert returns('{"a": 1}\n{"b": [2, 3]}\n[4]\n') == '{"a":1}\n{"b":[2,3]}\n[4]'


def test_numbers_keep_their_spelling() -> None:
    spellings = ["1.0", "1", "1e5", "1E5", "-0.0", "-0", "123456789012345678901234567890", "0.1000"]
    text = "[" + ", ".join(f'{{"value": {each}, "as text": "{each}", "x": [{each}]}}' for each in spellings) + "]"
    _, header, *lines, _ = returns(text).split("\n")
    assert header == '[8 rows: value,("as text"={value}),x'
    assert lines == [f"{each},[{each}]" for each in spellings]


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
    assert returns(json.dumps([{"a": 1, "b": "x"}] * 5)) == "[5 rows: a,(b=x)\n1\n1\n1\n1\n1\n]"


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
        '{"a": 1}{"b": 2}',
        '{"a": 1} {"b": 2} x',
        "[01, 2]",
        "[5 rows: a\n1\n2\n3\n4\n5\n]",
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
