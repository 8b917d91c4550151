"""Everything PosSync knows, as plain values: the one shape of the report, the API and the pages' exports.

Amounts are strings in plain notation, times UTC with ``Z``, what was not read is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.db.models import Max
from django.utils import timezone

from portfolios.amounts import plain
from portfolios.models import (
    AssetBalance,
    Discrepancy,
    ExchangeAccount,
    Incident,
    Order,
    Portfolio,
    Position,
    SyncRun,
)
from portfolios.services.accounts import account_health
from providers.reports import LegStatus

Row = dict[str, Any]


def full_report(labels: Sequence[str] = ()) -> dict[str, list[Row]]:
    """Every row of the given accounts, of all if none is given; external orders and resolved ones included."""
    # What belongs to no account at all is told when nobody asks for one.
    only: dict[str, Any] = {"account__label__in": labels} if labels else {}
    accounts = ExchangeAccount.objects.select_related("credential")
    portfolios = Portfolio.objects.filter(**only).select_related("account")
    return {
        "accounts": account_rows(
            list(accounts.filter(label__in=labels) if labels else accounts), timezone.now()
        ),
        "portfolios": [portfolio_row(row) for row in portfolios.prefetch_related("positions")],
        "orders": [
            order_row(row)
            for row in Order.objects.filter(**only).select_related("account", "portfolio")
        ],
        "balances": [
            balance_row(row)
            for row in AssetBalance.objects.filter(**only).select_related("account")
        ],
        "discrepancies": [
            discrepancy_row(row)
            for row in Discrepancy.objects.filter(**only).select_related(
                "account", "portfolio", "order"
            )
        ],
        "incidents": [
            incident_row(row) for row in Incident.objects.filter(**only).select_related("account")
        ],
        "runs": [
            run_row(row)
            for row in SyncRun.objects.filter(**only)
            .select_related("account")
            .prefetch_related("legs")
        ],
    }


def _latest_finished_runs(accounts: Iterable[ExchangeAccount]) -> dict[int, SyncRun]:
    finished = SyncRun.objects.filter(account__in=accounts, finished_at__isnull=False)
    newest = finished.order_by().values("account").annotate(newest=Max("pk")).values("newest")
    return {run.account_id: run for run in SyncRun.objects.filter(pk__in=newest)}


def account_rows(accounts: Sequence[ExchangeAccount], now: datetime) -> list[Row]:
    latest = _latest_finished_runs(accounts)
    return [
        {
            "label": account.label,
            "market": account.market,
            "health": account_health(account, latest.get(account.pk), now).value,
            "verified_at": time_text(account.verified_at),
            "next_sync_at": time_text(account.next_sync_at),
        }
        for account in accounts
    ]


def portfolio_row(portfolio: Portfolio) -> Row:
    positions = list(portfolio.positions.all())
    cash = next((row for row in positions if row.asset == portfolio.trading_symbol), None)
    return {
        "name": portfolio.name,
        "account": portfolio.account.label,
        "trading_symbol": portfolio.trading_symbol,
        "initialized": portfolio.initialized,
        "unallocated": _amount(cash.available if cash and portfolio.initialized else None),
        "net_size": _amount(portfolio.net_size),
        "positions": [position_row(row) for row in positions],
    }


def position_row(position: Position) -> Row:
    return {
        "asset": position.asset,
        "amount": _amount(position.amount),
        "reserved": _amount(position.reserved),
        "available": _amount(position.available),
        "cost": _amount(position.cost),
    }


def order_row(order: Order) -> Row:
    return {
        "portfolio": order.portfolio.name if order.portfolio else None,
        "account": order.account.label,
        "external_id": order.external_id or None,
        "client_order_id": order.client_order_id or None,
        "symbol": order.symbol,
        "side": order.side,
        "type": order.type or None,
        "status": order.status,
        "price": _amount(order.price),
        "average": _amount(order.average),
        "amount": _amount(order.amount),
        "filled": _amount(order.filled),
        "remaining": _amount(order.remaining),
        "fees": [{"asset": fee["asset"], "amount": fee["amount"]} for fee in order.fees],
        "created_at": time_text(order.created_at),
        "updated_at": time_text(order.updated_at),
        "external": order.external,
    }


def balance_row(balance: AssetBalance) -> Row:
    return {
        "account": balance.account.label,
        "wallet": balance.wallet,
        "asset": balance.asset,
        "free": _amount(balance.free),
        "used": _amount(balance.used),
        "total": _amount(balance.total),
        "expected": _amount(balance.expected),
        "residual": _amount(balance.residual),
        "residual_low": _amount(balance.residual_low),
        "residual_high": _amount(balance.residual_high),
        "verdict": balance.verdict,
        "provisional": balance.provisional,
        "reason": balance.reason or None,
    }


def discrepancy_row(discrepancy: Discrepancy) -> Row:
    return {
        "code": discrepancy.code,
        "severity": discrepancy.severity,
        "state": discrepancy.state,
        "account": discrepancy.account.label,
        "portfolio": discrepancy.portfolio.name if discrepancy.portfolio else None,
        "asset": discrepancy.asset or None,
        "symbol": discrepancy.symbol or None,
        "order": _order_id(discrepancy.order),
        "book": _amount(discrepancy.book),
        "exchange": _amount(discrepancy.exchange),
        "difference": _amount(discrepancy.difference),
        "first_seen": time_text(discrepancy.first_seen),
        "last_seen": time_text(discrepancy.last_seen),
        "times_seen": discrepancy.times_seen,
        "cause": discrepancy.cause or None,
    }


def _order_id(order: Order | None) -> str | None:
    return None if order is None else order.external_id or order.client_order_id


def incident_row(incident: Incident) -> Row:
    return {
        "category": incident.category,
        "type": incident.type,
        "message": incident.message,
        "account": incident.account.label if incident.account else None,
        "operation": incident.operation,
        "count": incident.count,
        "first_seen": time_text(incident.first_seen),
        "last_seen": time_text(incident.last_seen),
        "state": incident.state,
    }


def run_row(run: SyncRun) -> Row:
    return {
        "id": run.pk,
        "account": run.account.label,
        "trigger": run.trigger,
        "status": run.status,
        "started_at": time_text(run.started_at),
        "finished_at": time_text(run.finished_at),
        "http_requests": run.http_requests,
        "orders_checked": run.orders_checked,
        "orders_changed": run.orders_changed,
        "legs": [
            {
                "kind": leg.kind,
                "status": leg.status,
                "error": leg.error_message or None,
                "rows": leg.row_count if leg.status == LegStatus.OBSERVED else None,
            }
            for leg in run.legs.all()
        ],
    }


def _amount(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def time_text(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")
