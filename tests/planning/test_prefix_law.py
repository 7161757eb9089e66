"""What was sent stays how the next request begins: over hundreds of turns, whatever happens to the workers."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from bench.compression_price import broken_prefixes
from proxy_pkg.planning.offload import Planner
from proxy_pkg.planning.policy import Rules
from proxy_pkg.protocols.anthropic import MESSAGES
from proxy_pkg.store.decision_table import DecisionTable
from proxy_pkg.wire.splice import splice
from tests.fakes.tokens import FourCharacters

TURNS = 220
DEADLINES_MS = (-1, 0, 0, 1, 5, 60_000, 60_000)
NAMES = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]


def source(chooser: random.Random, lines: int) -> list[str]:
    return [
        f"    {chooser.choice(NAMES)}_{n} = {chooser.choice(NAMES)}({chooser.randrange(999)})  # step {n}"
        for n in range(lines)
    ]


def read(lines: list[str], first: int = 1) -> str:
    return "\n".join(f"{n:6}→{line}" for n, line in enumerate(lines, first))


def results(chooser: random.Random) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Results of tools without end, of many kinds; files are edited, and read again whole or in part."""
    files = {f"src/{name}.py": source(chooser, 90) for name in NAMES[:4]}
    while True:
        path = chooser.choice(list(files))
        lines = files[path]
        start = chooser.randrange(60)
        rows = [{"id": n, "name": chooser.choice(NAMES), "size": chooser.randrange(9999)} for n in range(30)]
        shown = enumerate(lines[start : start + 30], start + 1)
        context = "\n".join(f"{n}{'-' if n % 7 else ':'}{line}" for n, line in shown)
        every: list[tuple[str, dict[str, Any], str]] = [
            ("Read", {"file_path": path}, read(lines)),
            ("Read", {"file_path": path, "offset": start}, read(lines[start:], start + 1)),
            ("Bash", {"command": f"grep -n -C3 step {path}"}, context),
            ("Bash", {"command": f"cat {path}"}, "\n".join(lines)),
            ("Bash", {"command": "curl -s localhost"}, f"<output>\n{json.dumps(rows, indent=2)}\n</output>"),
            ("Bash", {"command": "make"}, "\n".join(f"2024-05-01 10:00:0{n % 10} INFO job {n}" for n in range(40))),
            ("Bash", {"command": "pytest"}, "\n".join(f"tests/test_{n}.py::test PASSED [ 9%]" for n in range(30))),
            ("Grep", {"pattern": "x"}, "\n".join(f"src/app/{path}:{n}:{line}" for n, line in enumerate(lines[:20]))),
            ("Bash", {"command": "true"}, ""),
            ("Think", {}, "Nothing of note was found. " * chooser.randrange(12)),
        ]
        yield from chooser.sample(every, k=4)
        lines[start : start + 2] = [f"    edited = {start}"] * chooser.randrange(1, 4)


def requests(seed: int) -> list[bytes]:
    """The bodies of a conversation, a message of the model and a result longer each."""
    messages: list[bytes] = []
    bodies = []
    for turn, (name, arguments, text) in zip(range(TURNS), results(random.Random(seed)), strict=False):
        call = {"type": "tool_use", "id": f"toolu_{turn}", "name": name, "input": arguments}
        result = {"type": "tool_result", "tool_use_id": f"toolu_{turn}", "content": text}
        messages.append(msgspec.json.encode({"role": "assistant", "content": [call]}))
        messages.append(msgspec.json.encode({"role": "user", "content": [result]}))
        bodies.append(b'{"model":"m","messages":[' + b",".join(messages) + b"]}")
    return bodies


async def sent(bodies: list[bytes], seed: int, reasons: Counter[str]) -> list[bytes]:
    """What goes upstream where workers come and go, lose their threads, and mostly have no time."""
    assert MESSAGES.conversation is not None
    chooser = random.Random(seed)
    marks = DecisionTable()
    workers: list[Planner] = []
    upstream = []
    for data in bodies:
        if len(workers) < 2 or chooser.random() < 0.15:
            deadline_ms = chooser.choice(DEADLINES_MS)
            workers.append(Planner(Rules(5, 1 << 20), FourCharacters(), 16 << 20, deadline_ms, marks))
        if len(workers) > 3:
            workers.pop(0).close()
        worker = chooser.choice(workers)
        if chooser.random() < 0.1:
            worker.close()  # its thread is gone, and requests still come
        plan = await worker.plan(data, MESSAGES.conversation)
        reasons.update(verdict.compressor or verdict.reason for verdict in plan.verdicts)
        upstream.append(splice(data, plan.replacements))
    for worker in workers:
        worker.close()
    return upstream


@pytest.mark.parametrize("seed", [1, 2])
async def test_each_request_begins_like_the_one_before_it(seed: int) -> None:
    bodies = requests(seed)
    assert broken_prefixes(bodies) == []
    reasons: Counter[str] = Counter()
    upstream = await sent(bodies, seed, reasons)
    assert broken_prefixes(upstream) == []
    assert all(len(one) <= len(other) for one, other in zip(upstream, bodies, strict=True))
    assert all(len(one) < len(other) for one, other in pairwise(upstream))
    taken = " ".join(reasons)
    assert all(name in taken for name in ("deadline", "numbered", "search", "json", "reference", "small"))
