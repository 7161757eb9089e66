"""Two arms are compared with an interval that holds the truth as often as it says, and never with too little data."""

from math import log
from random import Random

import pytest

from proxy_pkg.stats.comparison import CONVERSATIONS_MIN, compared, mean_of

Conversation = tuple[float, float]
"""Its cost in hundredths of a cent, its input in thousands of tokens."""


def sums(conversations: list[Conversation]) -> dict[str, int]:
    """The sums over whole conversations."""
    logs = [log(cost * 100 / (tokens * 1000)) for cost, tokens in conversations]
    log_sum, square_sum = round(sum(logs) * 1e6), round(sum(each * each for each in logs) * 1e6)
    return {
        "requests": 3 * len(conversations),
        "conversations": len(conversations),
        "cost": round(sum(cost for cost, _ in conversations)),
        "input": round(sum(tokens for _, tokens in conversations)),
        "log_rise": 5_000_000 + max(0, log_sum),
        "log_fall": 5_000_000 + max(0, -log_sum),
        "square_rise": 7_000_000 + square_sum,
        "square_fall": 7_000_000,
    }


def conversation(chance: Random, factor: float = 1.0, spread: float = 1.2) -> Conversation:
    """One as agents have them: few are very long, each turn sends all before again, and of that most is read from a
    cache but now and then is not. So long ones cost less for their input, and a few cost most of all.
    """
    turns = max(1, round(chance.lognormvariate(2.5, spread)))
    growth = chance.lognormvariate(1, 0.5)
    lengths = [20 + growth * turn for turn in range(turns)]
    read = sum(length * (0.1 if chance.random() < 0.95 else 1.25) for length in lengths)
    return 30 * factor * (read + growth * 1.25 * turns + chance.lognormvariate(1, 0.7) * turns), sum(lengths)


def drawn(chance: Random, count: int, factor: float = 1.0, spread: float = 1.2) -> dict[str, int]:
    return sums([conversation(chance, factor, spread) for _ in range(count)])


def test_without_a_hold_out_nothing_is_told() -> None:
    assert compared({}) == {}


def test_too_few_conversations_make_no_result() -> None:
    chance = Random(1)
    many, few = drawn(chance, 500), drawn(chance, CONVERSATIONS_MIN - 1)
    told = compared({"compressed": many, "held_out": few})
    assert told["result"] == f"not enough data: {CONVERSATIONS_MIN - 1} of {CONVERSATIONS_MIN} conversations in an arm"
    assert "difference_percent" not in told
    assert compared({"compressed": many})["arms"]["held_out"]["conversations"] == 0


def test_conversations_that_cost_alike_have_no_variance() -> None:
    assert mean_of(sums([(30 * n, n) for n in range(1, 50)])).variance < 1e-6


def test_a_clear_difference_is_found_in_its_units() -> None:
    chance = Random(2)
    told = compared({"compressed": drawn(chance, 1500, 0.8), "held_out": drawn(chance, 1500)})
    assert told["result"] == "compressed conversations cost less"
    low, high = told["interval_95_percent"]
    assert low < -20 < high < 0
    assert low < told["difference_percent"] < high


def test_a_cost_for_input_is_told_in_dollars_for_a_million() -> None:
    # 30 hundredths of a cent for a thousand tokens are 3 dollars for a million.
    told = compared({"held_out": sums([(30 * n, n) for n in range(1, 50)])})
    assert told["arms"]["held_out"]["cost_usd_per_million_input_tokens"] == 3.0


def test_compression_that_costs_more_is_told_so() -> None:
    chance = Random(3)
    told = compared({"compressed": drawn(chance, 400, 1.33), "held_out": drawn(chance, 400)})
    assert told["result"] == "compressed conversations cost more"


@pytest.mark.parametrize(("held_out", "compressed", "spread"), [(30, 30, 1.2), (30, 270, 1.5), (100, 300, 0.8)])
def test_the_interval_holds_the_truth_as_often_as_it_says(held_out: int, compressed: int, spread: float) -> None:
    """Of 400 draws with a fifth less cost, about 20 intervals miss that: between 6 and 40 in all but one of 10,000."""
    chance, missed = Random(4), 0
    for _ in range(400):
        told = compared(
            {"compressed": drawn(chance, compressed, 0.8, spread), "held_out": drawn(chance, held_out, 1.0, spread)}
        )
        low, high = told["interval_95_percent"]
        missed += not low <= -20 <= high
    assert 6 <= missed <= 40
