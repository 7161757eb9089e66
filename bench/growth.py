"""Whether a compressor's work grows with the length of its text alone, on the worst texts that are known."""

from collections.abc import Callable
from time import process_time

from bench.figures import Figure, figure
from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.compressors.table import COMPRESSORS
from tests.compressors.test_laws import HOSTILE

SMALL_CHARS, LARGE_CHARS = 200_000, 1_600_000
GRAIN_SECONDS = 0.02
GROWTH_BAR = 24.0  # eight times the text; quadratic work would be sixty-four times


def growth(names: tuple[str, ...], say: Callable[[str], None]) -> list[Figure]:
    """For each compressor, the most that its CPU time grows where the text grows to eight times its length."""
    figures = []
    for compressor in COMPRESSORS:
        grown = [_growth(compressor, make) for make in HOSTILE.values()]
        figures.append(
            figure(f"growth at 8 times the text, {compressor.name}", "ours", [max(grown)], "times", GROWTH_BAR)
        )
    return figures


def _growth(compressor: Compressor, make: Callable[[int], str]) -> float:
    small, large = (_seconds(compressor, make(chars)) for chars in (SMALL_CHARS, LARGE_CHARS))
    return large / max(small, GRAIN_SECONDS)


def _seconds(compressor: Compressor, text: str) -> float:
    began = process_time()
    compressor.compress(text)
    return process_time() - began
