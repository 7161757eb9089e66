"""Conversations that are left uncompressed, so that what the others cost can be compared with something measured."""

from hashlib import blake2b
from typing import Final

COMPRESSED: Final = "compressed"
HELD_OUT: Final = "held_out"

_HASH_BYTES: Final = 8


class HoldOut:
    """A share of all conversations, 0 to 1; 0 holds none out, and then no conversation is in an arm."""

    def __init__(self, share: float = 0.0) -> None:
        self._bound = round(share * 256**_HASH_BYTES)

    def arm(self, opening: bytes) -> str:
        """The arm of the conversation with this opening: empty where there is no hold-out or no opening.

        A pure function of both: the same on every turn, worker and machine, and whenever it is asked.
        """
        if not self._bound or not opening:
            return ""
        hashed = blake2b(opening, digest_size=_HASH_BYTES, person=b"holdout").digest()
        return HELD_OUT if int.from_bytes(hashed, "little") < self._bound else COMPRESSED


NOBODY: Final = HoldOut()
