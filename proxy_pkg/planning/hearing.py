"""Texts that another server may have sent: how they went there is asked for before they are decided here."""

from collections.abc import Sequence
from typing import Protocol

from proxy_pkg.planning.draft import Draft
from proxy_pkg.planning.references import may_point
from proxy_pkg.planning.terms import Ways, conversation_key, key_of, references_key


class Fleet(Protocol):
    """What all servers know of texts sent before (store/fleet_decisions.py)."""

    def knows(self, key: int) -> bool:
        """Whether nobody needs to be asked for the way of this text."""

    def own(self, keys: Sequence[int]) -> None:
        """These texts are sent from here first."""

    async def learn(self, keys: Sequence[int]) -> None:
        """Ask the others which way these went, within a bound, so that it is known here. Never raises."""

    def was_overruled(self) -> bool:
        """Whether what is remembered here may not be what another server sent first."""


def unheard(draft: Draft, ways: Ways, fleet: Fleet) -> tuple[list[int], list[int]]:
    """The keys of the texts to ask for, and of those in the newest message, which nobody can have sent before."""
    earlier: list[int] = []
    own: list[int] = []
    for number, place in enumerate(draft.places[draft.known :], draft.known):
        if place.decided is None and place.may_change:
            keys = earlier if number < draft.newest else own
            keys.append(key_of(place, draft.opening, ways))
            if may_point(place.text.text):
                keys.append(references_key(place, draft.opening, ways))
    if earlier and draft.opening:
        earlier.append(conversation_key(draft.opening, ways))
    return [key for key in earlier if not fleet.knows(key)], own
