"""Two arms are compared with an interval that holds the truth as often as it says, and never with too little data."""

from random import Random

from proxy_pkg.stats.comparison import CONVERSATIONS_MIN, compared, ratio_of

NAMES = ("requests", "conversations", "cost", "cost_square", "input", "input_square", "cost_input")


def sums(conversations: list[tuple[int, int]]) -> dict[str, int]:
    """The sums over (cost, input) of whole conversations."""
    return {
        "requests": 3 * len(conversations),
        "conversations": len(conversations),
        "cost": sum(cost for cost, _ in conversations),
        "cost_square": sum(cost * cost for cost, _ in conversations),
        "input": sum(tokens for _, tokens in conversations),
        "input_square": sum(tokens * tokens for _, tokens in conversations),
        "cost_input": sum(cost * tokens for cost, tokens in conversations),
    }


def drawn(chance: Random, count: int, price: float) -> list[tuple[int, int]]:
    """Conversations of very different lengths, whose cost for their input varies by a third."""
    lengths = [round(chance.lognormvariate(5, 1)) + 1 for _ in range(count)]
    return [(max(1, round(length * price * chance.uniform(0.67, 1.33))), length) for length in lengths]


def test_without_a_hold_out_nothing_is_told() -> None:
    assert compared({}) == {}


def test_too_few_conversations_make_no_result() -> None:
    chance = Random(1)
    many, few = sums(drawn(chance, 500, 30)), sums(drawn(chance, CONVERSATIONS_MIN - 1, 30))
    told = compared({"compressed": many, "held_out": few})
    assert told["result"] == f"not enough data: {CONVERSATIONS_MIN - 1} of {CONVERSATIONS_MIN} conversations in an arm"
    assert "difference_percent" not in told
    assert compared({"compressed": many})["arms"]["held_out"]["conversations"] == 0


def test_a_ratio_without_spread_has_no_variance() -> None:
    assert ratio_of(sums([(30 * n, n) for n in range(1, 50)])).variance < 1e-12


def test_a_clear_difference_is_found_in_its_units() -> None:
    chance = Random(2)
    told = compared({"compressed": sums(drawn(chance, 400, 24)), "held_out": sums(drawn(chance, 400, 30))})
    assert told["result"] == "compressed conversations cost less"
    assert -25 < told["difference_percent"] < -15
    # 30 hundredths of a cent for a thousand tokens are 3 dollars for a million.
    assert 2.9 < told["arms"]["held_out"]["cost_usd_per_million_input_tokens"] < 3.1
    low, high = told["interval_95_usd_per_million_input_tokens"]
    assert low < -0.6 < high < 0


def test_compression_that_costs_more_is_told_so() -> None:
    chance = Random(3)
    told = compared({"compressed": sums(drawn(chance, 200, 40)), "held_out": sums(drawn(chance, 200, 30))})
    assert told["result"] == "compressed conversations cost more"


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Of 400 draws without a difference, about 20 find one by chance: between 6 and 40 in all but one of 10,000."""
    chance = Random(4)
    found = [
        compared({"compressed": sums(drawn(chance, 80, 30)), "held_out": sums(drawn(chance, 60, 30))})["result"]
        for _ in range(400)
    ]
    assert 6 <= sum(result != "no difference beyond chance" for result in found) <= 40
