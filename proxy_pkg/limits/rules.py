"""The limits that the settings set, each as a rule that makes a claim on the store."""

import calendar
import time
from typing import Final, Literal

from msgspec import Struct

from proxy_pkg.config.settings import ROWS, Settings
from proxy_pkg.store.contract import Budget, Claim, Lease, Rate

MICRODOLLARS: Final = 1_000_000
MINUTE_SECONDS: Final = 60

Kind = Literal["budget", "requests", "tokens", "concurrency"]
Period = Literal["minute", "hourly", "daily", "monthly"]


class Rule(Struct, frozen=True):
    """One limit: at most `limit` of a kind, for each caller or for all of them together."""

    kind: Kind
    limit: int
    setting: str
    each: bool
    period: Period = "minute"

    def claim(self, caller: str, cost: int, now: float, name: str = "") -> Claim:
        """The claim of a request of `caller` at Unix time `now`; `name` tells it from others in progress."""
        who = caller if self.each else "all"
        if self.kind == "concurrency":
            return Lease(f"concurrency:{who}", name, self.limit)
        if self.kind == "budget":
            key = f"budget:{time.strftime(_STAMPS[self.period], time.gmtime(now))}:{who}"
            return Budget(key, cost, self.limit, _BUDGET_TTL_SECONDS[self.period])
        return Rate(f"{self.kind}:{who}", cost, self.limit, MINUTE_SECONDS)

    def seconds_left(self, now: float) -> float:
        """The time until the period of a budget ends, at Unix time `now`."""
        at = time.gmtime(now)
        ends = {
            "minute": (at.tm_year, at.tm_mon, at.tm_mday, at.tm_hour, at.tm_min + 1, 0),
            "hourly": (at.tm_year, at.tm_mon, at.tm_mday, at.tm_hour + 1, 0, 0),
            "daily": (at.tm_year, at.tm_mon, at.tm_mday + 1, 0, 0, 0),
            "monthly": (at.tm_year + at.tm_mon // 12, at.tm_mon % 12 + 1, 1, 0, 0, 0),
        }
        return max(0.0, calendar.timegm((*ends[self.period], 0, 0, 0)) - now)

    def amount(self, units: int) -> float:
        """Units of the store as people count them: dollars for a budget."""
        return units / MICRODOLLARS if self.kind == "budget" else units

    @property
    def words(self) -> str:
        """What it limits, and for whom."""
        whose = "each caller" if self.each else "all callers"
        return f"{_WORDS[self.kind]}{_ENDS.get(self.period, '')}, {whose}"

    def text(self) -> str:
        """The limit as a person would say it."""
        whose = "each caller" if self.each else "all callers together"
        amount = f"{'$' * (self.kind == 'budget')}{self.amount(self.limit):.15g}"
        return f"{whose} may have {amount} {_WORDS[self.kind]}{_ENDS.get(self.period, '')} ({self.setting})"


def rules_set(settings: Settings) -> list[Rule]:
    """The limits that are on, in the order in which they refuse: money first, then rates, then concurrency.

    Of two for the same, such as two settings for a budget of all callers and a day, the lower one holds.
    """
    found: dict[tuple[Kind, bool, Period], Rule] = {}
    for name, kind, each, period in _TABLE:
        value = getattr(settings, name)
        if value:
            limit = max(1, round(value * MICRODOLLARS)) if kind == "budget" else value
            chosen = settings.budget_period if name == "budget_usd" else period
            rule = Rule(kind, limit, ROWS[name].environment, each, chosen)
            same = found.setdefault((kind, each, chosen), rule)
            if limit < same.limit:
                found[kind, each, chosen] = rule
    return list(found.values())


_STAMPS: Final = {"hourly": "%Y-%m-%dT%H", "daily": "%Y-%m-%d", "monthly": "%Y-%m"}
_BUDGET_TTL_SECONDS: Final = {"hourly": 2 * 3600, "daily": 2 * 86_400, "monthly": 32 * 86_400}
_WORDS: Final = {
    "budget": "of usage",
    "requests": "requests per minute",
    "tokens": "tokens per minute",
    "concurrency": "requests in progress at once",
}
_ENDS: Final = {"hourly": " each hour", "daily": " each day", "monthly": " each month"}

_TABLE: Final[tuple[tuple[str, Kind, bool, Period], ...]] = (
    ("caller_budget_month_usd", "budget", True, "monthly"),
    ("budget_month_usd", "budget", False, "monthly"),
    ("caller_budget_day_usd", "budget", True, "daily"),
    ("budget_day_usd", "budget", False, "daily"),
    ("budget_usd", "budget", False, "daily"),
    ("rpm", "requests", True, "minute"),
    ("total_rpm", "requests", False, "minute"),
    ("tpm", "tokens", True, "minute"),
    ("total_tpm", "tokens", False, "minute"),
    ("caller_concurrency", "concurrency", True, "minute"),
    ("total_concurrency", "concurrency", False, "minute"),
)
"""Setting, what it limits, whether for each caller, and the period."""
