"""Cutting a body at value positions: exact where it is done, refused where in doubt."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.errors import ScanError
from proxy_pkg.wire.scan import _split_in_steps, _split_strict, locate, parse, split, text_at

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
)
ITEMS = st.lists(st.dictionaries(st.text(max_size=8), VALUES, max_size=4), max_size=5)


@given(
    before=st.dictionaries(st.text(max_size=5), VALUES, max_size=3),
    items=ITEMS,
    indent=st.sampled_from([None, 1]),
)
@settings(max_examples=150)
def test_the_parts_are_the_array_itself(before: dict, items: list, indent: int | None) -> None:
    before.pop("messages", None)
    body = json.dumps({**before, "messages": items, "stream": True}, indent=indent).encode()
    offset, parts = split(body, "messages")
    laid_out = b"".join(parts)
    assert body[offset : offset + len(laid_out)] == laid_out
    assert [json.loads(part.lstrip(b", \n\t\r")) for part in parts] == items
    assert body[offset - 1 : offset] == b"["


@given(items=ITEMS, indent=st.sampled_from([None, 2]), ascii_only=st.booleans())
@settings(max_examples=150)
def test_both_ways_find_the_same(items: list, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps({"a": [1], "messages": items, "z": {}}, indent=indent, ensure_ascii=ascii_only)
    body = text.encode("utf-8", "surrogatepass")
    assert _split_in_steps(body, "messages") == split(body, "messages")


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(max_examples=300)
def test_rubbish_raises_our_error_and_no_other(body: bytes) -> None:
    for work in (lambda: split(body, "messages"), lambda: parse(body), lambda: locate(body, [("a", 0)])):
        try:
            work()
        except ScanError:
            continue


@given(items=ITEMS, cut=st.integers(min_value=0, max_value=400))
@settings(max_examples=150)
def test_a_cut_body_raises_our_error(items: list, cut: int) -> None:
    body = json.dumps({"messages": items}).encode()
    if cut < len(body):
        with pytest.raises(ScanError):
            split(body[:cut], "messages")


TOLERATED = [
    (rb'{"messages":[{"content":"cut \ud83d"},{"a":1}],"z":1}', 2),
    (b'{"messages":[{"n":NaN},{"n":-Infinity}]}', 2),
    (b'{"messages":[{"n":' + b"9" * 5000 + b"}]}", 1),
    (b'{"messages":[{"tab":"a\tb"}]}', 1),
    (b'{"messages":[{"bad utf-8":"\xff\xfe"}]}', 1),
    (b'{"a":1,"a":2,"messages":[{"x":1,"x":2}]}', 1),
    (b' \n{ "messages" : [ ] , "z" : 1 } \n', 0),
]


@pytest.mark.parametrize(("body", "count"), TOLERATED)
def test_what_providers_may_accept_is_cut_all_the_same(body: bytes, count: int) -> None:
    offset, parts = split(body, "messages")
    assert len(parts) == count
    assert body[offset:].startswith(b"".join(parts))


REFUSED = [
    b"",
    b"[]",
    b'"messages"',
    b"\xef\xbb\xbf" + b'{"messages":[]}',
    b'{"messages":"a prompt"}',
    b'{"prompt":[{}]}',
    b'{"messages":[{}]',
    b'{"messages":[{}],}',
    b'{"messages":[{},]}',
    b'{"messages":[{} {}]}',
    b'{"messages":[{}]} trailing',
    b'{"messages":[{"a":1}],"messages":[{"b":2}]}',
    b'{"messages":[{"a":' + b"[" * 5000 + b"]" * 5000 + b"}]}",
    '{"messages":[{}]}'.encode("utf-16"),
]


@pytest.mark.parametrize("body", REFUSED)
def test_what_cannot_be_cut_for_certain_is_refused(body: bytes) -> None:
    with pytest.raises(ScanError):
        split(body, "messages")


def test_an_array_of_the_same_name_deeper_down_is_not_taken_for_it() -> None:
    body = b'{"metadata":{"messages":[{"a":1}]},"messages":[{"a":1}]}'
    offset, parts = split(body, "messages")
    assert offset == body.rindex(b"[") + 1
    assert parts == [b'{"a":1}']


def test_two_keys_with_equal_arrays_are_cut_at_the_first_or_refused() -> None:
    body = b'{"messages":[{"a":1}],"x":2,"messages":[{"a":1}]}'
    offset, _ = _split_strict(body, "messages")
    assert offset == body.index(b"[") + 1
    with pytest.raises(ScanError):
        _split_in_steps(body, "messages")


@given(value=st.dictionaries(st.text(max_size=6), VALUES, max_size=5), indent=st.sampled_from([None, 3]))
@settings(max_examples=150)
def test_a_path_leads_to_the_value_it_names(value: dict, indent: int | None) -> None:
    element = json.dumps(value, indent=indent).encode()
    paths = [(key,) for key in value]
    paths += [(key, inner) for key, held in value.items() if isinstance(held, dict) for inner in held]
    paths += [(key, index) for key, held in value.items() if isinstance(held, list) for index in range(len(held))]
    inner_first = [path for path in paths if not any(other[: len(path)] == path for other in paths if other != path)]
    found = locate(element, inner_first)
    for path in inner_first:
        start, end = found[path]
        expected = value[path[0]] if len(path) == 1 else value[path[0]][path[1]]
        assert json.loads(element[start:end]) == expected


def test_a_path_that_leads_nowhere_is_left_out() -> None:
    assert locate(b'{"a":{"b":1}}', [("a", "c"), ("x",), ("a", "b", "c")]) == {}


def test_a_key_twice_on_a_path_is_refused_and_beside_it_is_not() -> None:
    with pytest.raises(ScanError):
        locate(b'{"a":"1","a":"2"}', [("a",)])
    assert locate(b'{"b":1,"a":"2","b":3}', [("a",)]) == {("a",): (11, 14)}


def test_escaped_keys_are_the_same_keys() -> None:
    assert split(rb'{"m\u0065ssages":[{"a":1}]}', "messages")[1] == [b'{"a":1}']
    assert locate(rb'{"\u0061":"x"}', [("a",)]) == {("a",): (10, 13)}


def test_parse_reads_lone_surrogates_and_long_numbers() -> None:
    assert parse(rb'{"a":"\ud83d"}') == {"a": "\ud83d"}
    assert parse(b'{"a":' + b"1" * 6000 + b',"b":NaN}')["a"] is not None


@given(
    items=ITEMS,
    within=st.lists(st.sampled_from(["request", "contents", "é", ""]), max_size=3),
    indent=st.sampled_from([None, 1]),
)
@settings(max_examples=100)
def test_an_array_inside_objects_is_cut_as_one_at_the_top(items: list, within: list[str], indent: int | None) -> None:
    body: object = {"a": [items], "contents": items, "z": {"contents": [1]}}
    for key in reversed(within):
        body = {key + "<": {"contents": [0]}, key: body, key + ">": 1}
    data = json.dumps(body, indent=indent).encode()
    offset, parts = split(data, *within, "contents")
    assert data[offset:].startswith(b"".join(parts))
    assert [json.loads(part.lstrip(b", \n\t\r")) for part in parts] == items
    assert _split_in_steps(data, *within, "contents") == (offset, parts)


@pytest.mark.parametrize(
    "body",
    [
        b'{"contents":[{}]}',
        b'{"request":[{"contents":[]}]}',
        b'{"request":null}',
        b'{"request":{"contents":{}}}',
        b'{"request":{"contents":[]}',
        b'{"request":{"contents":[]}}}',
        b'{"request":{"contents":[]},}',
        b'{"request":{"contents":[NaN]},"request":{"contents":[1]}}',
        b'{"request":{"contents":[1]},"request":{"contents":[2]}}',
        b'{"request":{"contents":[1]},"request":{}}',
        b'{"request":{"contents":[NaN],"contents":[]}}',
    ],
)
def test_a_nested_array_that_is_in_doubt_is_refused(body: bytes) -> None:
    with pytest.raises(ScanError):
        split(body, "request", "contents")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"model":"m"}', "m"),
        (b'{"messages":[{"model":"inner"}],"model":"m","stream":true}', "m"),
        (rb'{"messages":["\ud83d"],"model":"m"}', "m"),
        (b'{"model":"a","model":"b"}', "b"),
        (b'{"model":"a","n":NaN,"model":"b"}', "b"),
        (b'{"model":1}', ""),
        (b'{"model":null}', ""),
        (b"[]", ""),
        (b"", ""),
        (b'{"model":"m"', ""),
        (b"\xff", ""),
    ],
)
def test_the_text_at_a_key_is_read_whatever_else_is_in_the_body(body: bytes, text: str) -> None:
    assert text_at(body, "model") == text


@pytest.mark.parametrize("body", [b'{"a":[12],"a":[1,2]}', b'{"a":[1 ],"a":[1,2]}', b'{"a":[{}],"a":[{},{}]}'])
def test_a_key_that_stands_twice_is_never_cut_at_the_wrong_one(body: bytes) -> None:
    with pytest.raises(ScanError):
        split(body, "a")


@pytest.mark.parametrize("head", [b"", b'"s":"%s",' % (b"x[{" * 50_000), b'"n":[%s1],' % (b"123, " * 30_000)])
@pytest.mark.parametrize("size", [10, 3 << 20])
def test_a_large_body_is_cut_where_a_small_one_is(head: bytes, size: int) -> None:
    elements = [b'{"t":"%s"}' % (b"y" * size), b' ,\n{"u":1}', b",[2]"]
    body = b"{" + head + b'"a": [' + b"".join(elements) + b' ], "z":"%s"}' % (b"z" * 100_000)
    assert split(body, "a") == (len(head) + 7, elements)
