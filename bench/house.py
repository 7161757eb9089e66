"""The structure of the package in figures, for the files here or for any commit: `python -m bench.house [COMMIT]`.

The figures of a request come from a server of that commit with one worker, the defaults, and a warm small chat before
an upstream that answers at once. It runs with the libraries that are installed here.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.bodies import small_chat
from bench.driver import load
from bench.house_static import Row, modules_of, rows_of
from bench.processes import ROOT, Server, children, free_port, started
from bench.stacks import canned, ours_environment

COUNT = signal.SIGRTMIN
WARM_REQUESTS = 100
COUNTED_REQUESTS = 7
SETTLE_SECONDS = 0.3
LIMIT_SECONDS = 10.0


@contextlib.contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """The files of a commit in a directory of their own; those here where `commit` is empty. Raises SystemExit."""
    if not commit:
        yield ROOT
        return
    with tempfile.TemporaryDirectory(prefix="house-") as folder:
        archive = subprocess.run(
            ["git", "-C", str(ROOT), "archive", "--format=tar", commit],
            capture_output=True,
        )
        if archive.returncode:
            raise SystemExit(f"git knows no commit {commit!r}: {archive.stderr.decode().strip()}")
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        yield Path(folder)


@contextlib.contextmanager
def served(place: Path, folder: Path) -> Iterator[tuple[Server, Path]]:
    """A server of a checkout whose worker counts calls, and the file that it writes them to."""
    with canned(folder) as upstream:
        port, calls = free_port(), folder / "calls"
        environment = ours_environment(upstream.url, port, folder)
        environment |= {"PYTHONPATH": str(place), "HOUSE_CALLS": str(calls), "HEADROOM_WORKERS": "1"}
        arguments = [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "bench/house_conf.py")]
        with started(arguments, port, folder / "ours.log", "/readyz", environment, cwd=place) as server:
            yield server, calls


def counted(server: Server, worker: int, calls: Path) -> list[str]:
    """What one request called, as `bench/house_conf.py` writes it."""
    calls.unlink(missing_ok=True)
    os.kill(worker, COUNT)
    time.sleep(SETTLE_SECONDS)
    load(server.port, [small_chat()], 1)
    time.sleep(SETTLE_SECONDS)  # what a request leaves to do after its answer belongs to it
    os.kill(worker, COUNT)
    until = time.monotonic() + LIMIT_SECONDS
    while not calls.exists():
        if time.monotonic() > until:
            raise SystemExit(f"worker {worker} wrote no calls within {LIMIT_SECONDS:g} s: see {server}")
        time.sleep(SETTLE_SECONDS / 10)
    return calls.read_text().splitlines()


def live_rows(place: Path) -> list[Row]:
    """The report of one warm request."""
    with tempfile.TemporaryDirectory(prefix="house-") as folder, served(place, Path(folder)) as (server, calls):
        worker = children(server.process.pid)[-1]
        load(server.port, [small_chat()] * WARM_REQUESTS, 2)
        samples = [counted(server, worker, calls) for _ in range(COUNTED_REQUESTS)]
        threads = len(list(Path(f"/proc/{worker}/task").iterdir()))
    totals = [tuple(map(int, sample[0].split())) for sample in samples]
    modules = [len({line.split()[0] for line in sample[1:]}) for sample in samples]
    functions = [len(sample) - 1 for sample in samples]
    return [
        Row("modules of a warm request", f"{median(modules):g}", f"changes of module {median(t[1] for t in totals):g}"),
        Row("functions of a warm request", f"{median(functions):g}", f"calls {median(t[0] for t in totals):g}"),
        Row("threads of a worker", str(threads)),
    ]


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(prog="python -m bench.house", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("commit", nargs="?", default="", help="a commit, tag or branch; without it, the files here")
    parser.add_argument("--static", action="store_true", help="only what can be read; no server is started")
    options = parser.parse_args()
    with checkout(options.commit) as place:
        rows = rows_of(modules_of(place)) + ([] if options.static else live_rows(place))
    width = max(len(row.name) for row in rows)
    for row in rows:
        print(f"{row.name:<{width}}  {row.value:>6}  {row.detail}".rstrip())


if __name__ == "__main__":
    main()
