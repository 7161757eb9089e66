"""Token counts: estimates by o200k_base, deterministic, with bounded work whatever the text is.

Claude and Gemini use other tokenizers, so a count compares two forms of one text; it does not predict a bill.
"""

import gc
import re
from binascii import a2b_base64
from collections.abc import Callable, Iterator, Sequence
from functools import cache

import tiktoken

from proxy_pkg.errors import VocabularyError
from proxy_pkg.tokens import vocabulary

CHUNK_CHARS_MAX = 16_384
"""A longer text is encoded in pieces, so that no run of one character makes the encoder's work grow faster
than the text."""
COUNTED_CHARS_MAX = 1 << 20
"""A longer text is counted in pieces spread evenly over it, and the result scaled to its length."""
GAUGED_CHARS = 6144
"""A longer text is gauged by so many of its characters, unless more or fewer are asked for."""
BYTES_PER_TOKEN = 4

OPAQUE_BYTES_PER_TOKEN = 64
_BODY_PIECES = 32
_BODY_PIECE_BYTES = 96
_is_opaque = re.compile(rb"[A-Za-z0-9+/=_-]+").fullmatch
_GAUGE_PIECES_MAX = 96
_GAUGE_PIECE_CHARS_MIN = 64

SPECIAL_TOKENS = {"<|endoftext|>": 199_999, "<|endofprompt|>": 200_018}
# Of the two alternatives for words, one must end in small letters, the other must begin with capitals.
_WORD_START = r"[^\r\n\p{L}\p{N}]?"
_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_WORD_END = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
ALTERNATIVES = (
    _WORD_START + _UPPER + "*" + _LOWER + "+" + _WORD_END,
    _WORD_START + _UPPER + "+" + _LOWER + "*" + _WORD_END,
    r"\p{N}{1,3}",
    r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
    r"\s*[\r\n]+",
    r"\s+(?!\S)",
    r"\s+",
)
"""What o200k_base cuts text into before it looks words up; the first that fits is taken."""
# In a group by themselves, those without a look ahead are searched for in one go: a third faster.
PATTERN = "|".join((f"(?:{'|'.join(ALTERNATIVES[:-2])})", *ALTERNATIVES[-2:]))


class Encoder:
    """Counts tokens for one process and those forked from it; holds no threads, files or sockets.

    `basis` says what a count rests on: `o200k_base`, or `bytes` where the vocabulary could not be read;
    `problem` then says why.
    """

    def __init__(self, encode: Callable[[str], Sequence[int]] | None, problem: str = "") -> None:
        self.basis = "bytes" if encode is None else "o200k_base"
        self.problem = problem
        self._encode = encode

    def count(self, text: str) -> int:
        """Return the estimated number of tokens in `text`; special tokens count as the plain text they are.

        Never raises, lone surrogates included. Work is bounded by COUNTED_CHARS_MAX.
        """
        if len(text) <= COUNTED_CHARS_MAX:
            return sum(map(self._count_chunk, chunks(text)))
        sample = sample_chunks(text)
        counted = sum(map(self._count_chunk, sample))
        return counted * len(text) // sum(map(len, sample))

    def gauge(self, text: str, sample_chars: int = GAUGED_CHARS) -> int:
        """Return `count` of a text up to `sample_chars` long; of a longer one, what a sample of that size suggests.

        Deterministic, with bounded work, so that deciding about a long text costs little more than about a short
        one. Many small pieces tell more than a few large ones: the saving between two forms of a text comes out
        within 2 points of a percent for two texts of three, and within 7 for all that were tried; by half as many
        characters, within 3 and 15, by four times as many, within 0.7 and 3.5.
        """
        if len(text) <= sample_chars:
            return self.count(text)
        pieces = min(_GAUGE_PIECES_MAX, sample_chars // _GAUGE_PIECE_CHARS_MIN)
        sample = spread(text, pieces, sample_chars // pieces)
        # Each piece begins and ends inside a token, which adds one to the count of every piece.
        counted = sum(max(1, self._count_chunk(piece) - 1) for piece in sample)
        return counted * len(text) // sum(map(len, sample))

    def gauge_bytes(self, data: bytes) -> int:
        """Return the tokens of a request body that a sample of it suggests: a third of a millisecond, for any length.

        Images and files, which are one long word in base64, count as one token in OPAQUE_BYTES_PER_TOKEN bytes: models
        are not sent them as text.
        """
        if len(data) <= _BODY_PIECES * _BODY_PIECE_BYTES:
            return self.count(data.decode("utf-8", "replace"))
        last, tokens = len(data) - _BODY_PIECE_BYTES, 0.0
        for number in range(_BODY_PIECES):
            start = last * number // (_BODY_PIECES - 1)
            piece = data[start : start + _BODY_PIECE_BYTES]
            if _is_opaque(piece):
                tokens += _BODY_PIECE_BYTES / OPAQUE_BYTES_PER_TOKEN
            else:
                # Each piece begins and ends inside a token, which adds one to its count.
                tokens += max(1, self._count_chunk(piece.decode("utf-8", "ignore")) - 1)
        return int(tokens * len(data) / (_BODY_PIECES * _BODY_PIECE_BYTES))

    def _count_chunk(self, chunk: str) -> int:
        if self._encode is None:
            return estimate(chunk)
        try:
            return len(self._encode(chunk))
        except UnicodeError:
            return estimate(chunk)
        except BaseException as error:
            # The encoder's Rust panic is no subclass of Exception, and its class cannot be imported.
            if type(error).__module__ != "pyo3_runtime":
                raise
            return estimate(chunk)


def estimate(text: str) -> int:
    """Return the number of tokens that the text's UTF-8 length suggests, rounded up."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)


def chunks(text: str) -> Iterator[str]:
    """Cut `text` into pieces of at most CHUNK_CHARS_MAX characters that join to it again.

    A cut lies after a newline, else before a blank, where counting the pieces gives the count of the whole,
    or nearly; in a run without either it lies at the limit.
    """
    start = 0
    while len(text) - start > CHUNK_CHARS_MAX:
        end = _cut(text, start, start + CHUNK_CHARS_MAX)
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]


def _cut(text: str, start: int, limit: int) -> int:
    newline = text.rfind("\n", start, limit)
    if newline >= 0:
        return newline + 1
    blank = text.rfind(" ", start + 1, limit)
    return blank if blank >= 0 else limit


def sample_chunks(text: str) -> list[str]:
    """Return COUNTED_CHARS_MAX characters of a longer `text`: chunks spread evenly from start to end."""
    return spread(text, COUNTED_CHARS_MAX // CHUNK_CHARS_MAX, CHUNK_CHARS_MAX)


def spread(text: str, pieces: int, piece_chars: int) -> list[str]:
    """Return `pieces` (two or more) of a text, spread evenly from its start to its end; they may overlap."""
    step, last = pieces - 1, len(text) - piece_chars
    starts = (last * piece // step for piece in range(pieces))
    return [text[start : start + piece_chars] for start in starts]


def build() -> Encoder:
    """Make an Encoder from the shipped vocabulary; one that estimates from bytes if it cannot be read."""
    try:
        data = vocabulary.read()
    except VocabularyError as error:
        return Encoder(None, str(error))
    # Half a million short-lived objects: collecting in between would triple the time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return Encoder(_encoding(data).encode_ordinary)
    finally:
        if collecting:
            gc.enable()


def _encoding(data: bytes) -> tiktoken.Encoding:
    tokens = data.split()[::2]
    ranks = dict(zip(map(a2b_base64, tokens), range(len(tokens)), strict=True))
    encoding = tiktoken.Encoding("o200k_base", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=SPECIAL_TOKENS)
    # The Rust side has its own copy, which encoding uses; this one would double the memory of every process.
    ranks.clear()
    return encoding


@cache
def load() -> Encoder:
    """Return this process's Encoder, building it at the first call: in the master, before the first fork."""
    return build()


def count(text: str) -> int:
    """Return the estimated number of tokens in `text`, by this process's Encoder."""
    return load().count(text)
