"""`python -m bench`: measure, print a table, keep the samples in bench/out. Exits with 1 if a bar is missed."""

import argparse
import signal
import sys
from collections.abc import Callable

from bench.accounting import accounting
from bench.at_once import at_once
from bench.figures import Figure, keep, table
from bench.first_byte import first_byte
from bench.growth import growth
from bench.idle import idle
from bench.memory import memory
from bench.processes import StartError
from bench.requests import large, small
from bench.stacks import STACKS
from bench.streams import streams
from bench.turns import savings, turns

Measurement = Callable[[tuple[str, ...], Callable[[str], None]], list[Figure]]


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def run(measurements: list[str], servers: tuple[str, ...]) -> bool:
    """Whether every bar was met. A measurement that cannot be made says why and counts as missed."""
    met = True
    for name in measurements:
        try:
            figures = MEASUREMENTS[name](servers, say)
        except StartError as error:
            say(f"{name}: {error}")
            met = False
            continue
        print(table(figures), end="\n\n", flush=True)
        keep(name, figures)
        met = met and all(each.meets_bar for each in figures)
    return met


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("measurements", nargs="*", choices=[*MEASUREMENTS, []], help="which ones (all)")
    parser.add_argument("--servers", default=",".join(STACKS), help="of ours,bare,nginx (all)")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that servers are ended
    return 0 if run(given.measurements or list(MEASUREMENTS), tuple(given.servers.split(","))) else 1


MEASUREMENTS: dict[str, Measurement] = {
    "small": small,
    "large": large,
    "first_byte": first_byte,
    "turns": turns,
    "savings": savings,
    "streams": streams,
    "idle": idle,
    "growth": growth,
    "accounting": accounting,
    "memory": memory,
    "at_once": at_once,
}

if __name__ == "__main__":
    sys.exit(main())
