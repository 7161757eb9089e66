"""How a conversation is told from others: by the tool call that it opens with.

That call stays where it is on every turn, whatever clients change around it: cache marks move, the form of a text goes
from a string to a list of parts, a line of the system prompt is new each time. The name that a provider gives a call
is its own, so twenty conversations with equal prompts have twenty openings.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from itertools import islice, takewhile
from typing import Final

from proxy_pkg.model import Producer
from proxy_pkg.planning.find import is_worth_reading, question_in
from proxy_pkg.protocols.grammar import Conversation

OPENING_BYTES: Final = 16
ITEMS_READ_MAX: Final = 4
"""Items before the first call whose words count."""
_ITEM_BYTES_MAX = 64 << 10

# A name drawn at random is long and has digits; one like `call_0` or `functions.shell:0` is given again and again.
_NAME_CHARS_MIN = 16
_NAME_DIGITS_MIN = 3

Call = tuple[str, Producer]


def first_call(earlier: Mapping[str, Producer], calls: Sequence[Call]) -> Call | None:
    """The first tool call of a conversation: one made before the body's own first item, else the body's first."""
    return next(iter(earlier.items()), None) or (calls[0] if calls else None)


def opening(parts: Iterable[bytes], call: Call | None, conversation: Conversation) -> bytes:
    """OPENING_BYTES that every turn of a conversation has in common; empty where there is no call yet.

    A pure function of the first call's name, and where such a name may come again, of its tool and arguments, and of
    what the user said in the items before it. System prompts are in none of it.
    """
    if call is None:
        return b""
    name, producer = call
    digest = blake2b(digest_size=OPENING_BYTES)
    digest.update(_encoded(name))
    if len(name) < _NAME_CHARS_MIN or sum(map(str.isdigit, name)) < _NAME_DIGITS_MIN:
        digest.update(_encoded(f"\0{producer.name}\0{dict(producer.arguments)!r}"))
        before = takewhile(lambda part: not is_worth_reading(part, conversation), parts)
        for part in islice(before, ITEMS_READ_MAX):
            if len(part) <= _ITEM_BYTES_MAX:
                digest.update(_encoded("\0" + question_in(part, conversation)))
    return digest.digest()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
