"""What an agent can quote of what it was sent: the old texts of its edits, each in one piece in one result.

An edit by exact text has to quote lines that stand in a file. Where they stood in one piece in one result as
the client sent it, they should in one as the API gets it, or the model would stitch them together from several.
Numbers before lines do not count, and neither do the escapes of a JSON string.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from bench.compression_decode import INVERSES
from bench.compression_price import MEMO_BYTES, NO_DEADLINE_NS, Recorded
from proxy_pkg.compressors import numbered
from proxy_pkg.compressors.json_wrapper import peel
from proxy_pkg.planning.draft import Memos
from proxy_pkg.planning.plan import settle
from proxy_pkg.planning.policy import Rules
from proxy_pkg.planning.reading import draw
from proxy_pkg.tokens.count import load

QUOTE_CHARS_MIN = 8
"""A shorter old text stands nearly everywhere."""
_NUMBER = re.compile(r"^(?: *[0-9]{1,9}(?:→|\t| ?\| ?|: ?|-)|L[0-9]{1,9}: ?)", re.MULTILINE)
_HUNK = re.compile(r"^@@")
_OLD = ("old_string", "old_str", "oldText", "old_text", "oldString", "search")


class Quote(msgspec.Struct, frozen=True):
    """The old text of an edit: `kind` is the tool that edits, and `results` so many came before it."""

    kind: str
    text: str
    results: int


class Quotable(msgspec.Struct):
    """How many quotes stood in one result as received, and which of these no longer do as sent."""

    name: str
    received: dict[str, int] = {}
    lost: list[Quote] = []

    def percent(self, kind: str = "") -> float:
        """Of the quotes of a kind, or of all, those that still stand in one piece."""
        whole = sum(count for each, count in self.received.items() if kind in ("", each))
        return 100 * (1 - sum(kind in ("", each.kind) for each in self.lost) / max(1, whole))


def quotes(messages: Sequence[Mapping[str, Any]]) -> Iterator[Quote]:
    """The old texts of all edits, in their order. Reads the formats of Anthropic and of OpenAI's chat."""
    results = 0
    for message in messages:
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            if part.get("type") == "tool_use":
                yield from _of_call(part["name"], part["input"], results)
            results += part.get("type") == "tool_result"
        for call in message.get("tool_calls") or ():
            try:
                arguments = msgspec.json.decode(call["function"]["arguments"])
            except msgspec.DecodeError:
                arguments = call["function"]["arguments"]
            yield from _of_call(call["function"]["name"], arguments, results)
        results += message.get("role") == "tool"


def _of_call(tool: str, arguments: Any, results: int) -> Iterator[Quote]:
    for kind, old in _olds(tool, arguments):
        if len(text := old.strip("\n")) >= QUOTE_CHARS_MIN:
            yield Quote(kind, text, results)


def _olds(tool: str, arguments: Any) -> Iterator[tuple[str, str]]:
    if isinstance(arguments, str):
        if "*** Update File" in arguments:
            yield from (("patch", old) for old in patched(arguments))
        return
    if isinstance(arguments, list):
        for each in arguments:
            yield from _olds(tool, each)
    elif isinstance(arguments, dict):
        for key, value in arguments.items():
            if key in _OLD and isinstance(value, str):
                yield tool, value
            elif key in ("edits", "input", "patch", "command", "cmd"):
                yield from _olds(tool, value)


def patched(patch: str) -> Iterator[str]:
    """Context and lines to go of each hunk of a patch: what has to be found in the file."""
    hunk: list[str] = []
    for line in [*patch.split("\n"), "@@"]:
        if _HUNK.match(line) or line.startswith("***"):
            if hunk:
                yield "\n".join(hunk)
            hunk = []
        elif line[:1] in (" ", "-"):
            hunk.append(line[1:])


def quotable(each: Recorded, rules: Rules) -> Quotable:
    """Look for every quote of a conversation in the results before it, as received and as sent."""
    assert each.protocol.conversation is not None
    memos = Memos(MEMO_BYTES)
    draft = draw(list(each.requests())[-1], each.protocol.conversation, memos, asking=rules.reduces)
    settle(draft, rules, load(), memos, NO_DEADLINE_NS)
    received: list[str] = []
    sent: list[str] = []
    for place in draft.places:
        assert place.decided is not None
        verdict = place.decided.verdict
        before = "" if place.text.index == 0 or not received else received.pop() + "\f"
        after = "" if place.text.index == 0 or not sent else sent.pop() + "\f"
        received.append(before + views(place.text.text))
        sent.append(after + views(place.text.text if verdict.text is None else shown(verdict.text, verdict.compressor)))
    found = Quotable(each.name)
    for quote in quotes(each.messages):
        if any(quote.text in text for text in received[: quote.results]):
            found.received[quote.kind] = found.received.get(quote.kind, 0) + 1
            if not any(quote.text in text for text in sent[: quote.results]):
                found.lost.append(quote)
    return found


def shown(sent: str, compressor: str) -> str:
    """A sent text, with all line numbers where only these went."""
    thinned = compressor.removeprefix("reference+")
    if thinned not in ("numbered", "search"):
        return sent
    whole = peel(sent)
    try:
        return whole.around(INVERSES[thinned](whole.body))
    except (ValueError, AssertionError):
        return sent


def views(text: str) -> str:
    """A text as it is, without numbers before its lines, and as the string in JSON that it is, one after another."""
    seen = [text, _NUMBER.sub("", text), "\n".join(_unnumbered(text.split("\n")))]
    if text.startswith("{"):
        with suppress(msgspec.DecodeError):
            seen += [views(value) for value in msgspec.json.decode(text).values() if isinstance(value, str)]
    return "\f".join(seen)


def _unnumbered(lines: list[str]) -> list[str]:
    style = numbered.find_style(lines)
    return lines if style is None else [line.text for line in numbered.parse(lines, style)]


_AS_WAS = re.compile(r"^ *([0-9]{1,9})→", re.MULTILINE)


def as_today(each: Recorded) -> Recorded:
    """A conversation with its file reads as today's client prints them: `12<TAB>text`, no blanks before the number."""
    return msgspec.structs.replace(each, name=f"{each.name}, today's form", messages=_today(each.messages))


def _today(value: Any) -> Any:
    if isinstance(value, list):
        return [_today(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") == "tool_result":
        return value | {"content": _renumbered(value.get("content"))}
    return value | {"content": _today(value["content"])} if "content" in value else value


def _renumbered(content: Any) -> Any:
    if isinstance(content, str):
        return _AS_WAS.sub(r"\1\t", content)
    if isinstance(content, list):
        return [_renumbered(one) for one in content]
    return (
        content | {"text": _renumbered(content["text"])} if isinstance(content, dict) and "text" in content else content
    )
