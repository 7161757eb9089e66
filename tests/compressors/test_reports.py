import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors.reports import compress, looks_like
from tests.compressors.inverse_reports import reports

PATHS = st.sampled_from(["/srv/app/a.ts", "/srv/app/src/b:c.ts", "/srv/app/x y", "a", "== b"])
TEXTS = st.sampled_from(["x", "", "  return: 1", "12:y", "== z", "a:", 'L1: "12:x"'])
NUMBERS = st.integers(1, 99_999)
BLOCKS = st.tuples(PATHS, st.lists(st.tuples(NUMBERS, TEXTS), max_size=4))
OTHERS = st.sampled_from(["", "---", "Found 3 matches", "a:", "12:x", "== a", "File: a"])


def written(blocks: list[tuple[str, list[tuple[int, str]]]], client: str) -> list[str]:
    path, line = {"OpenCode": ("{}:", "  Line {}: {}"), "Gemini CLI": ("File: {}", "L{}: {}")}[client]
    return [each for name, hits in blocks for each in (path.format(name), *(line.format(*hit) for hit in hits))]


@given(st.lists(BLOCKS, max_size=6), st.sampled_from(["OpenCode", "Gemini CLI"]), st.lists(OTHERS, max_size=3))
@settings(max_examples=300, deadline=None)
def test_every_byte_returns(blocks: list[tuple[str, list[tuple[int, str]]]], client: str, others: list[str]) -> None:
    text = "\n".join([*others[:2], *written(blocks, client), *others[2:]])
    short = compress(text)
    if short is not None:
        assert reports(short) == text
        assert compress(short) is None


@pytest.mark.parametrize("client", ["OpenCode", "Gemini CLI"])
def test_folders_and_words_that_repeat_go(client: str) -> None:
    blocks = [(f"/srv/app/src/module_{n}.ts", [(n + 1, "import x"), (n + 40, "  return x")]) for n in range(9)]
    text = "Found 18 matches\n" + "\n".join(written(blocks, client)) + "\n"
    short = compress(text)
    assert short is not None
    assert "\n== module_3.ts\n4:import x\n43:  return x\n" in short
    assert reports(short) == text
    assert looks_like(text) == f"hits as the search of {client} reports them"


@pytest.mark.parametrize(
    "text", ["", "Found 0 matches", "a:\n  Line 1: x\n", "L1: x\nL2: y\nL3: z\n", "key:\n  Line: 2\n" * 5]
)
def test_what_is_no_report_is_left_alone(text: str) -> None:
    assert compress(text) is None
    assert not looks_like(text)
