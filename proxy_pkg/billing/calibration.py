"""How far our token estimates are from the provider's own counts, by model: a few whole bodies are counted for that.

o200k_base is not the tokenizer of every model. The ratio of both over some requests makes an estimate of savings one
in the provider's tokens.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from proxy_pkg.errors import ScanError
from proxy_pkg.planning.policy import Tokens
from proxy_pkg.wire.scan import parse

BODY_BYTES_MAX: Final = 256 << 10
FIRST_SAMPLES: Final = 16
"""The first bodies of a model are counted, and later one in SAMPLE_EVERY."""
SAMPLE_EVERY: Final = 1024
SAMPLES_MIN: Final = 4
"""With fewer, our estimate is taken as it is."""

_MODELS_MAX: Final = 64
_RATIO_MIN, _RATIO_MAX = 0.2, 5.0
_GAUGED_CHARS: Final = 8192
_VALUES_MAX: Final = 20_000

# Of no text that a model reads, or not in this spelling.
_OPAQUE = frozenset(
    [
        "signature",
        "thoughtSignature",
        "thought_signature",
        "encrypted_content",
        "cache_control",
        "metadata",
        "model",
        "id",
        "tool_use_id",
        "call_id",
        "tool_call_id",
        "prompt_cache_key",
    ]
)
# Their tokens are not those of their text.
_NO_TEXT = frozenset(
    ["item_reference", "image", "image_url", "input_image", "document", "file", "input_file", "input_audio"]
)
_NO_TEXT_KEYS = frozenset(["inlineData", "inline_data", "fileData", "file_data", "file_id"])
# A body with one of these has the model read what the provider keeps, and the body does not show.
_COUNTED_BY_PROVIDER = frozenset(
    ["previous_response_id", "conversation", "prompt", "cachedContent", "cached_content", "container"]
)


class _Sums(Struct):
    requests: int = 0
    samples: int = 0
    estimated: int = 0
    reported: int = 0


class Calibration:
    """The ratios of one worker."""

    def __init__(self) -> None:
        self._models: dict[str, _Sums] = {}

    def factor(self, model: str) -> float:
        """The provider's tokens for one of ours; 1 until enough is known."""
        sums = self._models.get(model)
        return sums.reported / sums.estimated if sums is not None and sums.samples >= SAMPLES_MIN else 1.0

    def samples(self, model: str, body_bytes: int) -> bool:
        """Whether this body should be counted. Call it once for each."""
        sums = self._models.get(model)
        if sums is None:
            if len(self._models) >= _MODELS_MAX:
                return False
            sums = self._models[model] = _Sums()
        if body_bytes > BODY_BYTES_MAX:
            return False
        sums.requests += 1
        return sums.requests <= FIRST_SAMPLES or sums.requests % SAMPLE_EVERY == 0

    def learn(self, model: str, estimated: int, reported: int) -> float:
        """Take a sample in; its ratio, 0 if it cannot be one of texts alone."""
        ratio = reported / estimated if estimated > 0 else 0.0
        if not _RATIO_MIN <= ratio <= _RATIO_MAX:
            return 0.0
        sums = self._models.setdefault(model, _Sums())
        sums.samples += 1
        sums.estimated += estimated
        sums.reported += reported
        return ratio


def estimate_of(body: bytes, tokens: Tokens) -> int:
    """Our estimate of all text that a request body has a model read: 0 if it has more than text, or is not read.

    A gauge of a sample: a millisecond or two, so not for the event loop.
    """
    try:
        parsed = parse(body)
    except ScanError:
        return 0
    if isinstance(parsed, Mapping) and any(parsed.get(key) for key in _COUNTED_BY_PROVIDER):
        return 0
    texts = _texts(parsed)
    return tokens.gauge("\n".join(texts), _GAUGED_CHARS) if texts else 0


def _texts(body: Any) -> list[str]:
    """All strings and keys; nothing where images or files take part."""
    texts: list[str] = []
    left = [body]
    while left and len(texts) < _VALUES_MAX:
        value = left.pop()
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, Mapping):
            kind = value.get("type")
            if (isinstance(kind, str) and kind in _NO_TEXT) or not _NO_TEXT_KEYS.isdisjoint(value):
                return []
            texts += value
            left += [member for key, member in value.items() if key not in _OPAQUE]
        elif isinstance(value, list):
            left += value
    return [] if left else texts
