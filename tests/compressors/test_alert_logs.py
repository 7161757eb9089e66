import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors.alert_logs import compress
from tests.compressors.inverse_records import records

TIMES = st.sampled_from(
    ["2024-05-01 10:00:{:02d},123", "[2024-05-01T10:00:{:02d}Z]", "May  1 10:00:{:02d}", "10:00:{:02d}"]
)
LEVELS = st.sampled_from(["ERROR", "WARN ", "FATAL", "error:", "[error]"])
TEXTS = st.sampled_from(["refused", "  at a.b(C.java:7)", "id=7, retry\tnow", "", "# x", "a | b; c", "¦"])


@given(TIMES, st.lists(st.tuples(st.integers(0, 59), LEVELS, TEXTS) | TEXTS, min_size=4, max_size=24))
@settings(max_examples=300, deadline=None)
def test_every_byte_returns(time: str, drawn: list[tuple[int, str, str] | str]) -> None:
    lines = [one if isinstance(one, str) else f"{time.format(one[0])} {one[1]} app: {one[2]}" for one in drawn]
    text = "\n".join(lines)
    short = compress(text)
    if short is not None:
        assert records(short) == text
        assert compress(short) is None


def failing(count: int, level: str = "ERROR") -> str:
    return "".join(
        f"2024-05-01 10:{n // 60:02d}:{n % 60:02d},{n * 37 % 1000:03d} {level:5s} [worker-{n % 4}] billing.gateway - "
        f"charge {n * 7919} refused: card {n * 31 % 97} expired\n"
        for n in range(count)
    )


@pytest.mark.parametrize("level", ["ERROR", "WARN", "FATAL"])
def test_times_and_sources_stand_once_and_messages_word_for_word(level: str) -> None:
    text = failing(60, level)
    short = compress(text)
    assert short is not None
    assert records(short) == text
    assert len(short) < 0.6 * len(text)
    for line in text.splitlines():
        assert line.partition(" - ")[2] + "\n" in short


def test_stack_traces_between_errors_stay() -> None:
    frame = "\tat org.example.Till.pay(Till.java:7), retried; see | ops\n"
    text = failing(12) + frame + failing(12, "WARN") + frame
    short = compress(text)
    assert short is not None
    assert short.count(frame) == 2
    assert records(short) == text


@pytest.mark.parametrize(
    "text", ["", failing(3), failing(40, "INFO").replace("refused", "paid"), "ERROR\n" * 40, "no log at all\n" * 40]
)
def test_other_logs_are_left_to_other_forms(text: str) -> None:
    assert compress(text) is None
