"""What asks again, when, and how often at most."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from multidict import CIMultiDict

from proxy_pkg.relay.retry import Retries, asked_for_seconds


def headers(**values: str) -> CIMultiDict[str]:
    return CIMultiDict({name.replace("_", "-"): value for name, value in values.items()})


@pytest.mark.parametrize("status", [200, 400, 401, 408, 409, 413, 500, 502, 503, 504])
def test_only_an_upstream_that_is_too_busy_is_asked_again(status: int) -> None:
    assert Retries(3, 10).delay_seconds(0, status, headers(retry_after="0")) is None


def test_the_pause_is_never_shorter_than_asked_for_and_a_longer_one_than_the_limit_is_not_waited_for() -> None:
    for asked in ("3", "3.0", "0"):
        delay = Retries(3, 10).delay_seconds(0, 429, headers(retry_after=asked))
        assert delay is not None
        assert float(asked) <= delay <= float(asked) * 1.1
    assert Retries(3, 10).delay_seconds(0, 429, headers(retry_after="11")) is None


def test_without_advice_the_pause_doubles_up_to_the_limit() -> None:
    for made, longest in ((0, 0.5), (1, 1.0), (2, 2.0), (3, 3.0)):
        delay = Retries(9, 3).delay_seconds(made, 529, headers())
        assert delay is not None
        assert longest / 2 <= delay <= longest


def test_an_upstream_that_says_no_is_not_asked_again() -> None:
    assert Retries(3, 10).delay_seconds(0, 429, headers(x_should_retry="False")) is None


def test_no_request_is_sent_again_more_often_than_the_setting_says() -> None:
    retries = Retries(1, 10)
    for _ in range(100):
        retries.earn()
    assert retries.delay_seconds(0, 429, headers()) is not None
    assert retries.delay_seconds(1, 429, headers()) is None


def test_all_retries_together_are_at_most_a_tenth_of_the_requests() -> None:
    retries = Retries(10, 10)
    granted = 0
    for _ in range(1000):
        retries.earn()
        made = 0
        while retries.delay_seconds(made, 529, headers()) is not None:
            made += 1
        granted += made
    assert 90 <= granted <= 101


@pytest.mark.parametrize("text", ["", "soon", "-1", "nan", "inf", "Wed, 99 Nov 2025 99:99:99 GMT", "1e999", "5 apples"])
def test_advice_that_cannot_be_read_is_none(text: str) -> None:
    assert asked_for_seconds(headers(retry_after=text)) is None


def test_a_date_is_a_pause_from_now_and_one_that_is_past_is_none_at_all() -> None:
    soon = asked_for_seconds(
        headers(retry_after=format_datetime(datetime.now(UTC) + timedelta(seconds=9), usegmt=True))
    )
    assert soon is not None
    assert 7 < soon <= 9
    assert asked_for_seconds(headers(retry_after="Sun, 06 Nov 1994 08:49:37 GMT")) == 0


def test_milliseconds_are_read_first() -> None:
    assert asked_for_seconds(headers(retry_after="2", retry_after_ms="1500")) == 1.5
