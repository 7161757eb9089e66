"""Content codings: what goes in comes out, and nothing else does any harm."""

import gzip
import subprocess
import sys
import zlib
from collections.abc import Callable

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.wire.encoding import (
    LAYERS_MAX,
    PARTS_MAX,
    CorruptCodingError,
    DecodedTooLargeError,
    EncodingError,
    UnknownCodingError,
    codings,
    decode,
    encode,
    zstd,
)

MIB = 1 << 20
BODY = b'{"input":[{"type":"function_call_output","output":"\xe2\x9c\x93 done"}]}' * 50


def raw_deflate(body: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(body) + stream.flush()


# The libraries' own encoders, so that decode is not only compared with encode.
FOREIGN: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
}
CODINGS = sorted(FOREIGN)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("body", [b"", b"x", BODY, bytes(range(256)) * 3000], ids=["empty", "one", "json", "binary"])
def test_decoding_undoes_what_other_encoders_did(coding: str, body: bytes) -> None:
    assert decode(FOREIGN[coding](body), coding, MIB) == body


def test_deflate_without_its_zlib_header_is_read_too() -> None:
    assert decode(raw_deflate(BODY), "deflate", MIB) == BODY


@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=5000), names=st.lists(st.sampled_from(CODINGS), max_size=LAYERS_MAX))
def test_encode_and_decode_are_inverses_for_every_list(body: bytes, names: list[str]) -> None:
    header = " , ".join(names)
    coded = encode(body, header)
    assert decode(coded, header, MIB) == body
    assert encode(body, header) == coded


def test_a_list_is_removed_in_reverse_order() -> None:
    assert decode(zstd.compress(gzip.compress(BODY)), "gzip, zstd", MIB) == BODY
    with pytest.raises(CorruptCodingError):
        decode(zstd.compress(gzip.compress(BODY)), "zstd, gzip", MIB)


@pytest.mark.parametrize("header", ["", "identity", " Identity , ,"])
def test_a_plain_body_is_the_same_object(header: str) -> None:
    assert decode(BODY, header, 10) is BODY
    assert encode(BODY, header) is BODY


@pytest.mark.parametrize("header", [" GZIP ", "identity, gzip", ",gzip,"])
def test_spelling_does_not_matter(header: str) -> None:
    assert decode(gzip.compress(BODY), header, MIB) == BODY


@pytest.mark.parametrize("header", ["compress", "gzip, aws-chunked", "gzip;q=1", "*", ", ".join(["gzip"] * 4)])
def test_unknown_codings_and_too_many_layers_are_refused_before_work(header: str) -> None:
    for act in (lambda: decode(b"", header, MIB), lambda: encode(b"", header), lambda: codings(header)):
        with pytest.raises(UnknownCodingError):
            act()


@pytest.mark.parametrize("coding", CODINGS)
def test_a_body_cut_anywhere_is_corrupt(coding: str) -> None:
    coded = FOREIGN[coding](BODY)
    for end in range(len(coded)):
        with pytest.raises(CorruptCodingError):
            decode(coded[:end], coding, MIB)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("garbage", [b"\0", b"garbage", b"\n", BODY])
def test_bytes_after_the_end_are_corrupt(coding: str, garbage: bytes) -> None:
    with pytest.raises(CorruptCodingError):
        decode(FOREIGN[coding](BODY) + garbage, coding, MIB)


@settings(max_examples=150, deadline=None)
@given(body=st.binary(max_size=300), coding=st.sampled_from(CODINGS))
def test_any_bytes_at_all_decode_or_raise_our_error(body: bytes, coding: str) -> None:
    try:
        decode(body, coding, MIB)
    except EncodingError as error:
        assert error.reason in ("coding_corrupt", "decoded_too_large")


@settings(max_examples=60, deadline=None)
@given(coding=st.sampled_from(CODINGS), place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_damaged_byte_never_escapes_as_a_foreign_error(coding: str, place: float, flip: int) -> None:
    coded = bytearray(FOREIGN[coding](BODY))
    coded[int(place * len(coded))] ^= flip
    try:
        decode(bytes(coded), coding, MIB)
    except EncodingError:
        return


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_members_and_frames_are_laid_end_to_end(coding: str) -> None:
    parts = [BODY, b"", b"end", b"x" * 70_000]
    assert decode(b"".join(FOREIGN[coding](part) for part in parts), coding, MIB) == b"".join(parts)
    with pytest.raises(CorruptCodingError):
        decode(FOREIGN[coding](b"") * (PARTS_MAX + 1), coding, MIB)


def test_a_skippable_zstd_frame_holds_nothing() -> None:
    assert decode(b"\x50\x2a\x4d\x18\x03\0\0\0abc" + zstd.compress(BODY), "zstd", MIB) == BODY


def test_a_zstd_window_beyond_what_http_allows_is_refused() -> None:
    parameters = {zstd.CompressionParameter.window_log: 25}
    stream = zstd.ZstdCompressor(options=parameters)
    coded = stream.compress(b"abc" * 5_000_000) + stream.flush()
    with pytest.raises(CorruptCodingError):
        decode(coded, "zstd", 64 * MIB)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("size", [99_999, 100_000, 100_001])
def test_the_bound_is_exact(coding: str, size: int) -> None:
    coded = FOREIGN[coding](bytes(i * i % 251 for i in range(size)))
    if size <= 100_000:
        assert len(decode(coded, coding, 100_000)) == size
    else:
        with pytest.raises(DecodedTooLargeError):
            decode(coded, coding, 100_000)


@pytest.mark.parametrize("coding", CODINGS)
def test_an_absurd_ratio_is_refused_below_the_bound(coding: str) -> None:
    coded = FOREIGN[coding](bytes(8 * MIB))
    if len(coded) * 250 < 8 * MIB:
        with pytest.raises(DecodedTooLargeError):
            decode(coded, coding, 64 * MIB)


def test_an_inner_layer_is_bounded_as_well() -> None:
    bomb = gzip.compress(gzip.compress(bytes(32 * MIB)))
    with pytest.raises(DecodedTooLargeError):
        decode(bomb, "gzip, gzip", 4 * MIB)


BOMB = """
import resource, sys
from proxy_pkg.wire.encoding import DecodedTooLargeError, decode, zstd
import zlib, brotli
coding, mib = sys.argv[1], 1 << 20
def zeros():
    for _ in range(512):
        yield bytes(mib)
if coding == "gzip":
    stream = zlib.compressobj(1, wbits=31)
    coded = b"".join(map(stream.compress, zeros())) + stream.flush()
elif coding == "zstd":
    stream = zstd.ZstdCompressor(1)
    coded = b"".join(map(stream.compress, zeros())) + stream.flush()
else:
    stream = brotli.Compressor(quality=1)
    coded = b"".join(map(stream.process, zeros())) + stream.finish()
coded += b"\\0" * mib  # so that the ratio does not stop it first
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    decode(coded, coding, 32 * mib)
except DecodedTooLargeError:
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_a_bomb_of_half_a_gigabyte_takes_no_more_memory_than_the_bound(coding: str) -> None:
    run = subprocess.run([sys.executable, "-c", BOMB, coding], capture_output=True, text=True, timeout=60)
    assert run.stdout.strip().isdecimal(), run.stderr
    assert int(run.stdout) <= 32 + 24
