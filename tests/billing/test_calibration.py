"""Estimates are corrected by what providers report, from a few bodies of text alone."""

import json
from typing import Any

import pytest

from proxy_pkg.billing.calibration import (
    BODY_BYTES_MAX,
    FIRST_SAMPLES,
    SAMPLE_EVERY,
    SAMPLES_MIN,
    Calibration,
    estimate_of,
)
from tests.fakes.tokens import FourCharacters


def test_a_factor_holds_once_enough_is_known() -> None:
    calibration = Calibration()
    for _ in range(SAMPLES_MIN):
        assert calibration.factor("m") == 1.0
        assert calibration.learn("m", 1000, 1300) == 1.3
    assert calibration.factor("m") == pytest.approx(1.3)
    assert calibration.factor("another") == 1.0


@pytest.mark.parametrize(("estimated", "reported"), [(0, 10), (100, 19), (10, 51), (-5, 5)])
def test_what_cannot_be_text_alone_teaches_nothing(estimated: int, reported: int) -> None:
    calibration = Calibration()
    for _ in range(SAMPLES_MIN):
        assert calibration.learn("m", estimated, reported) == 0
    assert calibration.factor("m") == 1.0


def test_the_first_bodies_are_counted_and_then_a_few() -> None:
    calibration = Calibration()
    wanted = [number for number in range(1, 3 * SAMPLE_EVERY + 1) if calibration.samples("m", 1000)]
    assert wanted == [*range(1, FIRST_SAMPLES + 1), SAMPLE_EVERY, 2 * SAMPLE_EVERY, 3 * SAMPLE_EVERY]
    assert not calibration.samples("long", BODY_BYTES_MAX + 1)


def test_models_are_bounded() -> None:
    calibration = Calibration()
    assert sum(calibration.samples(f"m{number}", 10) for number in range(1000)) < 100


def body(content: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": content}]}).encode()


def test_all_text_of_a_body_is_counted_and_opaque_values_are_not() -> None:
    words = "abcd" * 500
    plain = estimate_of(body(words), FourCharacters())
    assert 500 <= plain <= 520
    thinking = [{"type": "thinking", "thinking": words, "signature": "x" * 9000}, {"type": "text", "text": words}]
    assert 1000 <= estimate_of(body(thinking), FourCharacters()) <= 1040


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "image", "source": {"data": "x" * 900}}, {"type": "text", "text": "words"}],
        [{"type": "image_url", "image_url": {"url": "data:x"}}],
        [{"inlineData": {"data": "x"}}],
    ],
)
def test_bodies_with_more_than_text_are_not_counted(content: Any) -> None:
    assert estimate_of(body(content), FourCharacters()) == 0


@pytest.mark.parametrize(
    "more",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": {"id": "conv_1"}},
        {"prompt": {"id": "pmpt_1"}},
        {"cachedContent": "cachedContents/1"},
        {"input": [{"type": "item_reference", "id": "msg_1"}]},
        {"input": [{"type": "input_text", "file_id": "file_1"}]},
    ],
)
def test_bodies_that_refer_to_what_the_provider_keeps_are_not_counted(more: dict[str, Any]) -> None:
    """What the model reads is longer than the body, so savings would be estimated too large."""
    plain = {"input": [{"role": "user", "content": "abcd" * 500}]}
    assert estimate_of(json.dumps(plain | {"previous_response_id": None}).encode(), FourCharacters()) > 0
    assert estimate_of(json.dumps(plain | more).encode(), FourCharacters()) == 0


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000, b"7", b"null"])
def test_what_is_no_body_is_not_counted(data: bytes) -> None:
    assert estimate_of(data, FourCharacters()) == 0
