"""What an answer adds to the arm of a hold-out that its conversation is in."""

from msgspec import Struct


class ArmRecord(Struct):
    """Cost is in hundredths of a cent, input in thousands of tokens.

    The log of a conversation is ln(millionths of a dollar / tokens of input) over all its answers so far, in
    millionths. It changes with each of them, and what the sums over conversations of it and of its square rise or fall
    by is here: no counter falls.
    """

    arm: str
    """compressed, held_out"""
    conversations: int
    """1 for the first request of a conversation."""
    cost: int
    input: int
    log_rise: int = 0
    log_fall: int = 0
    square_rise: int = 0
    square_fall: int = 0
    requests: int = 1
