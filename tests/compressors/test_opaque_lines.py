"""Runs of encoded bytes go, whole lines only; names, numbers and what was asked for stay."""

import base64
from random import Random

import pytest

from bench.compression_decode import has_only_lines_of
from proxy_pkg.compressors.opaque_lines import reduce

BYTES = Random(7).randbytes(3000)
PEM = base64.encodebytes(BYTES[:1210]).decode().rstrip("\n")


def test_a_certificate_keeps_its_first_line() -> None:
    first, *_, last = PEM.split("\n")
    text = f"subject: example.org\n-----BEGIN CERTIFICATE-----\n{PEM}\n-----END CERTIFICATE-----\nverified: no\n"
    reduced = reduce(text, ())
    count = PEM.count("\n") - 1
    assert reduced == (
        f"subject: example.org\n-----BEGIN CERTIFICATE-----\n{first}\n[{count} lines left out: 4-{count + 3}]\n{last}\n"
        "-----END CERTIFICATE-----\nverified: no\n"
    )
    assert has_only_lines_of(text, reduced)
    assert reduce(reduced, ()) is None


@pytest.mark.parametrize(
    "line", [BYTES.hex(), base64.b64encode(BYTES).decode(), base64.urlsafe_b64encode(BYTES).decode(), BYTES.hex(" ")]
)
def test_one_long_line_goes(line: str) -> None:
    assert reduce(f"before\n{line}\nafter", ()) == "before\n[1 lines left out: 2]\nafter"


def test_a_line_that_was_asked_for_stays() -> None:
    wanted = PEM.split("\n")[5]
    reduced = reduce(f"key:\n{PEM}\n", (wanted,))
    assert reduced is not None
    assert wanted in reduced


@pytest.mark.parametrize(
    "text",
    [
        "one\n" * 999,
        f"sha256: {BYTES[:32].hex()}\n" * 99,
        BYTES[:64].hex(),
        "\n".join(BYTES[at : at + 32].hex() for at in range(99)),
        "-" * 5000,
        "abcdefghij" * 500,
        "1234567890" * 500,
        "a_name_that_is_very_long_and_says_what_it_is_for_in_full\n" * 99,
        "ab " * 3000,
    ],
)
def test_words_numbers_and_short_codes_stay(text: str) -> None:
    assert reduce(text, ()) is None
