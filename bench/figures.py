"""What a measurement returns, and how figures are printed and kept."""

import os
import platform
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

import msgspec

from bench.processes import ROOT

OUT = ROOT / "bench/out"
COLUMNS = ("measured", "server", "figure", "least", "unit", "bar", "")


class Figure(msgspec.Struct, frozen=True):
    """One number, the median of its samples. `at_most` or `at_least` is the bar it has to meet, if it has one."""

    measured: str
    server: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    samples: tuple[float, ...] = ()

    @property
    def meets_bar(self) -> bool:
        low = self.at_least if self.at_least is not None else self.value
        high = self.at_most if self.at_most is not None else self.value
        return low <= self.value <= high

    def cells(self) -> tuple[str, ...]:
        bar = f"<= {self.at_most:g}" if self.at_most is not None else ""
        bar = f">= {self.at_least:g}" if self.at_least is not None else bar
        verdict = ("ok" if self.meets_bar else "MISSED") if bar else ""
        least = f"{min(self.samples):.4g}" if self.samples else ""
        return self.measured, self.server, f"{self.value:.4g}", least, self.unit, bar, verdict


def figure(measured: str, server: str, samples: Sequence[float], unit: str, at_most: float | None = None) -> Figure:
    """The median of the samples as a figure."""
    kept = tuple(round(sample, 3) for sample in samples)
    return Figure(measured, server, median(samples), unit, at_most=at_most, samples=kept)


def table(figures: Iterable[Figure]) -> str:
    """The figures as aligned text, one a line."""
    rows = [COLUMNS, *(each.cells() for each in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def keep(name: str, figures: Sequence[Figure]) -> Path:
    """Write the figures with their samples to bench/out/NAME.json."""
    OUT.mkdir(exist_ok=True)
    machine = {"cpus": os.cpu_count(), "kernel": platform.release(), "python": sys.version.split()[0]}
    path = OUT / f"{name}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode({"machine": machine, "figures": figures}), indent=1))
    return path
