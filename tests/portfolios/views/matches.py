"""An order that was sent and not acknowledged, and the one of the exchange that it can only be."""

from __future__ import annotations

from portfolios.models import Discrepancy, Order
from tests.builders import make_discrepancy, make_order, make_portfolio


def make_match() -> tuple[Discrepancy, Order]:
    portfolio = make_portfolio(name="alpha")
    order = make_order(portfolio, external_id="", client_order_id="a-1", status="created")
    seen = make_order(portfolio.account, external_id="4711")
    found = make_discrepancy(
        order.account, portfolio=portfolio, order=order, code=Discrepancy.Code.ORDER_UNACKED
    )
    return found, seen
