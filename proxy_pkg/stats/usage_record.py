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
    """Why there is no usage: untold, cut, unread."""
    unpriced: str = ""
    """The model, where no price is known for it."""
    arm: str = ""
    """The arm of a hold-out that the conversation is in: compressed, held_out; empty without one."""

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

    samples: int = 0
    """1 for a body that was counted whole; then its tokens by our estimate and by the provider, and their ratio."""
    estimated: int = 0
    reported: int = 0
    ratio_ppm: int = 0
    ratio_square_ppm: int = 0

    arm_requests: int = 0
    arm_conversations: int = 0
    """1 for the first request of a conversation."""
    arm_cost: int = 0
    """Hundredths of a cent; input in thousands of tokens. The squares and the product are what this request adds to
    those of its conversation's sums."""
    arm_cost_square: int = 0
    arm_input: int = 0
    arm_input_square: int = 0
    arm_cost_input: int = 0
