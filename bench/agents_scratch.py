"""The folder in which the agents of bench/agents.py work: files of every kind that agents read, the same each time.

The outputs are made by the real programs (git, grep, gcc, pytest, ls) when the agent runs them. Only what a program
cannot make small and the same each time, such as a log of a day, is written here.
"""

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import msgspec

SEED = 7
PROGRAMS = "programs"
"""The folder of the programs that are put first on the path of an agent."""
SERVED = ("orders.json", "page.html", "table.csv")
"""Files that the fake upstream also serves, so that an output can be no file's text."""
_NAMES = ("invoice", "order", "parcel", "refund", "stock", "vendor", "audit", "ledger")
_GIT = {
    "GIT_AUTHOR_NAME": "Builder",
    "GIT_AUTHOR_EMAIL": "builder@example.test",
    "GIT_COMMITTER_NAME": "Builder",
    "GIT_COMMITTER_EMAIL": "builder@example.test",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
}


def write(folder: Path, programs: Path, ripgrep: Path | None = None) -> None:
    """Fill `folder`, a git repository at its end, and `programs` with what the agents run."""
    random = Random(SEED)
    for name in _NAMES:
        _put(folder / f"src/{name}.py", module(name, random))
    _put(folder / "tests/test_totals.py", tests())
    _put(folder / "native/parse.c", c_source())
    _put(folder / "Makefile", "build:\n\tgcc -Wall -Wextra -c native/parse.c -o /dev/null\n")
    _put(folder / "orders.json", orders(random))
    _put(folder / "table.csv", table(random))
    _put(folder / "page.html", page(random))
    _put(folder / "server.log", log(random))
    _commit(folder)
    _put(programs / "pytest", f'#!/bin/sh\nexec "{sys.executable}" -m pytest -p no:cacheprovider "$@"\n')
    (programs / "pytest").chmod(0o755)
    if ripgrep is not None:
        (programs / "rg").symlink_to(ripgrep)


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def module(name: str, random: Random) -> str:
    """A source file of about 180 lines."""
    parts = [
        f'"""What is known of each {name}, and how its totals are made."""\n\nfrom dataclasses import dataclass\n\n'
    ]
    parts.append(
        f"\n@dataclass\nclass {name.title()}:\n    number: int\n    state: str\n    cents: int\n    note: str = ''\n"
    )
    for n in range(14):
        field, factor = random.choice(("cents", "number")), random.randint(2, 99)
        parts.append(
            f"\n\ndef {name}_{n:02}(rows: list[{name.title()}], limit: int = {factor}) -> int:\n"
            f'    """Return the {field} of the rows up to the limit, doubled where the state asks for it."""\n'
            f"    total = 0\n"
            f"    for row in rows[:limit]:\n"
            f"        if row.state == 'state-{n % 5}':\n"
            f"            total += row.{field} * {factor}\n"
            f"        else:\n"
            f"            total -= row.{field}\n"
            f"    return total\n"
        )
    return "".join(parts)


def tests() -> str:
    """Tests of which two fail."""
    lines = ["import pytest\n\n\ndef total(rows):\n    return sum(rows) if len(rows) != 17 else 0\n\n"]
    lines.append("\n@pytest.mark.parametrize('size', range(60))\ndef test_a_total_grows(size):\n")
    lines.append("    assert total(list(range(size + 1))) >= total(list(range(size)))\n")
    lines += [f"\n\ndef test_part_{n:02}():\n    assert total([{n}, {n + 1}]) == {2 * n + 1}\n" for n in range(24)]
    lines.append("\n\ndef test_seventeen_rows():\n    assert total(list(range(17))) == 136\n")
    return "".join(lines)


def c_source() -> str:
    """A file with which a compiler finds fault line by line."""
    lines = ["#include <stdio.h>\n"]
    for n in range(18):
        lines.append(
            f"\nint part_{n}(int size, char *name)\n{{\n    int unused_{n};\n    unsigned at = 0;\n"
            f'    if (size > at)\n        printf("%s %d\\n", size, name);\n    return undeclared_{n % 3};\n}}\n'
        )
    return "".join(lines)


def orders(random: Random) -> str:
    """120 rows as a web API sends them."""
    rows = [
        {
            "id": 41_000 + n,
            "customer": {"id": random.randint(1, 400), "country": random.choice(("DE", "FR", "PL"))},
            "state": random.choice(("open", "paid", "sent")),
            "cents": random.randint(100, 90_000),
            "created_at": f"2026-03-{1 + n % 28:02}T0{n % 10}:15:00Z",
            "note": None,
        }
        for n in range(120)
    ]
    return msgspec.json.format(msgspec.json.encode(rows), indent=2).decode() + "\n"


def table(random: Random) -> str:
    """300 rows of a table."""
    lines = ["day,station,line,passengers,delay_seconds,state\n"]
    for n in range(300):
        day, station, line = f"2026-02-{1 + n // 12:02}", f"station-{n % 12:02}", f"U{n % 4}"
        lines.append(f"{day},{station},{line},{random.randint(10, 9000)},{random.randint(0, 240)},regular\n")
    return "".join(lines)


def page(random: Random) -> str:
    """A page of documentation, with what a site puts around one."""
    menu = "".join(
        f'<li class="nav-item nav-item--{n % 3}"><a class="nav-link" href="/docs/{name}/{n}">{name} {n}</a></li>\n'
        for n, name in enumerate(_NAMES * 5)
    )
    body = "".join(
        f'<section id="part-{n}"><h2 class="title">Part {n}</h2>\n<p class="text">'
        f"The {random.choice(_NAMES)} of part {n} is read before the {random.choice(_NAMES)} is written.</p>\n"
        f'<pre class="code"><code>read_{n}(limit={random.randint(1, 99)})</code></pre></section>\n'
        for n in range(60)
    )
    head = '<meta charset="utf-8"><title>Parts</title><style>.nav-item{margin:0}</style><script>var a=1;</script>'
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body><nav class="nav"><ul>\n{menu}</ul></nav>\n'
        f"<main>\n{body}</main></body></html>\n"
    )


def log(random: Random) -> str:
    """A log of 260 lines with a few errors."""
    lines = []
    for n in range(260):
        at = f"2026-03-01 10:{n // 60:02}:{n % 60:02},{random.randint(0, 999):03}"
        if n % 53 == 17:
            lines.append(f"{at} ERROR app.store: order {41_000 + n} was not written: timeout after 5000 ms\n")
        else:
            lines.append(
                f"{at} INFO app.web: request {n} GET /orders/{41_000 + n % 40} took {random.randint(1, 90)} ms\n"
            )
    return "".join(lines)


def _commit(folder: Path) -> None:
    """A history of twelve commits, and changes that are in none."""
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _git(folder, "add", "--all", day=1)
    _git(folder, "commit", "--quiet", "--message=Take in the modules as they were", day=1)
    for n in range(2, 13):
        path = folder / f"src/{_NAMES[n % len(_NAMES)]}.py"
        path.write_text(path.read_text().replace("total = 0", f"total = {n}", 2))
        body = f"The total began at 0 and had to be set by its callers.\n\nChecked with the rows of day {n}."
        _git(folder, "commit", "--quiet", "--all", f"--message=Begin the total at {n}", f"--message={body}", day=n)
    for name in _NAMES[:3]:
        path = folder / f"src/{name}.py"
        path.write_text(path.read_text().replace("total -= row", "total -= 2 * row", 3))
    for n in range(9):
        _put(folder / f"src/draft_{n}.py", f"DRAFT = {n}\n")


def _git(folder: Path, *arguments: str, day: int = 1) -> None:
    at = f"2026-02-{day:02}T09:00:00+0000"
    moment = {"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at}
    subprocess.run(["git", *arguments], cwd=folder, env=os.environ | _GIT | moment, check=True, capture_output=True)
