"""The nouns that cross floors. All are frozen: a value that two rooms hold cannot change under one of them."""

from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, Final

from msgspec import Struct

DIGEST_BYTES: Final = 16


class Level(StrEnum):
    """How far compression may go, as `HEADROOM_COMPRESSION` says it."""

    OFF = "off"
    OBSERVE = "observe"
    LOSSLESS = "lossless"
    BALANCED = "balanced"


class Grade(StrEnum):
    """What a compressor promises about its output."""

    INVERTIBLE = "invertible"
    """An inverse returns the input byte for byte."""
    VALUE_EQUAL = "value-equal"
    """Parsing input and output gives equal values."""
    PRESENTATION = "presentation"
    """The same text as a person would see it on a screen."""
    LOSSY = "lossy"
    """Whole lines or records may be missing, each gap marked in its place."""


class Producer(Struct, frozen=True, dict=True):
    """The tool call whose result a span is: its name and the arguments that the model gave it, as far as they are kept
    (planning/arguments.py).

    `name` is empty where the request does not say which tool was called. `question` is the last text of the user
    before the call, empty where nothing depends on it.
    """

    name: str = ""
    arguments: Mapping[str, Any] = MappingProxyType({})
    question: str = ""
    for_program: bool = False
    """A program made the call and parses its result; no model reads it."""

    @cached_property
    def digest(self) -> bytes:
        """What the call is told from others by, made once."""
        content = f"{self.name!r}{dict(self.arguments)!r}{self.question!r}" + "program" * self.for_program
        return blake2b(content.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()


class Span(Struct, frozen=True):
    """A text inside a body that may shrink.

    `start` and `end` are byte offsets of its JSON string literal in the body, quotes included.
    """

    start: int
    end: int
    text: str
    producer: Producer


class Verdict(Struct, frozen=True):
    """What was decided about one span, and why.

    `text` is what to send in its place, None to leave it alone. Token counts are estimates by o200k_base;
    `tokens_after` equals `tokens_before` where the text stays.
    """

    reason: str
    kind: str = ""
    compressor: str = ""
    grade: Grade | None = None
    text: str | None = None
    tokens_before: int = 0
    tokens_after: int = 0


class Replacement(Struct, frozen=True):
    """New bytes for the byte range `start` to `end` of a body."""

    start: int
    end: int
    data: bytes


class Upstream(Struct, frozen=True):
    """A place that requests are relayed to, as the settings name it.

    `url` is scheme://host[:port][/path], without a slash at its end. `api` is anthropic, openai or gemini: it shapes
    errors where the path does not say more. Requests of this API whose model fits one of the patterns in
    `models` (`*` and `?` as in file names) go here too, without the prefix `/u/NAME`.
    """

    name: str
    url: str
    api: str
    models: tuple[str, ...] = ()


class Head(Struct, frozen=True):
    """The first part of an HTTP request: method, raw target (path and query as they came), headers in order."""

    method: str
    target: str
    headers: list[tuple[bytes, bytes]]
