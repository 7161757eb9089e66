"""What ships with the package or lies beside it: the vocabulary, and the prices and how old they are."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from proxy_pkg.cli.checkups.finding import Finding, ok, problem, warning
from proxy_pkg.errors import VocabularyError
from proxy_pkg.prices.table import SHIPPED, Source
from proxy_pkg.tokens.vocabulary import VOCABULARY_PATH, VOCABULARY_SHA256, read

PRICE_DAYS_MAX: Final = 180


def vocabulary() -> Finding:
    """Whether the shipped file is the published one."""
    try:
        read()
    except VocabularyError as error:
        return problem("vocabulary", str(error), "install the package again")
    return ok("vocabulary", f"{VOCABULARY_PATH} is o200k_base: SHA-256 {VOCABULARY_SHA256[:12]}… fits")


def prices(sources: Sequence[Source], today: date) -> Iterator[Finding]:
    """How old the prices are that go first; the shipped ones behind them count as far as those lack a model."""
    for place, source in enumerate(sources):
        name = "the shipped prices" if source.source == SHIPPED else f"the prices in {source.source}"
        text = f"{name} are of {source.as_of}"
        days = _days_since(source.as_of, today)
        if days is None:
            advice = 'write as_of = "YYYY-MM-DD", the day that you looked them up'
            yield warning("prices", f"{text}, which is no date", advice)
        elif days > PRICE_DAYS_MAX and place == 0:
            advice = "compare them with your bill, and put what differs into a file of your own: HEADROOM_PRICES"
            yield warning("prices", f"{text}, {days} days ago", advice)
        else:
            yield ok("prices", text)


def _days_since(as_of: str, today: date) -> int | None:
    try:
        return (today - date.fromisoformat(as_of)).days
    except ValueError:
        return None
