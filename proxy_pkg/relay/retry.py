"""Whether, and when, to ask an upstream again that said it is too busy. Off unless the settings ask for it.

Only an answer that says so in its status is asked for again, never a fault: after a fault nobody knows whether
the request was carried out.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite

import aiohttp

from proxy_pkg.errors import RelayError

BUSY_STATUSES = frozenset((429, 529))

_SHARE = 0.1
_SAVED_MAX = 10.0
_FIRST_DELAY_SECONDS = 0.5
_JITTER_SHARE = 0.1


class Retries:
    """One worker's rule and its budget: all its retries together are at most a tenth of its requests.

    Up to ten unused retries are saved for worse times; a new worker begins with one.
    """

    def __init__(self, attempts_max: int, delay_seconds_max: float) -> None:
        self._attempts_max = attempts_max
        self._delay_seconds_max = delay_seconds_max
        self._saved = 1.0

    def earn(self) -> None:
        """A request goes up for the first time."""
        self._saved = min(_SAVED_MAX, self._saved + _SHARE)

    def delay_seconds(self, made: int, status: int, headers: Mapping[str, str]) -> float | None:
        """How long to wait before asking again; None to relay this answer as it is.

        `made` counts the retries of this request so far. An upstream that wants a longer pause than the limit
        is not asked again. What this grants is taken from the budget.
        """
        if made >= self._attempts_max or status not in BUSY_STATUSES or self._saved < 1:
            return None
        if headers.get("x-should-retry", "").strip().lower() == "false":
            return None
        wanted = asked_for_seconds(headers)
        if wanted is None:
            delay = min(_FIRST_DELAY_SECONDS * 2.0**made, self._delay_seconds_max)
            delay *= 1 - random.random() / 2  # noqa: S311  # spreads clients, keeps no secret
        elif wanted > self._delay_seconds_max:
            return None
        else:
            delay = wanted * (1 + _JITTER_SHARE * random.random())  # noqa: S311
        self._saved -= 1
        return delay


async def insist(
    retries: Retries, answer: aiohttp.ClientResponse, ask: Callable[[], Awaitable[aiohttp.ClientResponse]]
) -> tuple[aiohttp.ClientResponse, int]:
    """The last answer that the upstream gave, and how often it was asked again.

    `answer` is what it said at first; `ask` asks once more. Where that fails, what the upstream itself said last
    stands. Answers that are not returned are closed.
    """
    made = 0
    retries.earn()
    try:
        while (delay := retries.delay_seconds(made, answer.status, answer.headers)) is not None:
            await asyncio.sleep(delay)
            if not answer.content.is_eof():
                break  # a refusal that is still on its way would keep its connection beside the new one
            made += 1
            try:
                newer = await ask()
            except RelayError:
                break
            answer.close()
            answer = newer
    except BaseException:
        answer.close()
        raise
    return answer, made


def asked_for_seconds(headers: Mapping[str, str]) -> float | None:
    """The pause that an answer asks for, in seconds from now; None where it names none that can be read."""
    if (precise := _number(headers.get("retry-after-ms", ""))) is not None:
        return precise / 1000
    text = headers.get("retry-after", "")
    if (seconds := _number(text)) is not None:
        return seconds
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) and number >= 0 else None
