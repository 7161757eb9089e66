"""Events of go test as lines: each can be spelled again, and what is no event stays."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors import go_test
from tests.compressors.inverse_go_test import go_test as inverse

TIMES = st.sampled_from(["", "2024-05-01T10:00:01.5Z", "2024-05-01T10:00:02Z", "2024-05-01T10:01:02.123456789-04:00"])
OUTPUTS = st.sampled_from(
    ["=== RUN   TestA\n", "--- FAIL: TestA (0.00s)\n", 'a\tb <c> & "d" \\e\n', "no end", "{\n", "\n"]
)
FIELDS = st.fixed_dictionaries(
    {"Time": TIMES, "Action": st.sampled_from(["run", "output", "pass", "build-output"])},
    optional={
        "Package": st.sampled_from(["", "example.org/a", "example.org/b", "a b"]),
        "Test": st.sampled_from(["TestA", "TestB/<sub>", "=="]),
        "Elapsed": st.sampled_from([0, 0.01, 1e-05]),
        "Output": OUTPUTS | st.text(max_size=5),
        "FailedBuild": st.just("example.org/a"),
    },
)
OTHERS = st.sampled_from(["", "FAIL\texample.org/a", " indented", "{broken", "@", "== x", "{}", "\r"])


def event(fields: dict[str, object]) -> str:
    """Return the event as Go spells it."""
    spelled = json.dumps({key: value for key, value in fields.items() if value != ""}, ensure_ascii=False)
    spelled = spelled.replace('": ', '":').replace(', "', ',"')
    for char in "<>&":
        spelled = spelled.replace(char, f"\\u{ord(char):04x}")
    return spelled


@given(st.lists(FIELDS.map(event) | OTHERS, min_size=1, max_size=20).map("\n".join))
@settings(max_examples=150, deadline=None)
def test_the_inverse_returns_every_line(text: str) -> None:
    short = go_test.compress(text)
    if short is not None:
        assert inverse(short) == text


def test_events_read_as_what_they_print() -> None:
    times = ("2024-05-01T10:00:01.5Z", "2024-05-01T10:00:01.6Z", "2024-05-01T10:00:02Z")
    actions = (
        {"Action": "run"},
        {"Action": "output", "Output": "=== RUN   TestA\n"},
        {"Action": "pass", "Elapsed": 0.5},
    )
    text = "\n".join(
        event({"Time": time, "Action": action["Action"], "Package": "example.org/a", "Test": "TestA", **action})
        for time, action in zip(times, actions, strict=True)
    )
    short = go_test.compress(text)
    assert short is not None
    assert short.split("\n")[1:] == [
        "@2024-05-01T10:00:…Z",
        "== example.org/a",
        "-- TestA",
        "01.5 run",
        "01.6|=== RUN   TestA",
        "02 pass 0.5",
    ]
    assert go_test.looks_like(text)


def test_other_json_lines_are_not_taken_for_events() -> None:
    text = "\n".join(['{"Action":"buy","Price":3}'] * 9)
    assert go_test.compress('{"time":1}\n' + text) is None
    assert not go_test.looks_like('{"Action": "buy"}\n{"Action": "sell"}\n{"Action": "buy"}')
