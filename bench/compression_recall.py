"""How many facts survive: in what is sent, and in what the baselines keep at the same budget of tokens."""

from collections import Counter
from collections.abc import Iterable
from random import Random
from zlib import crc32

from msgspec import Struct

from bench.baselines import BASELINES
from bench.compression_corpus import Block
from bench.compression_decode import decode
from bench.compression_laws import Decide, Measured
from bench.facts import Fact, View, natural
from bench.facts_planted import CLASSES, Planted, Sheet, plant
from proxy_pkg.model import Producer
from proxy_pkg.tokens.count import count

POSITIONS = 5
ONE_BY_ONE_BYTES_MAX = 48 << 10
"""In a larger block the facts of one class are planted together, which costs one run instead of POSITIONS."""
SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)
OURS = "ours"
NATURAL = "nat"


class Found(Struct):
    """Facts looked for and found, by (kind, class, who), where who is `ours` or a baseline at our budget."""

    looked: Counter[tuple[str, str, str]]
    seen: Counter[tuple[str, str, str]]
    lost: list[str]

    def recall(self, kind: str, class_: str, who: str) -> float | None:
        """The share found, None if there was nothing to look for."""
        key = (kind, class_, who)
        return self.seen[key] / self.looked[key] if self.looked[key] else None

    def add(self, kind: str, class_: str, who: str, is_seen: bool) -> None:
        self.looked[kind, class_, who] += 1
        self.seen[kind, class_, who] += is_seen


def recall(measured: Iterable[Measured], decide: Decide, seeds: int) -> Found:
    """Look for facts in all blocks that were touched; one that was left alone shows everything."""
    found = Found(Counter(), Counter(), [])
    for each in measured:
        if not each.is_touched:
            continue
        _natural_facts(each, found)
        sheet = Sheet(each.block)
        budget = Budget(sheet, each)
        for seed in range(seeds):
            for class_ in CLASSES:
                _planted_facts(each.block, sheet, class_, seed, decide, found, budget)
    return found


class Budget:
    """A block's units and what they cost: for telling what a baseline keeps."""

    def __init__(self, sheet: Sheet, measured: Measured) -> None:
        self.costs = [count(sheet.unit(index)) + 1 for index in range(len(sheet.units))]
        self.share = measured.tokens_after / max(1, measured.tokens_before)

    def keeps(self, planted: Planted, cost: int, name: str, share: float, chance: Random) -> bool:
        """Whether the baseline keeps a planted unit at a share of the tokens."""
        costs = [*self.costs[: planted.place], cost, *self.costs[planted.place :]]
        return bool(BASELINES[name](costs, int(share * sum(costs)), chance)[planted.place])


def _natural_facts(measured: Measured, found: Found) -> None:
    facts = natural(measured.block.kind, measured.block.text)
    decoded = decode(measured.block.text, measured.verdict, measured.block.producer)
    view = View(decoded.value)
    for fact in facts:
        _note(measured.block, NATURAL, fact, not decoded.problem and view.shows(fact), found)


def _planted_facts(
    block: Block, sheet: Sheet, class_: str, seed: int, decide: Decide, found: Found, budget: Budget
) -> None:
    chance = Random(crc32(f"{block.name} {class_} {seed}".encode()))
    planted = [one for _ in range(POSITIONS) if (one := plant(sheet, class_, chance)) is not None]
    together = list({one.place: one for one in planted}.values())
    runs = [[one] for one in planted] if block.bytes <= ONE_BY_ONE_BYTES_MAX else [together] if together else []
    for run in runs:
        _look(block, sheet, class_, run, decide, found)
        for one in run:
            cost = count(one.unit) + 1
            for name in BASELINES:
                found.add(block.kind, class_, name, budget.keeps(one, cost, name, budget.share, chance))
                for share in SHARES:
                    is_kept = budget.keeps(one, cost, name, share, chance)
                    found.add(block.kind, class_, f"{name} at {share:g}", is_kept)


def _look(block: Block, sheet: Sheet, class_: str, run: list[Planted], decide: Decide, found: Found) -> None:
    text = sheet.with_units({one.place: one.unit for one in run})
    asked = " ".join(one.asked for one in run if one.asked)
    producer = Producer(block.producer.name, {**block.producer.arguments, "query": asked}) if asked else block.producer
    decoded = decode(text, decide(text, producer), producer)
    view = View(decoded.value)
    for one in run:
        _note(block, class_, one.fact, not decoded.problem and view.shows(one.fact), found)


def _note(block: Block, class_: str, fact: Fact, is_seen: bool, found: Found) -> None:
    found.add(block.kind, class_, OURS, is_seen)
    if not is_seen:
        found.lost.append(f"{block.name}: {class_}: {' | '.join(fact.parts)[:120]}")
