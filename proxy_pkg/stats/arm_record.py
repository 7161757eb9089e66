"""What an answer adds to the arm of a hold-out that its conversation is in."""

from msgspec import Struct


class ArmRecord(Struct):
    """Cost is in hundredths of a cent, input in thousands of tokens. The squares and the product are what this request
    adds to those of its conversation's sums.
    """

    arm: str
    """compressed, held_out"""
    conversations: int
    """1 for the first request of a conversation."""
    cost: int
    cost_square: int
    input: int
    input_square: int
    cost_input: int
    requests: int = 1
