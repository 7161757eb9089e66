"""Decides on tool outputs as the server does, times that, and checks the laws on each of them."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from time import thread_time_ns

from msgspec import Struct, structs

from bench.compression_corpus import Block
from bench.compression_decode import decode
from bench.processes import ROOT
from proxy_pkg.config.load import load as load_settings
from proxy_pkg.model import Level, Producer, Verdict
from proxy_pkg.planning.policy import Rules, decide
from proxy_pkg.tokens.count import count, load

Decide = Callable[[str, Producer], Verdict]
TIMED_RUNS = 2
SAMPLE_BLOCK_BYTES_MAX = 64 << 10


class Measured(Struct, frozen=True):
    """A block, what was decided, tokens before and after by o200k_base, and CPU time.

    `broken` names the laws that do not hold. `cpu_ms` is the smaller of TIMED_RUNS runs of detection, compression
    and the comparison of tokens.
    """

    block: Block
    verdict: Verdict
    tokens_before: int
    tokens_after: int
    cpu_ms: float
    broken: tuple[str, ...] = ()

    @property
    def is_touched(self) -> bool:
        return self.verdict.text is not None


def rules() -> Rules:
    """What the server decides by if no setting is given."""
    settings = load_settings(environ={}).settings
    return Rules(
        settings.compression_margin_percent, settings.compression_block_bytes_max, settings.compression_references
    )


def reducing_rules() -> Rules:
    """As `rules`, where the reducers may leave lines and records out."""
    return structs.replace(rules(), reduces=True)


def decision(level: Level) -> Decide:
    """The decision function of the server at `level`. Raises KeyError for a level that it cannot take."""
    chosen = LEVELS[level]()
    return lambda text, producer: decide(text, producer, chosen, load())


def measure(block: Block, decide: Decide) -> Measured:
    """Decide on `block` and check the laws."""
    runs = [_timed(block, decide) for _ in range(TIMED_RUNS)]
    verdict = runs[0][0]
    before = count(block.text)
    after = before if verdict.text is None else count(verdict.text)
    broken = tuple(_broken(block, verdict, before, after, decide))
    if any(other != verdict for other, _ in runs):
        broken = (*broken, "decided otherwise the second time")
    return Measured(block, verdict, before, after, min(ms for _, ms in runs), broken)


def _timed(block: Block, decide: Decide) -> tuple[Verdict, float]:
    start = thread_time_ns()
    verdict = decide(block.text, block.producer)
    return verdict, (thread_time_ns() - start) / 1e6


def _broken(block: Block, verdict: Verdict, before: int, after: int, decide: Decide) -> Iterable[str]:
    if verdict.reason == "compressor_failed":
        yield "a compressor raised"
    if verdict.text is None:
        return
    if after > before:
        yield f"longer: {before} tokens became {after}"
    problem = decode(block.text, verdict, block.producer).problem
    if problem:
        yield problem
    again = decide(verdict.text, block.producer)
    if again.text is not None:
        yield f"not idempotent: {again.compressor} changes the result of {verdict.compressor}"


def sample(blocks: Iterable[Block], each_kind: int = 4) -> list[Block]:
    """A few blocks of each kind, none of them large."""
    taken: dict[str, list[Block]] = {}
    for block in blocks:
        of_kind = taken.setdefault(block.kind, [])
        if len(of_kind) < each_kind and block.bytes <= SAMPLE_BLOCK_BYTES_MAX:
            of_kind.append(block)
    return [block for of_kind in taken.values() for block in of_kind]


def digest(blocks: Iterable[Block], decide: Decide) -> str:
    """A hash over everything that is decided about `blocks`."""
    total = hashlib.sha256()
    for block in blocks:
        verdict = decide(block.text, block.producer)
        total.update(repr((block.name, verdict.reason, verdict.kind, verdict.compressor, verdict.text)).encode())
    return total.hexdigest()


def digest_elsewhere(arguments: list[str], hash_seed: int) -> str:
    """What `python -m bench.compression --digest` prints in a process of its own with another hash seed."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.compression", "--digest", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.strip()


LEVELS: dict[Level, Callable[[], Rules]] = {Level.LOSSLESS: rules, Level.BALANCED: reducing_rules}
"""How the rules of each level that can be measured are made."""
