"""Which compressors each kind of text goes through: the table is at the foot."""

from collections.abc import Mapping

from proxy_pkg.compressors.builds import BUILD
from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.compressors.delimited import DELIMITED
from proxy_pkg.compressors.detect import Kind
from proxy_pkg.compressors.diffs import DIFF
from proxy_pkg.compressors.go_test import GO_TEST
from proxy_pkg.compressors.json_table import JSON_TABLE
from proxy_pkg.compressors.json_text import JSON_TEXT
from proxy_pkg.compressors.lint import LINT
from proxy_pkg.compressors.logs import LOGS
from proxy_pkg.compressors.markup import MARKUP
from proxy_pkg.compressors.numbered import NUMBERED
from proxy_pkg.compressors.padded import PADDED
from proxy_pkg.compressors.paths import PATHS
from proxy_pkg.compressors.search import SEARCH
from proxy_pkg.compressors.terminal import TERMINAL
from proxy_pkg.compressors.tree import TREE
from proxy_pkg.model import Grade


def run_chain(kind: str, text: str) -> tuple[str, tuple[Compressor, ...]] | None:
    """Return `text` after the chain for `kind`, and the compressors that changed it in order; None if none did.

    Each step takes what the one before it left, and may find nothing to do. A kind without a row has an empty
    chain.
    """
    result, taken = text, []
    for compressor in CHAINS.get(kind, ()):
        shorter = compressor.compress(result)
        if shorter is not None:
            result = shorter
            taken.append(compressor)
    return (result, tuple(taken)) if taken else None


def weakest_grade(steps: tuple[Compressor, ...]) -> Grade:
    """Return what the result of `steps`, at least one, still promises."""
    return max((step.grade for step in steps), key=list(Grade).index)


CHAINS: Mapping[str, tuple[Compressor, ...]] = {
    Kind.NUMBERED: (NUMBERED,),
    Kind.FILE: (),
    Kind.JSON: (JSON_TEXT, JSON_TABLE),
    Kind.TERMINAL: (TERMINAL, JSON_TABLE, DIFF, LINT, SEARCH, PATHS, BUILD, LOGS, DELIMITED, PADDED),
    Kind.DIFF: (DIFF,),
    Kind.MARKUP: (MARKUP,),
    Kind.SEARCH: (SEARCH,),
    Kind.PATHS: (PATHS,),
    Kind.TREE: (TREE,),
    Kind.DELIMITED: (DELIMITED,),
    Kind.PADDED: (PADDED,),
    Kind.GO_TEST: (GO_TEST, JSON_TABLE),
    Kind.LINT: (LINT,),
    Kind.BUILD: (BUILD,),
    Kind.LOG: (LOGS,),
    Kind.TEXT: (),
}
COMPRESSORS = tuple({compressor.name: compressor for chain in CHAINS.values() for compressor in chain}.values())
