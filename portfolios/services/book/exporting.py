from __future__ import annotations

from typing import Any

from django.db.models import prefetch_related_objects

from portfolios.models import AssetRule, ClaimRule, ExchangeAccount, Order, Portfolio
from portfolios.services.book.changes import written
from portfolios.services.book.portfolios import exported_cash

Row = dict[str, Any]


def export_book() -> dict[str, list[Row]]:
    """Write the books as they are now, without secrets; importing the document again changes nothing."""
    portfolios = list(Portfolio.objects.select_related("account"))
    prefetch_related_objects(portfolios, "positions")
    orders = Order.objects.exclude(portfolio=None).select_related("portfolio").order_by("pk")
    return {
        "accounts": [_account_row(account) for account in ExchangeAccount.objects.all()],
        "portfolios": [_portfolio_row(portfolio) for portfolio in portfolios],
        "positions": [row for portfolio in portfolios for row in _position_rows(portfolio)],
        "orders": [_order_row(order) for order in orders],
        "asset_rules": [
            _asset_rule_row(rule) for rule in AssetRule.objects.select_related("account")
        ],
        "claim_rules": [
            _claim_rule_row(rule) for rule in ClaimRule.objects.select_related("portfolio")
        ],
    }


def _account_row(account: ExchangeAccount) -> Row:
    names = (
        "label",
        "market",
        "endpoint",
        "sandbox",
        "wallets",
        "interval_seconds",
        "paused",
        "symbols",
        "policy",
        "lapses_by_itself",
    )
    row = {name: getattr(account, name) for name in names}
    for name in ("lag_seconds", "grace_seconds"):
        if getattr(account, name) is not None:
            row[name] = getattr(account, name)
    if account.cron:
        row |= {"cron": account.cron, "time_zone": account.time_zone}
    return row


def _portfolio_row(portfolio: Portfolio) -> Row:
    return {
        "name": portfolio.name,
        "account": portfolio.account.label,
        "trading_symbol": portfolio.trading_symbol,
        "initial_balance": written(exported_cash(portfolio)) or None,
        "mode": portfolio.mode,
    }


def _position_rows(portfolio: Portfolio) -> list[Row]:
    return [
        {
            "portfolio": portfolio.name,
            "asset": position.asset,
            "amount": written(position.amount),
            "cost": written(position.cost),
        }
        for position in portfolio.positions.all()
        if position.asset != portfolio.trading_symbol and (position.amount or position.cost)
    ]


def _order_row(order: Order) -> Row:
    names = (
        "portfolio",
        "external_id",
        "client_order_id",
        "symbol",
        "side",
        "type",
        "price",
        "amount",
        "filled",
        "status",
        "created_at",
    )
    # Nothing of what is not known, rather than a value that an import would take for one.
    return {name: written(getattr(order, name)) or None for name in names}


def _asset_rule_row(rule: AssetRule) -> Row:
    row = {"account": rule.account.label, "kind": rule.kind, "asset": rule.asset}
    given = {"counts_as": rule.counts_as, "amount": written(rule.amount)}
    return row | {name: value for name, value in given.items() if value}


def _claim_rule_row(rule: ClaimRule) -> Row:
    row = {"portfolio": rule.portfolio.name, "kind": rule.kind}
    return row | ({"value": rule.value} if rule.value else {})
