"""Undo and redo the content codings of a body: gzip, deflate, br, zstd, and lists of them (RFC 9110 section 8.4).

Decoding goes piece by piece and stops at the first byte beyond a bound, so a body that would inflate to
gigabytes never takes more memory than the bound. Whatever is not a complete, well-formed coding is an error: a
body is only worth rewriting if nobody could read it differently.
"""

import sys
import zlib
from collections.abc import Callable, Generator
from io import BytesIO
from typing import Protocol

import brotli  # type: ignore[import-untyped]  # it ships no type hints

from proxy_pkg.errors import ProxyError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LAYERS_MAX = 3
PARTS_MAX = 1000
"""Gzip members or zstd frames in one body."""
RATIO_MAX = 250
"""Decoded bytes for each coded byte; agents' conversations stay below 30."""
_RATIO_FREE_BYTES = 1 << 20
_INPUT_BYTES = 64 << 10
_OUTPUT_BYTES = 256 << 10
_PLAIN_BYTES = 128 << 10
# RFC 9659: a sender of zstd over HTTP uses a window of at most 8 MiB.
_ZSTD_WINDOW_LOG_MAX = 23
_GZIP_MAGIC = b"\x1f\x8b"

# Fast rather than dense: what is coded again here was most of the time coded as fast by the client.
_ZLIB_LEVEL = 3
_BROTLI_QUALITY = 4
_ZSTD_LEVEL = 3


Steps = Generator[int, None, bytes]
"""Work on a body, step by step: how many bytes came of it so far, and all of them at its end."""


class EncodingError(ProxyError):
    """A coded body cannot be read; the answer is always passthrough. `reason` names the cause for counters."""

    reason = "coding_corrupt"


class UnknownCodingError(EncodingError):
    """A coding that is not known here, or more layers of codings than are undone."""

    reason = "coding_unknown"


class LateCodingError(EncodingError):
    """There was no time to undo the codings."""

    reason = "coding_late"


class CorruptCodingError(EncodingError):
    """The bytes are not a complete body in the coding that the header names."""


class DecodedTooLargeError(EncodingError):
    """The decoded body passes the bound, or is suspiciously much larger than the coded one."""

    reason = "decoded_too_large"


def codings(content_encoding: str) -> tuple[str, ...]:
    """The codings that a header value lists, in the order they were applied; empty if the body is plain.

    Raises UnknownCodingError.
    """
    names = [name for part in content_encoding.split(",") if (name := part.strip().lower()) not in ("", "identity")]
    unknown = [name for name in names if name not in _CODINGS]
    if unknown:
        raise UnknownCodingError(f"the coding {unknown[0][:40]!r} is not known")
    if len(names) > LAYERS_MAX:
        raise UnknownCodingError(f"{len(names)} layers of codings, at most {LAYERS_MAX} are undone")
    return tuple(names)


def decode(body: bytes, content_encoding: str, decoded_bytes_max: int) -> bytes:
    """The body without its codings; the same object if there are none.

    No layer may grow beyond `decoded_bytes_max`, nor beyond `RATIO_MAX` times the coded body once it is over a
    MiB. Raises EncodingError: unknown, corrupt (cut short and trailing bytes included) or too large.
    """
    return _result(decoding(body, content_encoding, decoded_bytes_max))


def decoding(body: bytes, content_encoding: str, decoded_bytes_max: int) -> Steps:
    """What `decode` does, step by step: yields how many bytes a layer has by now, about every millisecond."""
    bytes_max = min(decoded_bytes_max, max(_RATIO_FREE_BYTES, RATIO_MAX * len(body)))
    for name in reversed(codings(content_encoding)):
        decompress, _ = _CODINGS[name]
        try:
            body = yield from decompress(body, bytes_max)
        except _FOREIGN_ERRORS as error:
            raise CorruptCodingError(f"not a {name} body: {error}") from error
    return body


def encode(body: bytes, content_encoding: str) -> bytes:
    """The body with the codings put on again. The same bytes and header give the same result, on one version of
    the libraries. Raises UnknownCodingError.
    """
    return _result(encoding(body, content_encoding))


def encoding(body: bytes, content_encoding: str) -> Steps:
    """What `encode` does, step by step, as `decoding` is."""
    for name in codings(content_encoding):
        _, open_compressor = _CODINGS[name]
        body = yield from _deflate(body, *open_compressor(len(body)))
    return body


def _result(steps: Steps) -> bytes:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: bytes = end.value
            return result


_Feed = Callable[[bytes], bytes]


class _Decompressor(Protocol):
    """What the decompressors of bz2, lzma and zstd have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Zlib:
    """zlib's decompressor with the interface of the others. `wbits` as zlib has it."""

    def __init__(self, wbits: int) -> None:
        self._stream = zlib.decompressobj(wbits)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        decoded = self._stream.decompress(self._stream.unconsumed_tail + data, max_length)
        # A full piece may have more behind it even if no input is left.
        self.needs_input = len(decoded) < max_length and not self._stream.unconsumed_tail
        return decoded


class _Brotli:
    """Brotli's decompressor with the interface of the others."""

    unused_data = b""

    def __init__(self) -> None:
        self._stream = brotli.Decompressor()
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return bool(self._stream.is_finished())

    def decompress(self, data: bytes, max_length: int) -> bytes:
        decoded: bytes = self._stream.process(data, output_buffer_limit=max_length)
        self.needs_input = len(decoded) < max_length and self._stream.can_accept_more_data()
        return decoded


def _inflate(body: bytes, bytes_max: int, open_part: Callable[[], _Decompressor], more_parts: bool) -> Steps:
    """Everything that the parts of `body` decode to. With `more_parts`, one part may follow another."""
    decoded, part, parts = BytesIO(), open_part(), 1
    for start in range(0, len(body), _INPUT_BYTES):
        data = body[start : start + _INPUT_BYTES]
        while data or not (part.needs_input or part.eof):
            if part.eof:
                if not more_parts or parts == PARTS_MAX:
                    raise CorruptCodingError("bytes follow the end of the coded body")
                part, parts = open_part(), parts + 1
            decoded.write(part.decompress(data, _OUTPUT_BYTES))
            if decoded.tell() > bytes_max:
                raise DecodedTooLargeError(f"the decoded body is longer than {bytes_max} bytes")
            data = part.unused_data if part.eof else b""
            yield decoded.tell()
    if not part.eof:
        raise CorruptCodingError("the coded body is cut short")
    return decoded.getvalue()


def _gunzip(body: bytes, bytes_max: int) -> Steps:
    return _inflate(body, bytes_max, lambda: _Zlib(16 + zlib.MAX_WBITS), more_parts=True)


def _inflate_either(body: bytes, bytes_max: int) -> Steps:
    """`deflate` means the zlib format, but some senders leave its two header bytes and the checksum out."""
    return _inflate(body, bytes_max, lambda: _open_either(body), more_parts=False)


def _open_either(begin: bytes) -> _Zlib:
    wrapped = len(begin) > 1 and begin[0] & 15 == zlib.DEFLATED and (begin[0] << 8 | begin[1]) % 31 == 0
    return _Zlib(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)


def _unbrotli(body: bytes, bytes_max: int) -> Steps:
    return _inflate(body, bytes_max, _Brotli, more_parts=False)


def _unzstd(body: bytes, bytes_max: int) -> Steps:
    return _inflate(body, bytes_max, _open_unzstd, more_parts=True)


def _open_unzstd() -> _Decompressor:
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG_MAX}
    return zstd.ZstdDecompressor(options=options)


def _deflate(body: bytes, compress: _Feed, finish: Callable[[], bytes]) -> Steps:
    coded = BytesIO()
    for start in range(0, len(body), _PLAIN_BYTES):
        coded.write(compress(body[start : start + _PLAIN_BYTES]))
        yield coded.tell()
    coded.write(finish())
    return coded.getvalue()


def _open_zlib(wbits: int) -> tuple[_Feed, Callable[[], bytes]]:
    stream = zlib.compressobj(_ZLIB_LEVEL, zlib.DEFLATED, wbits)
    return stream.compress, stream.flush


def _open_brotli(_: int) -> tuple[_Feed, Callable[[], bytes]]:
    stream = brotli.Compressor(quality=_BROTLI_QUALITY)
    return stream.process, stream.finish


def _open_zstd(size_bytes: int) -> tuple[_Feed, Callable[[], bytes]]:
    stream = zstd.ZstdCompressor(_ZSTD_LEVEL)
    stream.set_pledged_input_size(size_bytes)  # some readers refuse a frame that does not say its size
    return stream.compress, stream.flush


_FOREIGN_ERRORS = (zlib.error, brotli.error, zstd.ZstdError, EOFError)

_CODINGS: dict[str, tuple[Callable[[bytes, int], Steps], Callable[[int], tuple[_Feed, Callable[[], bytes]]]]] = {
    "gzip": (_gunzip, lambda _: _open_zlib(16 + zlib.MAX_WBITS)),
    "x-gzip": (_gunzip, lambda _: _open_zlib(16 + zlib.MAX_WBITS)),
    "deflate": (_inflate_either, lambda _: _open_zlib(zlib.MAX_WBITS)),
    "br": (_unbrotli, _open_brotli),
    "zstd": (_unzstd, _open_zstd),
}

_PARTS: dict[str, tuple[Callable[[bytes], _Decompressor], bool]] = {
    "gzip": (lambda _: _Zlib(16 + zlib.MAX_WBITS), True),
    "x-gzip": (lambda _: _Zlib(16 + zlib.MAX_WBITS), True),
    "deflate": (_open_either, False),
    "br": (lambda _: _Brotli(), False),
    "zstd": (lambda _: _open_unzstd(), True),
}
"""How a part is opened that begins with the bytes given, and whether another may follow it."""


class Reader:
    """Undoes the codings of a body that comes in pieces, and may end anywhere: what has come is told at once."""

    def __init__(self, content_encoding: str) -> None:
        """Raises UnknownCodingError."""
        self._layers = [_Layer(name) for name in reversed(codings(content_encoding))]

    def feed(self, data: bytes, bytes_max: int) -> bytes:
        """What a piece decodes to. Raises EncodingError if it is corrupt or decodes to more than `bytes_max`; nothing
        can be read after it then.
        """
        try:
            for layer in self._layers:
                data = layer.feed(data, bytes_max)
        except _FOREIGN_ERRORS as error:
            raise CorruptCodingError(f"not a body of its coding: {error}") from error
        return data


class _Layer:
    """One coding of a Reader."""

    def __init__(self, name: str) -> None:
        self._open, self._more_parts = _PARTS[name]
        self._begin = b""
        self._part: _Decompressor | None = None
        self._parts = 0

    def feed(self, data: bytes, bytes_max: int) -> bytes:
        if self._part is None:
            self._begin = data = self._begin + data
            if len(data) < len(_GZIP_MAGIC):  # the first two bytes tell the kinds of deflate apart
                return b""
        decoded = BytesIO()
        while data or not (self._part is None or self._part.needs_input or self._part.eof):
            part = self._current(data)
            decoded.write(part.decompress(data, _OUTPUT_BYTES))
            if decoded.tell() > bytes_max:
                raise DecodedTooLargeError(f"a piece decodes to more than {bytes_max} bytes")
            data = part.unused_data if part.eof else b""
        return decoded.getvalue()

    def _current(self, data: bytes) -> _Decompressor:
        """The part that the next bytes belong to."""
        if self._part is None or self._part.eof:
            if (self._parts and not self._more_parts) or self._parts == PARTS_MAX:
                raise CorruptCodingError("bytes follow the end of the coded body")
            self._part, self._parts = self._open(data), self._parts + 1
        return self._part
