"""What a request can take of limits, worked out before it is sent: its input by a sample, its output as it states it.

Nothing here is exact, and all of it is settled by what the provider reports. It decides how many requests may be on
their way at once when little is left; so of two guesses the higher one is the better.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import msgspec
from msgspec import Struct

from proxy_pkg.billing.usage import Usage
from proxy_pkg.prices.table import Prices
from proxy_pkg.tokens.count import Encoder

OUTPUT_TOKENS: Final = 32_000
"""What an answer is taken for that states no maximum, until its model has answered here."""
OUTPUT_TOKENS_MAX: Final = 128_000
"""No answer is taken for longer, whatever its request states, where its model's own maximum is not known."""
MODELS_MAX: Final = 256
"""Models whose answers are remembered."""
_STRICT_BYTES_MAX: Final = 1 << 20
_FINDS_MAX: Final = 256
_STEP_BYTES: Final = 1 << 20
_OVERLAP_BYTES: Final = 128
_ANSWERS_MAX: Final = 16
_FADES: Final = 64
"""What was seen highest sinks by one part in so many with each later answer."""
_ROOM: Final = 1.25
_BYTES_PER_TOKEN: Final = 4

_stated_somewhere = re.compile(
    rb'"max(?:_tokens|_completion_tokens|_output_tokens|_tokens_to_sample|OutputTokens|Tokens)"\s*:\s*(\d{1,9})'
).finditer


class _Config(Struct):
    max_output_tokens: Any = None
    maxOutputTokens: Any = None
    maxTokens: Any = None
    candidateCount: Any = None
    candidate_count: Any = None


class _Stated(Struct):
    """Where the APIs have the most that an answer may be long, and how many answers are asked for."""

    max_tokens: Any = None
    max_completion_tokens: Any = None
    max_output_tokens: Any = None
    max_tokens_to_sample: Any = None
    n: Any = None
    best_of: Any = None
    generationConfig: _Config | None = None
    generation_config: _Config | None = None
    inferenceConfig: _Config | None = None
    request: "_Stated | None" = None
    response: "_Stated | None" = None


class Need(Struct, frozen=True):
    """What one request can take."""

    tokens: int = 0
    """For limits of tokens: its input, and as much output as its model's answers usually have."""
    microdollars: int = 0
    """The most that it can cost, as far as that can be told; 0 where no price is known."""
    input_tokens: int = 0
    input_microdollars: int = 0
    output_price: float = 0.0
    """Of one token, in millionths of a dollar."""
    is_priced: bool = True

    def tokens_unreported(self, tokens: int) -> int:
        """What it is taken to have counted, if its answer told no usage and had about so many tokens."""
        return min(self.tokens, self.input_tokens + tokens)

    def cost_unreported(self, tokens: int) -> int:
        """What it is taken to have cost, if its answer told no usage and had about so many tokens."""
        return min(self.microdollars, self.input_microdollars + round(tokens * self.output_price))


class _Seen(Struct):
    """The highest of late, of one model."""

    output: float = 0.0
    hidden: float = 0.0
    """Input that the body did not show: what the provider keeps of earlier requests, or files by their names."""
    cost: float = 0.0


class Needs:
    """The estimates of one worker; what it learns of models is its own."""

    def __init__(self, prices: Prices, encoder: Encoder) -> None:
        self._prices = prices
        self._encoder = encoder
        self._seen: dict[str, _Seen] = {}

    def of(self, model: str, body: bytes, body_bytes: int = 0) -> Need:
        """The need of a request with this body, as JSON; empty where it cannot be read, and has so many bytes."""
        input_tokens = self._encoder.gauge_bytes(body) if body else body_bytes // _BYTES_PER_TOKEN + 1
        seen = self._seen.get(model)
        price = self._prices.of(model) if model else None
        stated, answers = stated_in(body)
        most = price.output_tokens_max if price is not None and price.output_tokens_max else OUTPUT_TOKENS_MAX
        usual = min(most, round(seen.output * _ROOM) if seen is not None and seen.output else OUTPUT_TOKENS)
        output = (min(stated, most) if stated else usual) * answers
        tokens = input_tokens + min(output, usual * answers)
        if price is None:
            return Need(tokens, round(seen.cost) if seen else 0, input_tokens, is_priced=False)
        hidden = round(seen.hidden) if seen else 0
        rate = price.at(input_tokens + hidden)
        writes = rate.cache_write_1h if _holds(body, b'"1h"') else rate.cache_write
        billed_input = round((input_tokens + hidden) * max(rate.input, writes))
        return Need(tokens, billed_input + round(output * rate.output), input_tokens, billed_input, rate.output)

    def learn(self, model: str, need: Need, usage: Usage, microdollars: int) -> None:
        """Remember what an answer took that was expected to take `need`."""
        seen = self._seen.get(model)
        if seen is None:
            if not model or len(self._seen) >= MODELS_MAX:
                return
            seen = self._seen[model] = _Seen()
        seen.output = _higher(seen.output, usage.output)
        seen.hidden = _higher(seen.hidden, max(0, usage.input_total - 2 * need.input_tokens))
        seen.cost = _higher(seen.cost, microdollars)


def _higher(high: float, now: int) -> float:
    return max(now, high - high / _FADES)


def stated_in(body: bytes) -> tuple[int, int]:
    """The most tokens that a request lets an answer have, 0 if it does not say; and how many answers it wants."""
    if not body:
        return 0, 1
    if len(body) <= _STRICT_BYTES_MAX:
        try:
            return _stated(_decode(body))
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            pass
    # Of a body that is long or spelled strangely, the greatest of such numbers, wherever it stands: within a text its
    # quotes would be escaped, so it is at worst one of a tool's arguments.
    found = [int(each[1]) for each in islice(_stated_in_steps(body), _FINDS_MAX)]
    found += [int(each[1]) for each in _stated_somewhere(body[-4096:])]
    return max(found, default=0), 1


def _steps(body: bytes) -> Iterator[tuple[int, int]]:
    """Pieces to search one after another: a search holds the interpreter until its end."""
    for start in range(0, len(body), _STEP_BYTES):
        yield start, start + _STEP_BYTES + _OVERLAP_BYTES


def _stated_in_steps(body: bytes) -> Iterator[re.Match[bytes]]:
    for start, end in _steps(body):
        yield from _stated_somewhere(body, start, end)


def _holds(body: bytes, sign: bytes) -> bool:
    return any(body.find(sign, start, end) >= 0 for start, end in _steps(body))


def _stated(given: _Stated) -> tuple[int, int]:
    inner = given.request or given.response
    stated, answers = _stated(inner) if inner is not None else (0, 1)
    configs = [each for each in (given.generationConfig, given.generation_config, given.inferenceConfig) if each]
    limits = [given.max_tokens, given.max_completion_tokens, given.max_output_tokens, given.max_tokens_to_sample]
    counts = [given.n, given.best_of]
    for config in configs:
        limits += [config.max_output_tokens, config.maxOutputTokens, config.maxTokens]
        counts += [config.candidateCount, config.candidate_count]
    return max(stated, *map(_number, limits)), min(_ANSWERS_MAX, max(answers, *map(_number, counts)))


def _number(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0


_decode: Final = msgspec.json.Decoder(_Stated).decode
