"""Results whose calls are not in the request: calls that were seen in other requests and answers take their place.

What was sent stays as it was sent, whatever becomes known later. So a result whose call was not known once has no call
from then on, also where a later request brings the call along.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from proxy_pkg.model import Producer
from proxy_pkg.planning.callers import Callers
from proxy_pkg.planning.draft import Draft, Place
from proxy_pkg.planning.terms import LEFT_ALONE, Ways
from proxy_pkg.protocols.grammar import Conversation

NAMES_MAX: Final = 1024
"""Calls of one request that are asked for. A conversation grows at its end, so those beyond stay unknown."""
_UNKNOWN_CALL: Final = b"unknown-call"


class OtherCalls(Protocol):
    """The tool calls that one caller's other requests, and their answers, made (web/shared_calls.py)."""

    @property
    def owner(self) -> bytes:
        """Tells the caller from others."""

    async def find(self, names: Sequence[str]) -> Mapping[str, Producer]:
        """The calls of these ids that are known. One that is not is unknown from now on. Never raises."""

    def learn(self, calls: Sequence[tuple[str, Producer]]) -> None:
        """Keep these calls for requests to come. Never raises, and waits for nothing."""


def missing(draft: Draft) -> list[str]:
    """The ids of calls that results name, and that the request does not hold."""
    return list(dict.fromkeys(draft.places[number].text.call for number in draft.missing))[:NAMES_MAX]


def to_keep(draft: Draft) -> Sequence[tuple[str, Producer]]:
    """The new calls of a request that results in other requests may name: all of one that leaves calls out itself, else
    those without a result.
    """
    calls = draft.calls[0 if draft.lender is None else len(draft.lender.calls) :]
    if not calls or draft.missing:
        return calls
    answered = {place.text.call for place in draft.places[draft.known :]}
    return [call for call in calls if call[0] not in answered]


def assign(
    draft: Draft, found: Mapping[str, Producer], conversation: Conversation, owner: bytes, ways: Ways | None
) -> None:
    """Give results the calls that were found, and none to those whose call was not known once."""
    changed = _assign_found(draft, found, conversation, owner, ways) if draft.missing else False
    if ways is not None:
        absent = set(draft.missing)
        for number in range(draft.known, len(draft.places)):
            place = draft.places[number]
            if number in absent or not place.text.call or not place.may_change:
                continue
            if ways.get(_key(place, owner, ways)) == LEFT_ALONE:
                place.producer = Callers({}, conversation).of(place.text, place.producer.question)
                changed = True
    if changed:
        draft.recall()


def _assign_found(
    draft: Draft, found: Mapping[str, Producer], conversation: Conversation, owner: bytes, ways: Ways | None
) -> bool:
    """Give results the calls that were found; whether there are any. The others are marked to have none."""
    callers, changed = Callers(dict(found), conversation), False
    for number in draft.missing:
        place = draft.places[number]
        if place.text.call in found:
            place.producer = callers.of(place.text, place.producer.question)
            changed = True
        elif ways is not None and place.may_change:
            ways.first(_key(place, owner, ways), LEFT_ALONE)
    return changed


def _key(place: Place, owner: bytes, ways: Ways) -> int:
    """The key of whether a result's call was unknown once."""
    call = place.text.call.encode("utf-8", "surrogatepass")
    return ways.key(call, _UNKNOWN_CALL, owner, place.digest)
