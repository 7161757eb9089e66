"""What agents of today print, as they sent it: each form is known, with what stands around it.

`python -m bench.agents --keep FOLDER` writes the outputs of the installed versions.
"""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy_pkg.compressors.producers import NO_MORE
from proxy_pkg.compressors.wrapping import unwrap
from proxy_pkg.model import Grade, Producer, Verdict
from proxy_pkg.planning.policy import Rules, decide
from proxy_pkg.tokens.count import load
from tests.compressors import inverse_lines, inverse_records, inverse_reports, inverse_search, inverses

CASES = Path(__file__).parent.parent / "cases" / "agents"
CALLS: dict[str, dict[str, Any]] = msgspec.json.decode((CASES / "calls.json").read_bytes())
NUMBERED = {"claude-code/read", "opencode/read"}
FORMS = {
    "search": "reports",
    "names": "paths",
    "ls": "listing",
    "log": "printed",
    "cut-csv": "printed",
}
INVERSES = {
    "numbered": inverses.numbered,
    "reports": inverse_reports.reports,
    "paths": inverse_search.paths,
    "listing": inverse_records.records,
    "printed": inverse_lines.lines,
}


def text_of(name: str) -> str:
    return (CASES / f"{name}.txt").read_bytes().decode()


def verdict(name: str, text: str) -> Verdict:
    call = CALLS[name]
    return decide(text, Producer(call["tool"], call["arguments"]), Rules(5, 1 << 20, tools=NO_MORE), load())


@pytest.mark.parametrize("name", CALLS)
def test_the_output_of_an_agent_is_sent_in_its_form_and_can_be_put_back(name: str) -> None:
    text = text_of(name)
    made = verdict(name, text)
    kind = name.split("/")[1]
    if kind == "read" and name not in NUMBERED:
        assert (made.kind, made.text) == ("file", None), "an edit quotes it"
        return
    form = "numbered" if kind == "read" else FORMS[kind]
    assert (made.compressor, made.grade, made.reason) == (form, Grade.INVERTIBLE, "smaller")
    assert made.text is not None
    around, inside = unwrap(text), unwrap(made.text)
    assert (inside.head, inside.tail) == (around.head, around.tail)
    assert INVERSES[form](inside.body) == around.body


@pytest.mark.parametrize(
    ("name", "head", "tail"),
    [
        ("claude-code/ls", "", "</system-reminder>"),
        ("codex/ls", "Chunk ID: ", ""),
        ("codex/cut-csv", "Chunk ID: ", ""),
        ("gemini-cli/ls", "<untrusted_context>\nOutput: ", "</untrusted_context>"),
        ("qwen-code/ls", "Command: ls", "Process Group PGID: (none)"),
        ("opencode/ls", "", ""),
        ("pi/ls", "", ""),
    ],
)
def test_what_an_agent_puts_around_an_output_is_no_part_of_it(name: str, head: str, tail: str) -> None:
    found = unwrap(text_of(name))
    assert (found.head[: len(head)], found.tail[len(found.tail) - len(tail) :]) == (head, tail)
    assert bool(found.head) == bool(head)
    assert found.body.startswith(("native:\ntotal", "day,station"))
