"""The tool calls of a conversation, by their ids: which of them a text is the result of."""

from collections.abc import Mapping
from sys import getsizeof
from typing import Final

from msgspec import structs

from proxy_pkg.model import Producer
from proxy_pkg.planning import arguments
from proxy_pkg.planning.find import Text

Calls = Mapping[str, Producer]
"""Tool calls by their ids."""

NO_CALLS: Final[Calls] = {}
_UNKNOWN: Final = Producer()
_CALL_BYTES: Final = 350


class Callers:
    """The tool calls made so far, by id, and each as it is told together with the question: one object for each, so
    that its digest is made once.
    """

    def __init__(self, producers: dict[str, Producer]) -> None:
        self.producers = producers
        self._question = ""
        self._asked: dict[int, tuple[Producer, Producer]] = {}
        self._named: dict[str, Producer] = {}
        self._of_programs: dict[int, Producer] = {}

    def of(self, text: Text, question: str) -> Producer:
        """The call that `text` is the result of."""
        producer = self.producers.get(text.call)
        if producer is None:
            producer = self._named.setdefault(text.tool, Producer(text.tool)) if text.tool else _UNKNOWN
        if text.for_program and not producer.for_program:
            producer = self._of_programs.setdefault(id(producer), structs.replace(producer, for_program=True))
        if not question:
            return producer
        if question != self._question:
            self._question = question
            self._asked.clear()
        held = self._asked.get(id(producer))
        if held is None:
            held = self._asked[id(producer)] = producer, structs.replace(producer, question=question)
        return held[1]


def call_bytes(call: tuple[str, Producer]) -> int:
    """What a tool call takes in memory."""
    name, producer = call
    return _CALL_BYTES + len(name) + getsizeof(producer.question) + arguments.size_bytes(producer.arguments)
