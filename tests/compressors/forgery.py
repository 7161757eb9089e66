"""Texts of every kind into which headers and marks of every form are forged, whole, damaged, or inside other lines."""

import random
from collections.abc import Iterator
from pathlib import Path

from proxy_pkg.compressors import aliases, go_runs, grouping, signs

CASES = Path(__file__).parent.parent / "cases" / "compressors"
OWN_LINES = (" [", "[", "{", "#", "== ", "&")
MARKS = (
    *(
        aliases.HEADER,
        *grouping.HEADERS,
        signs.HEADER,
        go_runs.HEADER,
        "[…]",
        "[a…]",
        "[a…b]",
        "&1=a",
        "&1",
        "# a",
        "== a",
    ),
    *(" [block 1, 3 lines]", " [block 1 again]", " [the line above 3 more times]", " [the 2 lines above 2 more times]"),
    *("[3 lines left out: 2-4]", "[In tables: {#} is in the # line above the rows]", "[3 rows: a,b", "{2 rows: a"),
    *("[every 10th line numbered]", "[5 paths by directory, all below /a/]"),
)
_DAMAGE = ("", "1", "[", "]", "…", " ", "&1")


def _real(name: str) -> list[str]:
    return [path.read_bytes().decode() for path in sorted(CASES.glob(f"*/*/{name}"))]


def _marks() -> list[str]:
    sent = [text.split("\n") for text in _real("out.txt")]
    own = (line for lines in sent for line in (*lines[:4], *[one for one in lines if one.startswith(OWN_LINES)][:10]))
    return sorted({*own, *MARKS})


def forged(count: int, seed: int) -> Iterator[str]:
    """Yield `count` texts, the same for the same seed."""
    chance = random.Random(seed)  # no secret hangs on it
    texts, marks = [text.split("\n") for text in _real("in.txt")], _marks()
    for _ in range(count):
        base = chance.choice(texts)
        length = chance.randrange(4, 60)
        start = chance.randrange(max(1, len(base) - length + 1)) if chance.random() < 0.6 else 0
        lines = base[start : start + length]
        for _ in range(chance.randrange(1, 5)):
            _forge(lines, chance.choice(marks), chance)
        if chance.random() < 0.15:
            lines = [line + "\r" for line in lines]
        yield "\n".join(lines)


def _forge(lines: list[str], mark: str, chance: random.Random) -> None:
    kind = chance.random()
    if kind < 0.3:
        mark = "".join(chance.choice(_DAMAGE) if chance.random() < 0.08 else char for char in mark)
    at = 0 if chance.random() < 0.3 else chance.randrange(len(lines) + 1)
    if kind > 0.85:
        at = min(at, len(lines) - 1)
        cut = chance.randrange(len(lines[at]) + 1)
        lines[at] = lines[at][:cut] + mark if chance.random() < 0.5 else mark + lines[at]
    else:
        lines.insert(at, mark)
    if chance.random() < 0.2:
        first = chance.randrange(len(lines))
        end = min(len(lines), first + chance.randrange(1, 8))
        lines[end:end] = lines[first:end] * chance.randrange(1, 5)
