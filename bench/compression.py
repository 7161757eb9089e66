"""`python -m bench.compression`: what compression saves, what it costs, and whether anything is lost.

Each kind of output in the corpus is compressed as the server would, without one. Tokens are o200k_base. A text that
is sent in another form is turned back by the inverses of the tests before anything is looked for in it. Exits with 1
if a bar is missed, a law is broken or a fact is lost.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import quantiles

from bench.baselines import BASELINES
from bench.compression_corpus import ALL, HEADROOM_SOURCE, KINDS, READS, TOTAL, Block, Kind, blocks, place
from bench.compression_laws import (
    LEVELS,
    Decide,
    Measured,
    decision,
    digest,
    digest_elsewhere,
    measure,
    sample,
)
from bench.compression_price import recorded, replayed
from bench.compression_quotes import Quotable, as_today, quotable
from bench.compression_recall import NATURAL, OURS, SHARES, Found, recall
from bench.facts_planted import CLASSES
from bench.figures import Figure, keep, table
from bench.replay import Saving
from proxy_pkg.model import Level
from proxy_pkg.protocols.anthropic import MESSAGES

OTHER_HASH_SEED = 7
SPEED_BAR_MB_S = 8.0
BLOCK_200_KB_BAR_MS = 60.0
LARGE_BLOCK_BYTES = 50_000
PRICE_BAR_PERCENT = 20.0
RECALL_BARS = {
    Level.LOSSLESS: dict.fromkeys((*CLASSES, NATURAL), 1.0),
    Level.BALANCED: {"err": 0.99, "ask": 0.99, "outlier": 0.95},
}
NATURAL_BALANCED_BARS = {"JSON": None, "CSV": None, "HTML": 0.95}
"""Facts of their own that texts must show at `balanced`: 0.99 but for these kinds. Ordinary values may go from
records that go whole.
"""
SHOWN_MAX = 12
TODAY_BAR_PERCENT = 14.0
"""Of the price of conversations whose reads are in the form that clients print today."""
QUOTABLE_BAR_PERCENT = 99.5


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def savings(measured: Sequence[Measured], level: Level) -> list[Figure]:
    """Tokens saved by kind, and speed."""
    figures = []
    for kind in [*KINDS, *_further_kinds(measured), TOTAL]:
        of_kind = [each for each in measured if each.block.kind == kind.name or (kind is TOTAL and _in_total(each))]
        if of_kind:
            figures += _of_kind(kind, of_kind, level)
    large = [each.cpu_ms * 200_000 / each.block.bytes for each in measured if each.block.bytes >= LARGE_BLOCK_BYTES]
    if len(large) > 1:
        p99 = quantiles(large, n=100, method="inclusive")[-1]
        figures.append(Figure("CPU for 200 KB, p99 of blocks above 50 KB", "", p99, "ms", at_most=BLOCK_200_KB_BAR_MS))
    return figures


def _further_kinds(measured: Sequence[Measured]) -> list[Kind]:
    known = {kind.name for kind in KINDS}
    return [Kind(name, ()) for name in sorted({each.block.kind for each in measured} - known)]


def _in_total(each: Measured) -> bool:
    return each.block.kind != READS


def _of_kind(kind: Kind, measured: Sequence[Measured], level: Level) -> list[Figure]:
    before, after = sum(each.tokens_before for each in measured), sum(each.tokens_after for each in measured)
    touched = [each for each in measured if each.is_touched]
    least = kind.lossless_at_least if level is Level.LOSSLESS else kind.balanced_at_least
    milliseconds = [each.cpu_ms for each in measured]
    spread = quantiles(milliseconds, n=100, method="inclusive") if len(measured) > 1 else milliseconds * 99
    speed = sum(each.block.bytes for each in measured) / sum(milliseconds) / 1000
    say(
        f"{kind.name:16} {before:9,} -> {after:9,} tokens; {len(measured):3} blocks, "
        f"{len(measured) - len(touched):3} untouched"
    )
    saved = Figure("tokens saved", kind.name, 100 * (1 - after / max(1, before)), "%", at_least=least)
    figures = [saved]
    if touched:
        inside = 100 * (1 - sum(each.tokens_after for each in touched) / sum(each.tokens_before for each in touched))
        figures.append(Figure("tokens saved where touched", kind.name, inside, "%"))
    if kind.headroom is not None:
        figures.append(Figure("tokens saved by Headroom", kind.name, kind.headroom, "%"))
    return [
        *figures,
        Figure("speed", kind.name, speed, "MB/s", at_least=SPEED_BAR_MB_S if kind is TOTAL else None),
        Figure("CPU for a block, median", kind.name, spread[49], "ms"),
        Figure("CPU for a block, p99", kind.name, spread[98], "ms"),
    ]


def laws(measured: Sequence[Measured], decide: Decide, arguments: list[str]) -> list[Figure]:
    """How many blocks break a law, and whether another process decides the same."""
    broken = [f"{each.block.name}: {law}" for each in measured for law in each.broken]
    for line in broken[:SHOWN_MAX]:
        say(f"broken: {line}")
    some = sample(each.block for each in measured)
    is_pure = digest(some, decide) == digest_elsewhere(arguments, OTHER_HASH_SEED)
    reasons = Counter(each.verdict.reason for each in measured if not each.is_touched)
    say("left alone: " + (", ".join(f"{reason} {count}" for reason, count in reasons.most_common()) or "none"))
    return [
        Figure("laws broken", ALL, len(broken), "blocks", at_most=0),
        Figure(f"decided otherwise elsewhere, {len(some)} blocks", ALL, 0 if is_pure else 1, "", at_most=0),
    ]


def recalls(measured: Sequence[Measured], decide: Decide, level: Level, seeds: int) -> list[Figure]:
    """Facts still seen, by kind and class, beside what the baselines keep at the same budget."""
    found = recall(measured, decide, seeds)
    for line in found.lost[:SHOWN_MAX]:
        say(f"lost: {line}")
    figures = []
    for kind in dict.fromkeys(each.block.kind for each in measured):
        for class_ in (*CLASSES, NATURAL):
            figures += _recall_of(found, kind, class_, level)
    _say_curve(found)
    return figures


def _recall_of(found: Found, kind: str, class_: str, level: Level) -> list[Figure]:
    ours = found.recall(kind, class_, OURS)
    if ours is None:
        return []
    bar = RECALL_BARS[level].get(class_)
    if level is Level.BALANCED and class_ == NATURAL:
        bar = NATURAL_BALANCED_BARS.get(kind, 0.99)
    looked = found.looked[kind, class_, OURS]
    figures = [Figure(f"recall {class_}, {looked} facts", kind, ours, "", at_least=bar)]
    for name in BASELINES:
        theirs = found.recall(kind, class_, name)
        if theirs is not None:
            figures.append(Figure(f"recall {class_}, {name} at our budget", kind, theirs, "", at_most=ours))
    return figures


def _say_curve(found: Found) -> None:
    """What the baselines keep of the planted facts of each kind at other budgets."""
    say("facts kept at a share of the tokens  " + "  ".join(f"{100 * share:3.0f} %" for share in SHARES))
    for kind in dict.fromkeys(kind for kind, _, who in found.looked if who in BASELINES):
        for name in BASELINES:
            shares = "  ".join(f"{_kept(found, kind, f'{name} at {share:g}'):5.2f}" for share in SHARES)
            say(f"{kind:24} {name:11} {shares}")


def _kept(found: Found, kind: str, who: str) -> float:
    looked = sum(found.looked[kind, class_, who] for class_ in CLASSES)
    return sum(found.seen[kind, class_, who] for class_ in CLASSES) / max(1, looked)


def prices(corpus: Path, level: Level) -> list[Figure]:
    """Tokens and price saved on recorded conversations."""
    rules = LEVELS[level]()
    each = [replayed(one, rules) for one in recorded(corpus)]
    for one in each:
        for law in one.broken[:3]:
            say(f"broken: {one.saving.name}: {law}")
    figures = [Figure("prefix law broken", ALL, sum(len(one.broken) for one in each), "requests", at_most=0)]
    for one in each:
        saving = one.saving
        figures.append(Figure(f"tokens saved, {saving.turns} requests", saving.name, saving.tokens_saved_percent, "%"))
        figures.append(Figure("price saved", saving.name, saving.price_saved_percent, "%", at_least=0.0))
    if each:
        total = _total([one.saving for one in each])
        figures.append(Figure(f"tokens saved, {total.turns} requests", ALL, total.tokens_saved_percent, "%"))
        figures.append(Figure("price saved", ALL, total.price_saved_percent, "%", at_least=PRICE_BAR_PERCENT))
    return figures


def quotables(corpus: Path, level: Level) -> list[Figure]:
    """Old texts of edits that still stand in one result, and the price saved with reads in today's form."""
    rules = LEVELS[level]()
    was = recorded(corpus)
    today = [as_today(each) for each in was if each.protocol is MESSAGES]
    figures = _quotable([quotable(each, rules) for each in was], ALL)
    figures += _quotable([quotable(each, rules) for each in today], "today's form")
    replays = [replayed(each, rules) for each in today]
    if replays:
        total = _total([each.saving for each in replays])
        broken = sum(len(each.broken) for each in replays)
        figures.append(Figure("laws broken", "today's form", broken, "", at_most=0))
        figures.append(
            Figure("price saved", "today's form", total.price_saved_percent, "%", at_least=TODAY_BAR_PERCENT)
        )
    return figures


def _quotable(found: Sequence[Quotable], form: str) -> list[Figure]:
    """By client, then by kind of edit, then all."""
    for each in found:
        for quote in each.lost[:3]:
            say(f"not quotable: {each.name}: {quote.text[:60]!r}")
    figures = [
        Figure(f"quotable, {sum(each.received.values())} edits", each.name, each.percent(), "%")
        for each in found
        if each.received
    ]
    total = Quotable(form)
    for each in found:
        total.lost = [*total.lost, *each.lost]
        total.received = Counter(total.received) + Counter(each.received)
    for kind, count in total.received.items():
        figures.append(Figure(f"quotable, {count} edits by {kind}", form, total.percent(kind), "%"))
    count = sum(total.received.values())
    return [*figures, Figure(f"quotable, {count} edits", form, total.percent(), "%", at_least=QUOTABLE_BAR_PERCENT)]


def _total(savings: Sequence[Saving]) -> Saving:
    return Saving(
        ALL,
        sum(each.turns for each in savings),
        sum(each.tokens_before for each in savings),
        sum(each.tokens_after for each in savings),
        sum(each.price_before for each in savings),
        sum(each.price_after for each in savings),
    )


def run(corpus: Path, level: Level, seeds: int, arguments: list[str]) -> bool:
    """Print and keep all figures of a corpus; whether every bar was met."""
    decide = decision(level)
    found = blocks(corpus)
    measured = [measure(block, decide) for block in found]
    sections: dict[str, Callable[[], list[Figure]]] = {
        "savings": lambda: savings(measured, level),
        "laws": lambda: laws(measured, decide, arguments),
        "recall": lambda: recalls(measured, decide, level, seeds),
        "price": lambda: prices(corpus, level),
        "quotes": lambda: quotables(corpus, level),
    }
    say(f"{len(found)} outputs from {corpus.name}, level {level}; Headroom's figures: {HEADROOM_SOURCE}")
    figures = []
    for name, section in sections.items():
        start = time.monotonic()
        of_section = section()
        figures += of_section
        print(table(of_section), end="\n\n", flush=True)
        say(f"{name}: {time.monotonic() - start:.0f} s")
    keep(f"compression-{level}", figures)
    return bool(found) and all(each.meets_bar for each in figures)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.compression", description=__doc__)
    parser.add_argument("--corpus", default="", help="a folder with a folder for each kind")
    parser.add_argument("--level", default=Level.LOSSLESS.value, choices=[level.value for level in LEVELS])
    parser.add_argument("--seeds", type=int, default=1, help="how often facts are planted at other places")
    parser.add_argument("--digest", action="store_true", help="print only a hash over what is decided")
    given = parser.parse_args()
    corpus, level = place(given.corpus), Level(given.level)
    if given.digest:
        found: list[Block] = sample(blocks(corpus))
        print(digest(found, decision(level)))
        return 0
    return 0 if run(corpus, level, given.seeds, ["--corpus", str(corpus), "--level", level]) else 1


if __name__ == "__main__":
    sys.exit(main())
