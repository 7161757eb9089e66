"""What each compressor and reducer writes for the project's own cases, by version.

A form that changes without a new `version` would go unnoticed. Nobody could say which release changed it, or what that
costs conversations that are open. `python -m tests.compressors.golden` adds new cases to `golden.json`, and takes a
new form only where the version was raised.
"""

import sys
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import msgspec
from msgspec import Struct

from proxy_pkg.compressors.contract import Compressor, Reducer
from proxy_pkg.compressors.json_wrapper import peel
from proxy_pkg.compressors.table import CHAINS, REDUCERS

FILE = Path(__file__).with_name("golden.json")
CASES = Path(__file__).parents[1] / "cases"
DIGEST_BYTES = 8


class Golden(Struct):
    """The forms of one version: digest of a text -> digest of what it becomes."""

    version: int
    forms: dict[str, str]


def digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).hexdigest()


def current() -> dict[str, Golden]:
    """What the code here writes for every case, by the name of the compressor or reducer."""
    found: dict[str, Golden] = {}
    for path in sorted(CASES.rglob("*.txt")):
        if path.name != "out.txt":
            whole = path.read_bytes().decode("utf-8", "replace")
            for body in (peel(whole, is_quoted=False).body, peel(whole).body):
                for step, text, form in _steps(body):
                    golden = found.setdefault(step.name, Golden(step.version, {}))
                    golden.forms[digest(text)] = digest(form)
    return found


def _steps(body: str) -> Iterator[tuple[Compressor | Reducer, str, str]]:
    for chain in CHAINS.values():
        text = body
        for step in chain:
            form = step.compress(text)
            if form is not None:
                yield step, text, form
                text = form
    for reducer in REDUCERS.values():
        reduced = reducer.reduce(body, ())
        if reduced is not None:
            yield reducer, body, reduced


def kept() -> dict[str, Golden]:
    """What `golden.json` has."""
    return msgspec.json.decode(FILE.read_bytes(), type=dict[str, Golden]) if FILE.exists() else {}


def changed(before: dict[str, Golden], now: dict[str, Golden]) -> list[str]:
    """Those that write something else for a known text although their version is the same."""
    return [
        name
        for name, golden in now.items()
        if name in before
        and before[name].version == golden.version
        and any(before[name].forms.get(text, form) != form for text, form in golden.forms.items())
    ]


def main() -> None:
    """Write the file, or say whose version has to be raised first. Exits with 1 then."""
    now = current()
    if refused := changed(kept(), now):
        sys.exit(f"raise the version of {', '.join(refused)}: the same text becomes something else now")
    FILE.write_bytes(msgspec.json.format(msgspec.json.encode(now, order="sorted"), indent=1) + b"\n")


if __name__ == "__main__":
    main()
