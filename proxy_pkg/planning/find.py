"""Document and map become spans: which texts of an item may shrink, and which tool call each is the result of."""

from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec
from msgspec import Struct, structs

from proxy_pkg.compressors.notation import is_ours
from proxy_pkg.errors import ScanError
from proxy_pkg.model import Producer
from proxy_pkg.planning.arguments import NONE, kept
from proxy_pkg.protocols.grammar import CallPlace, Conversation, ResultPlace
from proxy_pkg.wire.scan import Path, locate, parse

_LEAF_DEPTH_MAX = 8
_LEAVES_MAX = 512
_RECORDS_MIN = 3
_RECORD_TEXT_CHARS = 400
"""A string from this length on is planned by itself, and so is all beside it."""
_CONTROLS = bytes(range(0x20))
_QUESTION_CHARS_MAX = 4096
_NAME_CHARS_MAX = 256  # of a tool; APIs take 64 or 128
_STEP_BYTES = 1 << 20
ITEM_BYTES_MAX = 8 << 20  # reading one item holds the interpreter for about 5 ms per MiB


Answers = tuple[tuple[str, str], ...]
"""Results: the id of the call that each says it answers, empty where it says none, and its tool."""


class Text(Struct, frozen=True):
    """A text of a tool result: `start` and `end` are byte offsets in its item, quotes included.

    An array of records inside a result is a text too, as it is spelled; what is sent instead is a string.

    `call` is the id of the tool call it answers, `tool` the tool's name where the result says it, `index` its place
    among the texts of that result. `answer` says which of Outline.answers the result is, -1 for none of them.
    `command` counts the commands of the call up to the one that printed it, among `commands` that have an output; these
    are 0 where a result is not told apart by commands.
    """

    start: int
    end: int
    text: str
    call: str
    tool: str
    index: int = 0
    for_program: bool = False
    """The result itself says that a program made the call."""
    answer: int = -1
    command: int = 0
    commands: int = 0
    is_ours: bool = False
    """A server of ours has shortened it already."""


class Outline(Struct, frozen=True):
    """What matters of one item: the tool calls it makes, by id, and the texts of results that it brings.

    A call without an id has the name of its tool instead. `answers` are the results that may have to be told by their
    order, with a text or without.
    """

    calls: tuple[tuple[str, Producer], ...] = ()
    texts: tuple[Text, ...] = ()
    answers: Answers = ()
    doubt: str = ""
    """Why the item is left alone although it may hold results; empty if it was read."""


def is_worth_reading(data: bytes, conversation: Conversation) -> bool:
    """Whether an item, or a whole body, can hold a tool call or result at all."""
    if len(data) > _STEP_BYTES:
        return any(_holds(data, sign) for sign in conversation.signs)
    for sign in conversation.signs:  # noqa: SIM110  # a generator would cost more than the search
        if sign in data:
            return True
    return False


def _holds(data: bytes, sign: bytes) -> bool:
    """Whether `sign` is in `data`, looked for step by step: one search holds the interpreter until its end."""
    return any(
        data.find(sign, start, start + _STEP_BYTES + len(sign) - 1) >= 0 for start in range(0, len(data), _STEP_BYTES)
    )


def outline(item: bytes, conversation: Conversation) -> Outline:
    """Read one item. A pure function of its bytes: the same item is read the same on every turn."""
    if len(item) > ITEM_BYTES_MAX:
        return Outline(doubt="item_too_large")
    element = item.lstrip(b", \t\n\r")
    try:
        value = parse(element)
        texts, answers = _texts(element, len(item) - len(element), value, conversation)
    except ScanError:
        return Outline(doubt="item_unreadable")
    calls = tuple(call for place in conversation.calls for call in _calls(value, place))
    return Outline(calls=calls, texts=texts, answers=answers)


def question_in(item: bytes, conversation: Conversation) -> str:
    """The user's own words in an item, the last _QUESTION_CHARS_MAX characters of them; empty if there are none."""
    if len(item) > ITEM_BYTES_MAX:
        return ""
    try:
        value = parse(item.lstrip(b", \t\n\r"))
    except ScanError:
        return ""
    texts = [
        text
        for place in conversation.questions
        for _, part in _parts(value, place.parts)
        if (held := _held(part, place)) is not None
        for _, text in _strings(held.get(place.text), place)
        if text is not None
    ]
    return "\n".join(texts).strip()[-_QUESTION_CHARS_MAX:]


def _parts(item: Any, key: str) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The parts of an item listed at `key`, or the item itself if there is no key, with their paths."""
    if not isinstance(item, dict):
        return
    if not key:
        yield (), item
        return
    parts = item.get(key)
    if isinstance(parts, list):
        for index, part in enumerate(parts):
            if isinstance(part, dict):
                yield (key, index), part
    elif isinstance(parts, dict):
        yield (key,), parts


def _held(part: Mapping[str, Any], place: CallPlace | ResultPlace) -> Mapping[str, Any] | None:
    if place.when and part.get(place.when[0]) not in place.when[1]:
        return None
    held = part.get(place.holder) if place.holder else part
    return held if isinstance(held, dict) else None


def _calls(item: Any, place: CallPlace) -> Iterator[tuple[str, Producer]]:
    for _, part in _parts(item, place.parts):
        held = _held(part, place)
        if held is None:
            continue
        name = place.fixed_name or held.get(place.name)
        # Gemini's calls often have no id: the name has to do, and their order (callers.py).
        call = held.get(place.id) or part.get(place.id) or name
        if isinstance(name, str) and isinstance(call, str):
            by_program = _is_for_program(held) or _is_for_program(part)
            made = Producer(name[:_NAME_CHARS_MAX], _arguments(held.get(place.arguments)), for_program=by_program)
            yield call, made
            other = held.get(place.other_id) if place.other_id else None
            if isinstance(other, str) and other and other != call:
                yield other, made


def _is_for_program(part: Mapping[str, Any]) -> bool:
    """Whether a call, or its result, says that a program made the call: Anthropic's code execution, OpenAI's programs.

    A model that calls a tool itself says `direct`, or nothing.
    """
    caller = part.get("caller")
    return isinstance(caller, dict) and caller.get("type") not in (None, "direct")


def _arguments(value: Any) -> Mapping[str, Any]:
    """What is kept of a call's arguments: an object, or a JSON text of one, or any other text under the key "input"."""
    if isinstance(value, str):
        try:
            parsed = msgspec.json.decode(value) if value.lstrip().startswith("{") else None
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            parsed = None
        value = parsed if isinstance(parsed, dict) else {"input": value}
    return kept(value) if isinstance(value, dict) else NONE


def _texts(element: bytes, offset: int, item: Any, conversation: Conversation) -> tuple[tuple[Text, ...], Answers]:
    """The texts of results, and those results that may have to be told by their order."""
    wanted: dict[Path, Text] = {}
    spelled: set[Path] = set()
    answers: list[tuple[str, str]] = []
    for place in conversation.results:
        for path, part in _parts(item, place.parts):
            held = _held(part, place)
            if held is None:
                continue
            inside = (*path, place.holder) if place.holder else path
            tool = _said(held, place.name, place.other_name)
            call = _said(held, place.id, place.other_id)
            answer = -1
            if place.by_order:
                answer = len(answers)
                answers.append((call if place.id != place.name else "", tool))
            for_program = _is_for_program(held) or _is_for_program(part)
            value = held.get(place.text)
            commands = len(value) if place.by_command and isinstance(value, list) else 0
            for index, (text_path, text) in enumerate(_strings(value, place)):
                command = int(text_path[0]) if commands else 0
                at = (*inside, place.text, *text_path)
                if text is None:
                    spelled.add(at)
                wanted[at] = Text(
                    0,
                    0,
                    text or "",
                    call or tool,
                    tool[:_NAME_CHARS_MAX],
                    index,
                    for_program,
                    answer,
                    command,
                    commands,
                )
    if not wanted:
        return (), tuple(answers)
    return tuple(_placed(element, offset, wanted, spelled)), tuple(answers)


def _placed(element: bytes, offset: int, wanted: Mapping[Path, Text], spelled: Collection[Path]) -> Iterator[Text]:
    """The texts with their offsets. At `spelled` paths are arrays of records, whose text is their spelling."""
    found = locate(element, list(wanted))
    for path, text in wanted.items():
        span = found.get(path)
        if span is None:
            continue
        literal = element[span[0] : span[1]]
        if path not in spelled and not _is_well_spelled(literal):
            continue
        content = literal.decode() if path in spelled else text.text
        start, end = span[0] + offset, span[1] + offset
        yield structs.replace(text, start=start, end=end, text=content, is_ours=is_ours(content))


def _said(held: Mapping[str, Any], key: str, other: str) -> str:
    """The text at one of two keys, the first that has one; empty without."""
    for each in (key, other):
        value = held.get(each) if each else None
        if isinstance(value, str) and value:
            return value
    return ""


def _is_well_spelled(literal: bytes) -> bool:
    """False with a raw control character, which JSON forbids: writing it anew would mend what a provider refuses."""
    return len(literal.translate(None, _CONTROLS)) == len(literal)


def _strings(value: Any, place: ResultPlace) -> Iterator[tuple[Path, str | None]]:
    """The texts in a value with their paths; None for the JSON text of the object or array that stands there."""
    if isinstance(value, str):
        yield (), value
    elif place.leaves or (place.leaves_of_object and isinstance(value, dict)):
        yield from islice(_leaves(value, (), _LEAF_DEPTH_MAX, has_records=place.records), _LEAVES_MAX)
    elif isinstance(value, list):
        yield from islice(_strings_of_parts(value, place), _LEAVES_MAX if place.leaves_at else None)


def _strings_of_parts(parts: list[Any], place: ResultPlace) -> Iterator[tuple[Path, str | None]]:
    for index, part in enumerate(parts):
        if not isinstance(part, dict):
            continue
        inner = part.get("text")
        if isinstance(inner, str) and part.get("type", "") in place.text_types:
            yield (index, "text"), inner
        if place.leaves_at and place.leaves_at in part:
            yield from _leaves(
                part[place.leaves_at], (index, place.leaves_at), _LEAF_DEPTH_MAX, has_records=place.records
            )


def _leaves(value: Any, path: Path, depth_left: int, *, has_records: bool) -> Iterator[tuple[Path, str | None]]:
    if isinstance(value, str):
        yield path, value
    elif depth_left:
        members: Any = ()
        if isinstance(value, dict):
            members = value.items()
        elif isinstance(value, list):
            members = enumerate(value)
        for key, member in members:
            if has_records and isinstance(member, list) and _are_records(member):
                yield (*path, key), None
            else:
                yield from _leaves(member, (*path, key), depth_left - 1, has_records=has_records)


def _are_records(values: list[Any]) -> bool:
    """Whether an array is one text, as JSON: of several objects, none of which holds a text long enough to shrink."""
    return (
        len(values) >= _RECORDS_MIN
        and all(isinstance(value, dict) for value in values)
        and not any(_has_text(value, _LEAF_DEPTH_MAX) for value in values)
    )


def _has_text(value: Any, depth_left: int) -> bool:
    if isinstance(value, str):
        return len(value) >= _RECORD_TEXT_CHARS
    if not depth_left:
        return False
    members: Any = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_has_text(member, depth_left - 1) for member in members)
