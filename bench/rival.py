"""`python -m bench.rival PYTHON`: the level `balanced` beside Headroom on the same outputs and the same facts.

PYTHON is an interpreter that has the Headroom library. A file is compared where Headroom saves at least 5 %: of a
file that it leaves alone everything is seen. What it sends is looked into as text, after undoing the JSON string
that it may be.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from zlib import crc32

import msgspec

from bench.compression_corpus import HEADROOM_SOURCE, Block, blocks, place
from bench.compression_decode import decode
from bench.compression_laws import decision
from bench.compression_recall import NATURAL
from bench.facts import Fact, View, natural
from bench.facts_planted import CLASSES, Planted, Sheet, plant
from bench.figures import Figure, keep, table
from proxy_pkg.model import Level, Producer
from proxy_pkg.tokens import vocabulary
from proxy_pkg.tokens.count import count

WORKER = Path(__file__).with_name("rival_worker.py")
VOCABULARY_CACHED_AS = "fb374d419588a4632f3f557e76b4b70aebbca790"
TOUCHED_PERCENT_MIN = 5.0
BLOCK_BYTES_MAX = 420_000
POSITIONS = 5
OURS, THEIRS = "ours", "Headroom"
SKIPPED = frozenset(("numbered reads",))
"""Kinds that Headroom never touches."""


class Answer(msgspec.Struct):
    text: str
    cpu_ms: float


@contextmanager
def headroom(python: str) -> Iterator["Library"]:
    """The library in a process of its own, with the vocabulary where its tokenizer looks for it."""
    with tempfile.TemporaryDirectory() as cache:
        (Path(cache) / VOCABULARY_CACHED_AS).write_bytes(vocabulary.read())
        process = subprocess.Popen(
            [python, str(WORKER)],
            env=os.environ | {"TIKTOKEN_CACHE_DIR": cache, "HEADROOM_OFFLINE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            yield Library(process)
        finally:
            process.kill()
            process.wait()


class Library:
    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def compress(self, text: str, asked: str = "") -> Answer:
        assert self._process.stdin is not None and self._process.stdout is not None
        request = msgspec.json.encode({"text": text, "asked": asked}).decode()
        self._process.stdin.write(request + "\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._process.stdout.readline(), type=Answer)


class Tally(msgspec.Struct):
    """Tokens and facts of one kind, by who compressed."""

    before: int = 0
    after: Counter[str] = msgspec.field(default_factory=Counter)
    cpu_ms: Counter[str] = msgspec.field(default_factory=Counter)
    looked: Counter[str] = msgspec.field(default_factory=Counter)
    seen: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)
    files: int = 0

    def note(self, who: str, class_: str, view: View, fact: Fact) -> None:
        self.seen[who, class_] += view.shows(fact)


def shown(text: str) -> View:
    """What a reader sees of Headroom's text."""
    try:
        value = msgspec.json.decode(text) if text.startswith('"') else text
    except msgspec.DecodeError:
        value = text
    return View(value if isinstance(value, str) else text)


def compare(block: Block, library: Library, tally: Tally) -> None:
    """Add one output to its kind's tally, if Headroom does anything to it."""
    theirs = library.compress(block.text)
    before, after = count(block.text), count(theirs.text)
    if after * 100 > before * (100 - TOUCHED_PERCENT_MIN):
        return
    decide = decision(Level.BALANCED)
    verdict = decide(block.text, block.producer)
    ours = decode(block.text, verdict, block.producer)
    tally.files += 1
    tally.before += before
    tally.after[THEIRS] += after
    tally.after[OURS] += count(verdict.text) if verdict.text is not None else before
    tally.cpu_ms[THEIRS] += theirs.cpu_ms
    views = {OURS: View(ours.value), THEIRS: shown(theirs.text)}
    for fact in natural(block.kind, block.text):
        tally.looked[NATURAL] += 1
        for who, view in views.items():
            tally.note(who, NATURAL, view, fact)
    sheet = Sheet(block)
    for class_ in CLASSES:
        chance = Random(crc32(f"{block.name} {class_}".encode()))
        planted = [one for _ in range(POSITIONS) if (one := plant(sheet, class_, chance)) is not None]
        _look(block, sheet, class_, list({one.place: one for one in planted}.values()), library, tally)


def _look(block: Block, sheet: Sheet, class_: str, planted: list[Planted], library: Library, tally: Tally) -> None:
    if not planted:
        return
    text = sheet.with_units({one.place: one.unit for one in planted})
    asked = " ".join(one.asked for one in planted if one.asked)
    producer = Producer(block.producer.name, {"query": asked} if asked else {})
    ours = decode(text, decision(Level.BALANCED)(text, producer), producer)
    views = {OURS: View(ours.value), THEIRS: shown(library.compress(text, asked).text)}
    for one in planted:
        tally.looked[class_] += 1
        for who, view in views.items():
            tally.note(who, class_, view, one.fact)


def figures(kind: str, tally: Tally) -> Iterator[Figure]:
    for who in (OURS, THEIRS):
        yield Figure(
            f"tokens saved, {tally.files} files", f"{kind}, {who}", 100 * (1 - tally.after[who] / tally.before), "%"
        )
    for class_ in (*CLASSES, NATURAL):
        if tally.looked[class_]:
            ours, theirs = (tally.seen[who, class_] / tally.looked[class_] for who in (OURS, THEIRS))
            yield Figure(f"recall {class_}, {tally.looked[class_]} facts", f"{kind}, {OURS}", ours, "")
            yield Figure(f"recall {class_}", f"{kind}, {THEIRS}", theirs, "")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.rival", description=__doc__)
    parser.add_argument("python", help="an interpreter that has the library headroom-ai")
    parser.add_argument("--corpus", default="")
    given = parser.parse_args()
    tallies: dict[str, Tally] = {}
    with headroom(given.python) as library:
        for block in blocks(place(given.corpus)):
            if block.kind not in SKIPPED and block.bytes <= BLOCK_BYTES_MAX:
                print(f"{block.name}", file=sys.stderr, flush=True)
                compare(block, library, tallies.setdefault(block.kind, Tally()))
    found = [figure for kind, tally in tallies.items() if tally.before for figure in figures(kind, tally)]
    print(table(found))
    keep("headroom", found)
    print(HEADROOM_SOURCE, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
