"""Recorded agent conversations, and the requests that a client would have made of them.

The folder is named by the variable CORPUS; without it a corpus beside the checkout is used if there is one,
else the small conversations in tests/cases. Each file holds one Anthropic Messages request body.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from bench.processes import ROOT

CASES = ROOT / "tests/cases/conversations"
BESIDE = ROOT.parent / "shared/corpus"


class Conversation(msgspec.Struct, frozen=True):
    """A whole conversation. `fields` are the body's fields other than its messages, in their order."""

    name: str
    fields: dict[str, Any]
    messages: list[dict[str, Any]]

    def turns(self) -> Iterator[bytes]:
        """The bodies a client sends: one for each user message, holding all messages up to it."""
        for end, message in enumerate(self.messages, 1):
            if message["role"] == "user":
                yield msgspec.json.encode(self.fields | {"messages": self.messages[:end]})


def folder() -> Path:
    """Where conversations are read from: CORPUS, or the corpus beside the checkout, or the cases."""
    corpus = Path(os.environ["CORPUS"]) if os.environ.get("CORPUS") else BESIDE
    return corpus if corpus.is_dir() else CASES


def conversations(place: Path) -> list[Conversation]:
    """All conversations under a folder, ordered by name; every *.json with messages counts as one."""
    files = sorted(place.rglob("*.anthropic-messages.json")) or sorted(place.glob("*.json"))
    return [read(file) for file in files]


def read(file: Path) -> Conversation:
    body: dict[str, Any] = msgspec.json.decode(file.read_bytes())
    messages = body.pop("messages")
    return Conversation(file.name.partition(".")[0], body, messages)
