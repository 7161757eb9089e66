import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors import gaps, json_table, json_text
from proxy_pkg.compressors.json_rows import OPAQUE_HEAD_CHARS, reduce
from tests.compressors import inverses
from tests.compressors.kept_records import has_only_records_of
from tests.compressors.test_json_table import LIKE, spell

COUNT = 600


def records(count: int = COUNT) -> list[dict[str, Any]]:
    return [
        {
            "id": number,
            "name": f"item {number * 7919 % 10_007}",
            "tags": ["a", "b"],
            "owner": {"login": f"u{number % 5}"},
        }
        for number in range(count)
    ]


def reduced(text: str, *wanted: str) -> Any:
    """The values of what is left, after the laws were looked at."""
    left = reduce(text, wanted)
    assert left is not None
    assert len(left) < len(text)
    assert has_only_records_of(text, left)
    assert reduce(left, wanted) is None
    table = json_table.compress(left)
    if table is not None:
        assert inverses.json_table(table) == inverses.json_values(left)
        assert reduce(table, wanted) is None
    return inverses.json_values(left)


def marks(values: Any) -> list[str]:
    return [value for value in values if isinstance(value, str) and gaps.read(value)]


def test_an_array_keeps_whole_records_and_marks_each_gap() -> None:
    left = reduced(json.dumps({"total": COUNT, "items": records()}))
    rows = [row for row in left["items"] if isinstance(row, dict)]
    assert 10 < len(rows) < COUNT // 2
    assert len(rows) + gaps.left_out(marks(left["items"])) == COUNT
    assert left["total"] == inverses.Number(COUNT)


def test_what_was_asked_for_stays_also_deep_inside_a_record() -> None:
    whole = [record | {"deep": {"er": [{"still": [f"k{number}x"]}]}} for number, record in enumerate(records())]
    left = reduced(json.dumps(whole), "k345x")
    assert any(row["id"] == inverses.Number(345) for row in left if isinstance(row, dict))


def test_json_lines_have_marks_between_them() -> None:
    left = reduced("\n".join(json.dumps(record) for record in records()) + "\n")
    assert isinstance(left, tuple)
    assert marks(left)


def test_a_map_of_like_objects_has_marks_for_keys() -> None:
    left = reduced(json.dumps({f"key-{number}": record for number, record in enumerate(records())}))
    assert all(left[mark] is None for mark in marks(left))
    assert marks(left)


def test_columns_of_one_length_lose_the_same_items() -> None:
    text = json.dumps(
        {"time": [f"2024-01-{n:05d}" for n in range(COUNT)], "value": [n * 37 % 101 for n in range(COUNT)]}
    )
    left = reduced(text)
    assert [gaps.read(mark) for mark in marks(left["time"])] == [gaps.read(mark) for mark in marks(left["value"])]
    assert len(left["time"]) == len(left["value"])


def test_arrays_of_arrays_and_of_numbers_lose_items() -> None:
    assert marks(reduced(json.dumps([[number, f"name {number}"] for number in range(COUNT)])))
    assert marks(
        reduced(json.dumps({"vector": [number * 7919 % 10_007 / 10_007 for number in range(COUNT)]}))["vector"]
    )


def test_opaque_strings_keep_their_start_and_words_stay() -> None:
    opaque = "iVBORw0KGgoAAAANSUhEUg" * 200
    words = "Words with blanks, not data; " * 200
    left = reduced(json.dumps({"image": opaque, "text": words, "page": "a/path/" * 200}))
    assert left["image"] == opaque[:OPAQUE_HEAD_CHARS] + f"[{len(opaque) - 64} characters left out: 65-{len(opaque)}]"
    assert left["text"] == words
    assert left["page"] == "a/path/" * 200


def test_json_inside_a_string_is_reduced_and_sent_as_a_table() -> None:
    text = json.dumps({"content": [{"type": "text", "text": json.dumps(records())}]})
    left = reduced(text)
    assert marks(inverses.json_values(left["content"][0]["text"]))
    shorter = json_text.compress(reduce(text, ()) or "")
    assert shorter is not None
    assert inverses.json_sent(shorter) == left


def test_few_records_small_ones_and_what_is_no_json_stay() -> None:
    assert reduce(json.dumps(records(11)), ()) is None
    assert reduce(json.dumps([{"a": number} for number in range(100)]), ()) is None
    assert reduce(json.dumps(records()) + "x", ()) is None
    assert reduce('{"a": 1, "a": 2}', ()) is None
    assert reduce("[" * 100_000, ()) is None


def test_a_text_with_marks_of_its_own_stays() -> None:
    assert reduce(json.dumps([gaps.mark(1, 9, "records"), *records()]), ()) is None
    assert reduce(json.dumps(["x", gaps.mark(1, 9, "records"), *records()]), ()) is None


@given(rows=LIKE, times=st.integers(2, 40), is_map=st.booleans())
@settings(max_examples=40, deadline=None)
def test_any_like_objects_keep_the_laws(rows: list[Any], times: int, is_map: bool) -> None:
    many = [row | {"n": inverses.Number(n)} for n, row in enumerate(rows * times)]
    text = spell({f"k{n}": row for n, row in enumerate(many)} if is_map else many)
    left = reduce(text, ())
    if left is not None:
        reduced(text)


MARKS = st.builds(gaps.mark, st.integers(1, 99), st.integers(1, 99), st.sampled_from(["records", "items"])).filter(
    gaps.read
)


@given(rows=LIKE, placed=st.lists(st.tuples(st.integers(0, 8), MARKS), max_size=5), is_map=st.booleans())
@settings(max_examples=40, deadline=None)
def test_tables_with_marks_anywhere_are_turned_back(
    rows: list[Any], placed: list[tuple[int, str]], is_map: bool
) -> None:
    value: Any = list(rows)
    for place, mark in placed:
        value.insert(place, mark)
    if is_map:
        value = {
            each if isinstance(each, str) else f"k{n}": None if isinstance(each, str) else each
            for n, each in enumerate(value)
        }
    table = json_table.compress(spell(value))
    if table is not None:
        assert inverses.json_table(table) == inverses.json_values(spell(value))
