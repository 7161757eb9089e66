"""The two ways to save tokens that need no thought: what they keep of a text at a budget.

A text is a row of units (lines, or records of a JSON array), each with its cost in tokens.
"""

from collections.abc import Callable, Sequence
from random import Random

Keep = Callable[[Sequence[int], int, Random], bytearray]
"""Costs of the units, budget in tokens, chance -> one byte for each unit, 1 where it is kept."""


def head_and_tail(costs: Sequence[int], budget: int, _: Random) -> bytearray:
    """Keep half of the budget from the start and half from the end."""
    kept = bytearray(len(costs))
    for order in (range(len(costs)), range(len(costs) - 1, -1, -1)):
        left = budget / 2
        for unit in order:
            left -= costs[unit]
            if left < 0:
                break
            kept[unit] = 1
    return kept


def random_units(costs: Sequence[int], budget: int, chance: Random) -> bytearray:
    """Keep units picked at random until the budget is spent; one that does not fit is passed over."""
    kept = bytearray(len(costs))
    for unit in chance.sample(range(len(costs)), len(costs)):
        if costs[unit] <= budget:
            budget -= costs[unit]
            kept[unit] = 1
    return kept


BASELINES: dict[str, Keep] = {"head+tail": head_and_tail, "random": random_units}
