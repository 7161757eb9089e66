"""Tool outputs to measure compression on: a folder for each kind, and numbered reads out of conversations.

A corpus has a folder for each kind with one output in each file; the cases of the project have a folder for each
output, with the output in `in.txt`. Conversations are raw session logs (`*.jsonl`), trajectories in the OpenAI chat
format (`*.traj.json`) and request bodies (`*.anthropic-messages.json`).
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from bench.processes import ROOT
from proxy_pkg.model import Producer

CASES = ROOT / "tests/cases"
BESIDE = ROOT.parent / "shared/corpus"
READS = "numbered reads"
ALL = "all"
HEADROOM_SOURCE = "Headroom 0.42, measured on the same files"

_NUMBERED = re.compile(r"(?:^ *[0-9]+[→\t].*\n){5}", re.MULTILINE)


class Kind(msgspec.Struct, frozen=True):
    """A kind of output: the folders that hold it, the percent of tokens to save, and what Headroom saves."""

    name: str
    folders: tuple[str, ...]
    lossless_at_least: float | None = None
    balanced_at_least: float | None = None
    headroom: float | None = None


class Block(msgspec.Struct, frozen=True):
    """One tool output, and the call that it answers: where that is not known, some shell command."""

    kind: str
    name: str
    text: str
    producer: Producer = Producer("bash")

    @property
    def bytes(self) -> int:
        return len(self.text.encode("utf-8", "surrogatepass"))


PRODUCERS = dict.fromkeys(("JSON", "HTML"), Producer("bash", {"command": "curl -s https://api.example.test/items"}))
"""What such outputs came from. Where that is not known a file may hold them, and then bytes have to come back."""


def place(given: str) -> Path:
    """The corpus: the given folder, else one beside the checkout if there is one, else the project's cases."""
    if given:
        return Path(given)
    return BESIDE if BESIDE.is_dir() else CASES


def blocks(corpus: Path) -> list[Block]:
    """All outputs of a corpus, ordered by kind and name. Bytes that are no UTF-8 become replacement characters."""
    root = corpus / "compressors" if (corpus / "compressors").is_dir() else corpus
    found = [
        Block(
            kind_of(folder.name),
            f"{folder.name}/{name}",
            file.read_bytes().decode(errors="replace"),
            PRODUCERS.get(kind_of(folder.name), Producer("bash")),
        )
        for folder in sorted(root.iterdir())
        if folder.is_dir() and folder.name not in NO_OUTPUTS
        for name, file in _files(folder)
    ]
    order = [kind.name for kind in KINDS]
    found += reads(corpus)
    return sorted(found, key=lambda block: order.index(block.kind) if block.kind in order else len(order))


def kind_of(folder: str) -> str:
    return next((kind.name for kind in KINDS if folder in kind.folders), folder)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.iterdir()):
        if path.is_file():
            yield path.name, path
        elif (path / "in.txt").is_file():
            yield path.name, path / "in.txt"


def reads(corpus: Path) -> list[Block]:
    """Tool results in conversations that are file reads with a number before each line, each call once."""
    found: dict[str, Block] = {}
    for path in conversation_files(corpus):
        for call, producer, text in results(_messages(path)):
            if call not in found and _NUMBERED.search(text):
                found[call] = Block(READS, f"{path.name.partition('.')[0]}/{len(found)}", text, producer)
    return list(found.values())


def conversation_files(corpus: Path) -> list[Path]:
    """Session logs, trajectories and request bodies below `corpus`, in this order."""
    patterns = ("*claude-code*.jsonl", "*.traj.json", "*.anthropic-messages.json", "conversations/*.json")
    return [path for pattern in patterns for path in sorted(corpus.rglob(pattern))]


def _messages(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    if path.suffix != ".jsonl":
        return list(msgspec.json.decode(data)["messages"])
    records = (msgspec.json.decode(line) for line in data.splitlines() if line.strip())
    return [record["message"] for record in records if isinstance(record.get("message"), dict)]


def results(messages: Iterable[dict[str, Any]]) -> Iterator[tuple[str, Producer, str]]:
    """Tool results: the call's id, the call, the text. Reads the formats of Anthropic and of OpenAI's chat."""
    calls: dict[str, Producer] = {}
    for message in messages:
        content = message.get("content")
        parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
        for part in parts:
            if part.get("type") == "tool_use":
                calls[part["id"]] = Producer(part["name"], part["input"])
        for call in message.get("tool_calls") or ():
            function = call["function"]
            calls[call["id"]] = Producer(function["name"], _arguments(function["arguments"]))
        if message.get("role") == "tool" and isinstance(content, str):
            yield message["tool_call_id"], calls.get(message["tool_call_id"], Producer()), content
        for part in parts:
            if part.get("type") == "tool_result":
                for text in texts(part.get("content")):
                    yield part["tool_use_id"], calls.get(part["tool_use_id"], Producer()), text


def texts(content: Any) -> list[str]:
    """The texts of a tool result: a string, or the text parts of a list."""
    if isinstance(content, str):
        return [content]
    return [part["text"] for part in content or () if isinstance(part, dict) and part.get("type") == "text"]


def _arguments(text: str) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        value = None
    return value if isinstance(value, dict) else {"input": text}


NO_OUTPUTS = frozenset(("full-agent-trajectories", "wire-cassettes", "conversations"))
"""Folders that hold whole conversations or API answers."""
KINDS = (
    Kind(READS, ("numbered",), 28, 28, 0),
    Kind("JSON", ("json-tool-results", "json"), 36, 65, 39.9),
    Kind("logs", ("logs", "log"), 25, 65, 11.3),
    Kind("search", ("search-results", "search", "paths"), 30, 40, 12.2),
    Kind("diffs", ("diffs", "diff"), 3, 20, 13.8),
    Kind("tests and builds", ("test-output", "tests", "lint", "build", "go-test"), 15, 50, 14.8),
    Kind("HTML", ("html", "markup"), 10, 75, 25.2),
    Kind("CSV", ("csv", "delimited"), 10, 70, 21.3),
    Kind("code", ("code",), 0, 0, 0),
    Kind("prose", ("prose-markdown", "prose"), 0, 0, 0.8),
)
TOTAL = Kind(ALL, (), 24, 55, 20.4)
"""All of the above but the reads, which stand inside conversations."""
