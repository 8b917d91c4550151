"""Differences that stand open, made row by row, and what is proposed for them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from portfolios.models import Discrepancy, ExchangeAccount, Order
from portfolios.models.choices import Verdict
from portfolios.services.attribution import attribute_open
from tests.builders import (
    NOON,
    make_balance,
    make_discrepancy,
    make_order,
    make_portfolio,
)

D = Decimal
Code = Discrepancy.Code


def differs(account: ExchangeAccount, asset: str, difference: str, **kwargs: Any) -> Discrepancy:
    """Let a balance differ by exactly `difference`; give `low` and `high` for an interval."""
    by, wallet = D(difference), kwargs.get("wallet", "spot")
    make_balance(account, wallet=wallet, asset=asset, residual=by, verdict=Verdict.DIFFERS)
    defaults = {
        "key": f"balance:{wallet}:{asset}",
        "code": Code.BALANCE_SHORT if by < 0 else Code.BALANCE_SURPLUS,
        "asset": asset,
        "difference": by,
        "low": by,
        "high": by,
        "book": None,
        "exchange": None,
        "cause": "unexplained",
    }
    return make_discrepancy(account, **defaults | kwargs)


def lost_order(account: ExchangeAccount, **kwargs: Any) -> Order:
    """Make an order of a portfolio to buy 0.01 BTC at 50000 that the exchange denies."""
    portfolio = account.portfolios.first() or make_portfolio(account)
    defaults = {"external_id": "77", "missing_since": NOON}
    return make_order(portfolio, **defaults | kwargs)


def fee(asset: str, amount: str) -> list[dict[str, str]]:
    return [{"asset": asset, "amount": amount}]


def attributed(row: Discrepancy) -> Discrepancy:
    attribute_open(row.account, NOON)
    row.refresh_from_db()
    return row


def kinds(row: Discrepancy) -> list[list[str]]:
    return [
        [part["kind"] for part in parts] for parts in attributed(row).attribution["explanations"]
    ]


def outcome(row: Discrepancy) -> str:
    return str(attributed(row).attribution["outcome"])
