"""The last turns of conversations that may go on at another server: heard before they count, and told after.

A conversation's turns come one after the other, so whoever answers one finds the turn before with the store, whichever
server that was. Answers are accounted for in batches, and a batch asks once and tells once.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from proxy_pkg.store.contract import MANY_MAX
from proxy_pkg.store.fallback import Fallback
from proxy_pkg.store.turns import Turn, Turns, packed, unpacked

KEPT_SECONDS: Final = 2 * 86_400
"""How long the store knows a conversation that does not go on."""
UNPUBLISHED_MAX: Final = 4096
"""Conversations whose last turn waits to be told; the turns of further ones are known on this machine alone."""

Digest = Callable[..., str]
"""Names some byte strings for the store, so that they cannot be told from it: the same on every server."""


class Conversation(NamedTuple):
    """What tells a conversation from all others, by any server."""

    credential: bytes
    model: bytes
    opening: bytes


class SharedTurns:
    """The turns of one machine, kept up to date with those of a fleet. Never raises."""

    def __init__(self, turns: Turns, store: Fallback, digest: Digest) -> None:
        self._turns = turns
        self._store = store
        self._digest = digest
        self._unpublished: dict[Conversation, Turn] = {}

    @property
    def is_due(self) -> bool:
        """Whether something waits to be published and the store would take it."""
        return bool(self._unpublished) and self._store.reached

    async def learn(self, conversations: Iterable[Conversation]) -> None:
        """Take over the turns that other servers answered since."""
        names = {self._name(conversation): conversation for conversation in conversations}
        if not names:
            return
        for name, value in (await self._store.get_many(list(names)[:MANY_MAX])).items():
            key, latest = self._turns.key(*names[name]), unpacked(value)
            known = self._turns.get(key)
            if latest is not None and (known is None or _is_later(latest, known)):
                self._turns.put(key, latest)

    def note(self, conversation: Conversation, turn: Turn) -> None:
        """`turn` is now the last one: `publish` publishes it."""
        if conversation in self._unpublished or len(self._unpublished) < UNPUBLISHED_MAX:
            self._unpublished[conversation] = turn

    async def publish(self) -> None:
        """Publish what was noted to the other servers. What the store does not take waits for the next time."""
        noted = list(self._unpublished.items())[:MANY_MAX]
        if not noted:
            return
        await self._store.put_many(
            {self._name(conversation): packed(turn) for conversation, turn in noted}, KEPT_SECONDS
        )
        if self._store.reached:
            for conversation, turn in noted:
                if self._unpublished.get(conversation) is turn:
                    del self._unpublished[conversation]

    def _name(self, conversation: Conversation) -> str:
        return f"turn/{self._digest(*conversation)}"


def _is_later(one: Turn, other: Turn) -> bool:
    """What a conversation took in grows with each turn, whatever clocks say."""
    return (one.input_total, one.at_s) > (other.input_total, other.at_s)
