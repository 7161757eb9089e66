"""What limits are told of one request, and what its answer teaches for those to come."""

from types import SimpleNamespace
from typing import Any

import pytest

from proxy_pkg.billing.usage import Usage
from proxy_pkg.errors import RefusedError
from proxy_pkg.limits.needs import Needs
from proxy_pkg.prices.table import load as load_prices
from proxy_pkg.tokens.count import load as load_encoder
from proxy_pkg.web.charging import charge, settle

MODEL = "claude-sonnet-4-5"


class Limits:
    """Notes what it is told, and refuses a model without a price."""

    has_needs = True

    def __init__(self) -> None:
        self.settled_tokens: list[int] = []

    async def charge(self, granted: Any, need: Any) -> None:
        granted.need = need

    def check_price(self, _: Any, model: str) -> None:
        raise RefusedError(f"no price for {model}", "unknown_price", 403)

    def settled(self, _: Any, tokens: int, __: int = 0) -> None:
        self.settled_tokens.append(tokens)


def services_with(unknown_price: str = "open") -> Any:
    settings = SimpleNamespace(unknown_price=unknown_price)
    return SimpleNamespace(limits=Limits(), needs=Needs(load_prices(), load_encoder()), settings=settings)


async def test_a_long_answer_makes_the_next_request_of_its_model_need_more() -> None:
    services, granted = services_with(), SimpleNamespace(need=None)
    await charge(services, granted, MODEL, b'{"messages":[]}')
    before = granted.need
    for _ in range(50):
        await charge(services, granted, MODEL, b'{"messages":[]}')
        settle(services, granted, MODEL, Usage(input=10, output=30_000), 0, 0)
    await charge(services, granted, MODEL, b'{"messages":[]}')
    assert granted.need.tokens > before.tokens
    assert services.limits.settled_tokens == [30_010] * 50


@pytest.mark.parametrize(("unknown_price", "refused"), [("open", False), ("closed", True)])
async def test_a_model_without_a_price_is_refused_where_the_setting_says_so(unknown_price: str, refused: bool) -> None:
    services = services_with(unknown_price)
    await charge(services, SimpleNamespace(need=None), MODEL, b"{}")
    if not refused:
        await charge(services, SimpleNamespace(need=None), "nobody-knows-it", b"{}")
        return
    with pytest.raises(RefusedError):
        await charge(services, SimpleNamespace(need=None), "nobody-knows-it", b"{}")
