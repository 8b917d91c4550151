from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from portfolios.amounts import exact_sum
from portfolios.models import LedgerEntry, Portfolio
from portfolios.services.book.changes import Import, require_unchanged, update_row
from portfolios.services.book.document import Node
from portfolios.services.journal import find_position
from portfolios.services.openings import has_books, open_portfolio

ZERO = Decimal(0)


def import_portfolio(node: Node, under_way: Import) -> None:
    name = node.text("name", limit=100)
    under_way.refuse_twice(node, "name", "portfolio", name)
    given = {
        "account": under_way.account(node),
        "trading_symbol": node.text("trading_symbol", limit=64).upper(),
        "initial_balance": node.amount("initial_balance", None),
        "mode": node.one_of("mode", Portfolio.Mode.values, Portfolio.Mode.LIVE),
    }
    node.refuse_unknown()
    portfolio = Portfolio.objects.filter(name=name).first()
    if portfolio is None:
        node.not_negative("initial_balance", None)
        Portfolio.objects.create(name=name, **given)
        under_way.count_created()
        return
    immutable = ["account", "trading_symbol"]
    if portfolio.initialized:
        immutable.append("initial_balance")
    if has_books(portfolio):
        immutable.append("mode")
    if given["initial_balance"] == exported_cash(portfolio):
        del given["initial_balance"]
    elif not portfolio.initialized:
        node.not_negative("initial_balance", None)
    under_way.count_existing(is_changed=update_row(node, portfolio, given, immutable))


def exported_cash(portfolio: Portfolio) -> Decimal | None:
    """Cash as it is now: with it, the orders as they are now and the positions as they are now make one book.

    Before the opening it is what was given at first and what orders have moved since; None if nothing was given.
    """
    given = ZERO if portfolio.initialized else portfolio.initial_balance
    if given is None:
        return None
    moved = (
        row.amount for row in portfolio.positions.all() if row.asset == portfolio.trading_symbol
    )
    return exact_sum((given, *moved))


def import_position(node: Node, under_way: Import) -> None:
    portfolio = under_way.portfolio(node)
    asset = node.text("asset", limit=64)
    under_way.refuse_twice(node, "asset", "position", portfolio.pk, asset)
    if asset.upper() == portfolio.trading_symbol:
        raise node.fail(
            "asset",
            _("the cash of %(portfolio)s is given by its initial_balance"),
            portfolio=str(portfolio),
        )
    given = {"amount": node.amount("amount"), "cost": node.amount("cost", "0")}
    node.refuse_unknown()
    entries = LedgerEntry.objects.filter(portfolio=portfolio, asset=asset)
    position = portfolio.positions.filter(asset=asset).first()
    if not entries.exists() and (position is None or any(given.values())):
        _open(node, portfolio, asset)
        under_way.booked[portfolio.account_id] = portfolio.account
        under_way.count_created()
        return
    opening = entries.filter(key=f"opening:{portfolio.pk}:{asset}").first()
    require_unchanged(node, given, _state(opening), _state(position))
    under_way.count_existing(is_changed=False)


def _open(node: Node, portfolio: Portfolio, asset: str) -> None:
    amount, cost = node.not_negative("amount"), node.not_negative("cost", "0")
    find_position(portfolio.account, portfolio, asset)
    open_portfolio(portfolio, asset, amount or ZERO, cost=cost or ZERO, run=None)


def _state(row: Any) -> dict[str, Decimal]:
    """Amount and cost of a position, or of the entry that opened it; one that was not opened began with nothing."""
    return {"amount": row.amount, "cost": row.cost} if row else {"amount": ZERO, "cost": ZERO}
