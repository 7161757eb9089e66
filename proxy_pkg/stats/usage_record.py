"""What one answer cost, filled in after its last byte was sent, and counted once."""

from msgspec import Struct


class UsageRecord(Struct):
    """One answer's usage, its price, and what compression changed about it.

    As in RequestRecord, an empty label does not apply and an amount of zero did not happen. Tokens are the provider's;
    dollars are millionths.
    """

    protocol: str = ""
    model: str = ""
    """As the request or the answer names it, if that is plain enough for a label."""
    missing: str = ""
    """Why there is no usage: untold, cut, unread, uncounted."""
    unpriced: str = ""
    """The model, where no price is known for it."""

    told: int = 0
    """1 for an answer that told its usage."""
    incomplete: int = 0
    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0

    cost_microdollars: int = 0
    gross_microdollars: int = 0
    gain_microdollars: int = 0
    loss_microdollars: int = 0
