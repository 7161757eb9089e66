"""A request body whose tokens were counted whole, by us and by the provider."""

from msgspec import Struct


class SampleRecord(Struct):
    """Both counts, their ratio and its square in millionths."""

    model: str
    estimated: int
    reported: int
    ratio_ppm: int
    ratio_square_ppm: int
    samples: int = 1
