"""Writes docs/notations.md: `python -m bench.notations docs/notations.md`.

Every form of the registry is shown: when it is used, what it promises, how to read it (the words of its own module),
and a text before and after, from the cases of the tests or generated. So a form that changes needs this command again
and nothing else.
"""

import re
import sys
from base64 import b64encode
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from random import Random
from types import ModuleType
from typing import NamedTuple

import msgspec

from bench import agents_scratch
from bench.processes import ROOT
from proxy_pkg.compressors import aliases, columns, folding, gaps, grouping, legend, records, repeats, templates
from proxy_pkg.compressors.contract import Compressor, Reducer
from proxy_pkg.compressors.table import CHAINS, COMPRESSORS, REDUCERS, run_chain
from proxy_pkg.planning import references
from proxy_pkg.planning.explain import explain_body
from proxy_pkg.planning.policy import Rules
from proxy_pkg.protocols.anthropic import MESSAGES
from proxy_pkg.stats.reasons import GRADES
from proxy_pkg.tokens.count import count, load

SHARED = (records, columns, templates, grouping, repeats, aliases, gaps, legend)
"""What forms are made of that is described once."""
CASES = ROOT / "tests/cases/compressors"
SHOWN_LINES, SHOWN_CHARS = 12, 150
_HEAD = """# How shortened results are written

Written by `python -m bench.notations docs/notations.md` from the registry (`proxy_pkg/compressors/table.py`), the
modules of the forms and the cases of the tests; edit those, not this file.

The kind of a tool result says which forms are tried, one after the other; [reasons.md](reasons.md) says why a result
stays as it is, and [agents.md](agents.md) what each form saves with real agents. `proxyctl compress FILE` shows the
form of any text. Of long examples the first {lines} lines are shown, and {chars} characters of each.

| grade | promise |
|---|---|
{grades}
"""


class Example(NamedTuple):
    """A text, what becomes of it, and what it was."""

    source: str
    before: str
    after: str


def render() -> str:
    """The whole page."""
    grades = "\n".join(f"| {grade} | {promise} |" for grade, promise in GRADES.items())
    parts = [_HEAD.format(lines=SHOWN_LINES, chars=SHOWN_CHARS, grades=grades)]
    found = _examples()
    for compressor in COMPRESSORS:
        parts.append(_section(compressor, _kinds(compressor), found.get(compressor.name)))
    parts.append(_of_references())
    parts.append("## Parts of several forms\n")
    parts += [f"### {part.__name__.rpartition('.')[2]}\n\n{_prose(part.__doc__ or '')}" for part in SHARED]
    parts.append("## Forms with gaps\n\nOnly at the level `balanced`, which a server does not use so far.\n")
    for reducer in dict.fromkeys(REDUCERS.values()):
        kinds = [str(kind) for kind, each in REDUCERS.items() if each is reducer]
        parts.append(_section(reducer, kinds, found.get(reducer.name)))
    return "\n".join(parts)


def _kinds(compressor: Compressor) -> list[str]:
    return [str(kind) for kind, chain in CHAINS.items() if compressor in chain]


def _texts() -> Iterator[tuple[str, str, str]]:
    """The kind, the name and the text of every case, the short ones first."""
    texts = [(path.parent, path.read_bytes().decode()) for path in sorted(CASES.glob("*/*/in.txt"))]
    for folder, text in sorted(texts, key=lambda each: len(each[1])):
        yield folder.parent.name, f"`{folder.relative_to(ROOT)}`", text
    for kind, text in _generated():
        yield kind, "generated", text


def _generated() -> Iterator[tuple[str, str]]:
    """Texts for forms that need longer ones than the cases are."""
    log, cells = agents_scratch.log(Random(1)) * 4, agents_scratch.table(Random(2)) * 2
    yield "markup", agents_scratch.page(Random(3))
    yield "delimited", cells
    yield "padded", "\n".join("".join(f"{cell:<16}" for cell in line.split(",")).rstrip() for line in cells.split("\n"))
    yield "log", log
    yield "terminal", log.replace("INFO", "\x1b[32mINFO\x1b[0m")
    keys = (b64encode(Random(n).randbytes(3000)).decode() for n in range(3))
    yield "output", "".join(f"key {n}\n{key}\n" for n, key in enumerate(keys))


def _examples() -> dict[str, Example]:
    """An example for each form that has a case: what the form alone makes of it, else what its chain does."""
    found: dict[str, Example] = {}
    for kind, name, text in _texts():
        done = run_chain(kind, text)
        for step in done[1] if done else ():
            alone = step.compress(text) if done and len(done[1]) > 1 else None
            found.setdefault(step.name, Example(name, text, alone or (done[0] if done else text)))
        reducer = REDUCERS.get(kind)
        reduced = reducer.reduce(text, ()) if reducer else None
        if reducer and reduced:
            found.setdefault(reducer.name, Example(name, text, reduced))
    return found


def _section(form: Compressor | Reducer, kinds: list[str], example: Example | None) -> str:
    level = "##" if isinstance(form, Compressor) else "###"
    function = form.compress if isinstance(form, Compressor) else form.reduce
    text = f"{level} `{form.name}`\n\nFor texts of the kind {', '.join(kinds)}. Grade: {form.grade}.\n\n"
    module = sys.modules[function.__module__]
    text += _prose(module.__doc__ or "")
    if parts := _parts(module):
        text += f"\nParts: {', '.join(f'[{part}](#{part})' for part in parts)}.\n"
    return text + (_shown(example) if example else "")


def _prose(docstring: str) -> str:
    """A module's own words as Markdown: an indented part is code there as well."""
    names = "|".join(part.__name__.rpartition(".")[2] for part in SHARED)
    return re.sub(rf"\b({names})\.py\b", r"[\1](#\1)", cleandoc(docstring).rstrip()) + "\n"


def _parts(module: ModuleType) -> list[str]:
    """Which of SHARED a module uses, itself or by `folding`."""
    used = {getattr(each, "__module__", None) or getattr(each, "__name__", "") for each in vars(module).values()}
    used |= {each.__name__ for each in vars(module).values() if isinstance(each, ModuleType)}
    if folding.__name__ in used:
        used |= {grouping.__name__, repeats.__name__, aliases.__name__}
    return [part.__name__.rpartition(".")[2] for part in SHARED if part.__name__ in used]


def _shown(example: Example) -> str:
    before, after = count(example.before), count(example.after)
    return (
        f"\nBefore, {before} tokens ({example.source}):\n\n{_fenced(example.before)}\n"
        f"After, {after} tokens:\n\n{_fenced(example.after)}"
    )


def _fenced(text: str) -> str:
    lines = text.split("\n")
    shown = [line if len(line) <= SHOWN_CHARS else line[:SHOWN_CHARS] + " …" for line in lines[:SHOWN_LINES]]
    shown = [line.replace("\x1b", "␛").replace("\r", "␍").rstrip() for line in shown]
    if len(lines) > SHOWN_LINES:
        shown.append(f"… {len(lines) - SHOWN_LINES} more lines")
    fence = "~" * 6
    return f"{fence}text\n" + "\n".join(shown) + f"\n{fence}\n"


def _of_references() -> str:
    """A file that is read again after an edit."""
    lines = [f"    total += read_part({n}, limit={n * 7 % 90})" for n in range(1, 41)]
    edited = [*lines[:20], "    total = 0", *lines[20:]]
    reads = ["\n".join(f"{n}\t{line}" for n, line in enumerate(each, 1)) for each in (lines, edited)]
    messages = []
    for number, read in enumerate(reads):
        call = {"type": "tool_use", "id": f"toolu_01Ab{number}", "name": "Read", "input": {"file_path": "src/parts.py"}}
        result = {"type": "tool_result", "tool_use_id": f"toolu_01Ab{number}", "content": read}
        messages += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    body = msgspec.json.encode({"model": "m", "messages": messages})
    second = explain_body(body, MESSAGES, Rules(5, 1 << 20), load()).spans[1]
    sent = second.verdict.text or second.text
    text = "## `reference`\n\nFor lines that an earlier result of the same request shows. "
    text += f"Grade: {second.verdict.grade}.\n\n"
    text += _prose(references.__doc__ or "")
    text += f"\nBefore, {count(second.text)} tokens, the second read of a file:\n\n{_fenced(second.text)}\n"
    return text + f"After, {count(sent)} tokens:\n\n{_fenced(sent)}"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render())
