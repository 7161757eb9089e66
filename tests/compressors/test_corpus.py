"""The laws and the planted facts of the benchmark, on the cases of the project."""

import pytest

from bench.compression_corpus import CASES, READS, Block, blocks
from bench.compression_laws import Decide, decision, measure
from bench.compression_recall import OURS, recall
from bench.facts_planted import CLASSES
from proxy_pkg.model import Level

BLOCKS = {block.name: block for block in blocks(CASES)}


@pytest.fixture(scope="module")
def decide() -> Decide:
    return decision(Level.LOSSLESS)


@pytest.mark.parametrize("name", BLOCKS)
def test_every_case_keeps_the_laws(name: str, decide: Decide) -> None:
    assert measure(BLOCKS[name], decide).broken == ()


def test_no_planted_or_natural_fact_is_lost(decide: Decide) -> None:
    measured = [measure(block, decide) for block in BLOCKS.values()]
    found = recall(measured, decide, seeds=1)
    assert found.lost == []
    assert all(
        any(found.looked[kind, class_, OURS] for kind in (READS, "JSON")) for class_ in CLASSES if class_ != "err"
    )


def test_a_read_in_a_conversation_is_found_with_its_tool_call() -> None:
    reads = [block for block in BLOCKS.values() if block.kind == READS and "/" in block.name]
    assert any(block.producer.name == "Read" and "file_path" in block.producer.arguments for block in reads)


def test_a_long_read_saves_a_quarter_of_its_tokens(decide: Decide) -> None:
    text = "".join(f"{number:6d}→    value_{number} = compute({number})\n" for number in range(1, 200))
    each = measure(Block(READS, "long", text), decide)
    assert each.broken == ()
    assert each.tokens_after < 0.75 * each.tokens_before
