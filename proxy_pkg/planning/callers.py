"""The tool calls of a conversation, by their ids: which of them a text is the result of."""

from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from sys import getsizeof
from types import MappingProxyType
from typing import Final

from msgspec import structs

from proxy_pkg.model import Producer
from proxy_pkg.planning import arguments
from proxy_pkg.planning.find import Answers, Text
from proxy_pkg.protocols.grammar import Conversation

Calls = Mapping[str, Producer]
"""Tool calls by their ids."""

NO_CALLS: Final[Calls] = {}
_UNKNOWN: Final = Producer()
_NO_CALLS: Final[OrderedDict[str, Producer]] = OrderedDict()
_CALL_BYTES: Final = 350


class Callers:
    """The tool calls made so far, by id, and each as it is told together with the question: one object for each, so
    that its digest is made once.

    Some results do not say which call they answer. Such a one belongs to the first call of its tool in the turn that
    has no result yet. A turn begins with a call behind results. Where all calls of a turn have results, nothing of it
    is needed any more (`is_even`), so reading may be gone on with from there.
    """

    def __init__(self, producers: dict[str, Producer], conversation: Conversation) -> None:
        self.producers = producers
        self._question = ""
        self._asked: dict[int, tuple[Producer, Producer]] = {}
        self._named: dict[str, Producer] = {}
        self._of_programs: dict[int, tuple[Producer, Producer]] = {}
        self._of_commands: dict[tuple[int, int], tuple[Producer, Producer]] = {}
        places = [place for place in conversation.results if place.by_order]
        self._pairs = bool(places)
        self._pairs_ids = any(place.id != place.name for place in places)
        self._without_id: dict[str, deque[Producer]] = {}
        self._with_id: dict[str, OrderedDict[str, Producer]] = {}
        self._open = 0
        """Calls of this turn that have no result yet."""
        self._answered = False

    @property
    def is_even(self) -> bool:
        """Whether no result that is still to come can depend on the order of calls before it."""
        return not self._open

    def make(self, calls: Sequence[tuple[str, Producer]]) -> None:
        """These calls were made, in this order."""
        self.producers.update(calls)
        if not self._pairs or not calls:
            return
        if self._answered:
            self._without_id.clear()
            self._with_id.clear()
            self._open, self._answered = 0, False
        for name, producer in calls:
            if name == producer.name:
                self._without_id.setdefault(name, deque()).append(producer)
            elif self._pairs_ids:
                self._with_id.setdefault(producer.name, OrderedDict())[name] = producer
            else:
                continue
            self._open += 1

    def answer(self, answers: Answers) -> list[Producer | None]:
        """The call that each of these results answers, None where that is not known."""
        self._answered = self._answered or bool(answers)
        return [self._answer(call, tool) for call, tool in answers]

    def _answer(self, call: str, tool: str) -> Producer | None:
        known = self.producers.get(call) if call and call != tool else None
        if known is not None:
            if self._with_id.get(known.name, _NO_CALLS).pop(call, None) is not None:
                self._open -= 1
            return known
        if waiting := self._without_id.get(tool):
            self._open -= 1
            return waiting.popleft()
        if call and call != tool:
            return None  # that of a call that is not here: none of those with another id
        if named := self._with_id.get(tool):
            self._open -= 1
            return named.popitem(last=False)[1]
        return None

    def of(self, text: Text, question: str, answers: Sequence[Producer | None] = ()) -> Producer:
        """The call that `text` is the result of; `answers` are the calls of the results of its item."""
        producer = answers[text.answer] if text.answer >= 0 else self.producers.get(text.call)
        if producer is None:
            producer = self._named.setdefault(text.tool, Producer(text.tool)) if text.tool else _UNKNOWN
        if text.commands:
            producer = self._of_command(producer, text)
        if text.for_program and not producer.for_program:
            held = self._of_programs.get(id(producer))
            if held is None:
                held = self._of_programs[id(producer)] = producer, structs.replace(producer, for_program=True)
            producer = held[1]
        if not question:
            return producer
        if question != self._question:
            self._question = question
            self._asked.clear()
        asked = self._asked.get(id(producer))
        if asked is None:
            asked = self._asked[id(producer)] = producer, structs.replace(producer, question=question)
        return asked[1]

    def _of_command(self, producer: Producer, text: Text) -> Producer:
        """The one of several commands that printed a text; none, which is the careful answer, where it cannot be told
        which.
        """
        commands = producer.arguments.get("commands")
        if not isinstance(commands, list):
            return producer
        which = text.command if len(commands) == text.commands else -1
        held = self._of_commands.get((id(producer), which))
        if held is None:
            own = {} if which < 0 else {"commands": [commands[which]]}
            held = producer, structs.replace(producer, arguments=MappingProxyType(own))
            self._of_commands[id(producer), which] = held
        return held[1]


def call_bytes(call: tuple[str, Producer]) -> int:
    """What a tool call takes in memory."""
    name, producer = call
    return _CALL_BYTES + len(name) + getsizeof(producer.question) + arguments.size_bytes(producer.arguments)
