"""Real texts, one folder each: the kind that is found, the exact text that is sent, and the promise of its grade."""

from pathlib import Path

import pytest

from proxy_pkg.compressors.detect import Kind, detect
from proxy_pkg.compressors.table import CHAINS, run_chain
from proxy_pkg.model import Producer
from tests.compressors import (
    inverse_go_test,
    inverse_layers,
    inverse_lines,
    inverse_records,
    inverse_reports,
    inverse_ruled,
    inverse_search,
    inverses,
    page,
)
from tests.compressors.screen import seen

CASES = Path(__file__).parent.parent / "cases" / "compressors"
FOLDERS = {str(path.relative_to(CASES)): path for path in sorted(CASES.glob("*/*")) if path.is_dir()}

PRODUCERS = {
    Kind.OUTPUT.value: Producer("Bash", {"command": "make report"}),
    Kind.GENERATED.value: Producer("Bash", {"command": "cat yarn.lock"}),
    Kind.JSON.value: Producer("Bash", {"command": "curl -s https://api.example.test/items"}),
}
"""Who printed the texts of a kind that is told by that."""


def keeps_its_grade(kind: Kind, before: str, after: str) -> bool:
    """Tell whether `after` holds what the compressor of `kind` promises to keep of `before`."""
    match kind:
        case Kind.NUMBERED:
            return inverses.numbered(after) == before
        case Kind.JSON:
            return bool(inverses.json_sent(after) == inverses.json_values(before))
        case Kind.RECORDS:
            return inverse_layers.json_spelled(after.partition("\n")[2]) == before.partition("\n")[2]
        case Kind.PYTHON:
            return inverse_layers.python(after) == before
        case Kind.DELIMITED | Kind.PADDED:
            return inverses.delimited(after) == before
        case Kind.TERMINAL:
            return list(map(seen, inverse_lines.lines(after).split("\n"))) == list(map(seen, before.split("\n")))
        case Kind.SEARCH:
            is_report = after.startswith('[below "== a" was ')
            return (inverse_reports.reports if is_report else inverse_search.search)(after) == before
        case Kind.PATHS:
            return inverse_search.paths(after) == before
        case Kind.TREE:
            return inverse_search.tree(after) == before
        case Kind.DIFF:
            return inverse_search.diff(inverse_lines.lines(after)) == before
        case Kind.MARKUP:
            return page.held(inverse_lines.lines(after)) == page.held(before)
        case Kind.RULED:
            return inverse_ruled.ruled(after) == before
        case Kind.LISTING:
            return inverse_records.records(after) == before
        case Kind.OUTPUT | Kind.GENERATED:
            return inverse_lines.lines(after) == before
        case Kind.LOG | Kind.BUILD | Kind.LINT | Kind.YAML:
            is_table = inverse_records.HEADER.match(after)
            return (inverse_records.records if is_table else inverse_lines.lines)(after) == before
        case Kind.GO_TEST:
            return inverse_go_test.go_test(after) == before
        case _:
            return False


@pytest.mark.parametrize("name", FOLDERS)
def test_a_real_text_is_sent_as_written_down(name: str) -> None:
    before, expected = ((FOLDERS[name] / file).read_bytes().decode() for file in ("in.txt", "out.txt"))
    kind = detect(before, PRODUCERS.get(name.split("/")[0], Producer())).kind
    assert kind == name.split("/")[0]
    done = run_chain(kind, before)
    assert done is not None
    assert done[0] == expected
    assert keeps_its_grade(kind, before, expected)


def test_there_are_cases_for_every_kind_with_a_chain() -> None:
    assert {name.split("/")[0] for name in FOLDERS} == {kind for kind, chain in CHAINS.items() if chain}
