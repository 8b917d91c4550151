"""What an exchange may have reported, made by hand, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.utils import timezone

from portfolios.models import ExchangeAccount, Order, SyncRun
from portfolios.services.book import import_book
from portfolios.services.discrepancies import Findings
from portfolios.services.fills import fill_rows, store_fills
from portfolios.services.order_batch import OrderBatch
from portfolios.services.orders import Told, apply_facts
from portfolios.services.portfolio_sync import finish_run
from portfolios.services.runs import claim_run, open_run
from portfolios.services.snapshot_requests import LISTS_OF_FACTS, snapshot_request
from providers.ccxt_provider import CCXTPortfolioProvider
from providers.reports import (
    BalanceReport,
    Depth,
    FillReport,
    FlowKind,
    FlowReport,
    FlowSource,
    FlowStatus,
    Leg,
    LegError,
    LegKind,
    LegStatus,
    OrderReport,
    OrderSide,
    OrderStatus,
    OrderType,
    Row,
    Snapshot,
)
from providers.resilience import Retry

D = Decimal


class ImpatientProvider(CCXTPortfolioProvider):
    """Reads as the product does, but does not pause before it tries again."""

    def __init__(self) -> None:
        retry = Retry(wait_initial=0, wait_max=0, wait_jitter=0)
        super().__init__(priority=1, retry=retry, endpoint_allowlist=("127.0.0.1",))


def make_books(
    label: str = "books", positions: dict[str, str] | None = None, **account: Any
) -> ExchangeAccount:
    """Write the books of one account with the portfolio `alpha <label>`; differences open at the second look."""
    row = {"label": label, "market": "binance", "lag_seconds": 0, "grace_seconds": 0}
    name = f"alpha {label}"
    import_book(
        {
            "accounts": [row | account],
            "portfolios": [{"name": name, "account": label, "trading_symbol": "EUR"}],
            "positions": [
                {"portfolio": name, "asset": asset, "amount": amount, "cost": "1"}
                for asset, amount in (positions or {}).items()
            ],
        }
    )
    return ExchangeAccount.objects.get(label=label)


def note_order(account: ExchangeAccount, **row: Any) -> None:
    known = {
        "portfolio": f"alpha {account.label}",
        "external_id": "1",
        "symbol": "ADA/EUR",
        "side": "buy",
        "amount": "10",
        "price": "2",
    }
    import_book({"orders": [known | row]})


def begin(account: ExchangeAccount) -> SyncRun:
    """Open a run and claim it, as a worker does."""
    run = claim_run(open_run(account, SyncRun.Trigger.SCHEDULE)[0].pk)
    assert run is not None
    return run


def look(account: ExchangeAccount, *legs: Leg, **snapshot: Any) -> SyncRun:
    """Sync `account` as if its exchange had answered with `legs`, in a run that began when they were asked for.

    Once there is a baseline the look is full: unless lists of fills or flows are given, the market has none.
    """
    run = begin(account)
    run.started_at = min((leg.requested_at for leg in legs), default=run.started_at)
    run.save(update_fields=["started_at"])
    is_full = account.baseline_at is not None and "depth" not in snapshot
    if is_full and not any(leg.kind in LISTS_OF_FACTS for leg in legs):
        legs = (*legs, unsupported(LegKind.ACCOUNT_FILLS), unsupported(LegKind.FLOWS))
    depth = Depth.FULL if is_full else Depth.CHEAP
    finish_run(run, Snapshot(snapshot_request(account), legs, **{"depth": depth} | snapshot))
    account.refresh_from_db()
    run.refresh_from_db()
    return run


def let_the_lease_lapse(run: SyncRun) -> None:
    lapsed = timezone.now() - timedelta(seconds=1)
    ExchangeAccount.objects.filter(pk=run.account_id).update(lease_expires_at=lapsed)


def balances(
    *unread: str, complete: bool = True, used: str | None = None, **totals: str | BalanceReport
) -> Leg:
    """Report the total of each asset, all of it free; of `unread` no number at all.

    What is in use is not reported, unless `used` tells it of each.
    """
    in_use = None if used is None else D(used)
    rows = [
        total
        if isinstance(total, BalanceReport)
        else BalanceReport(asset, D(total), in_use, D(total))
        for asset, total in totals.items()
    ]
    rows += [BalanceReport(asset, None, None, None) for asset in unread]
    return observed(LegKind.BALANCES, rows, subject="spot", complete=complete)


def open_orders(*orders: OrderReport) -> Leg:
    return observed(LegKind.OPEN_ORDERS, orders)


def order_leg(order: OrderReport) -> Leg:
    return observed(LegKind.ORDER, [order], subject=order.external_id)


def fills_leg(*fills: FillReport) -> Leg:
    return observed(LegKind.FILLS, fills, subject=fills[0].order_external_id)


def account_fills(*fills: FillReport, symbol: str = "ADA/EUR", **leg: Any) -> Leg:
    """Report what the list of a symbol's fills tells of the last day."""
    return observed(LegKind.ACCOUNT_FILLS, fills, **{"subject": symbol} | _last_day() | leg)


def flows_leg(*flows: FlowReport, source: FlowSource = FlowSource.DEPOSITS, **leg: Any) -> Leg:
    """Report what a list of movements tells of the last day."""
    return observed(LegKind.FLOWS, flows, **{"subject": source} | _last_day() | leg)


def _last_day() -> dict[str, datetime]:
    now = timezone.now()
    return {"since": now - timedelta(days=1), "until": now}


def denial(
    subject: str = "1", *, ended: Leg | None = None, fills: Leg | None = None
) -> tuple[Leg, ...]:
    """Say that there is no such order: asked for by its id, among those that ended, and by its fills.

    Parameters
    ----------
    ended, fills : Leg or None
        Another outcome of that search than having looked through all of it in vain.
    """
    return (
        failed(LegKind.ORDER, "not_found", subject=subject),
        ended or observed(LegKind.ENDED_ORDERS, [], subject=subject),
        fills or observed(LegKind.FILLS, [], subject=subject),
    )


def later(legs: Iterable[Leg], seconds: float) -> list[Leg]:
    """Let `legs` have been read `seconds` from now."""
    by = timedelta(seconds=seconds)
    return [
        replace(leg, requested_at=leg.requested_at + by, responded_at=leg.responded_at + by)
        for leg in legs
    ]


def observed(kind: LegKind, rows: Iterable[Row], **leg: Any) -> Leg:
    return _leg(kind, LegStatus.OBSERVED, rows=tuple(rows), **{"complete": True} | leg)


def failed(kind: LegKind, category: str = "transport", **leg: Any) -> Leg:
    error = LegError(category, "ExchangeUnavailable", "The exchange does not answer.")
    return _leg(kind, LegStatus.FAILED, **{"error": error} | leg)


def skipped(kind: LegKind, **leg: Any) -> Leg:
    return _leg(kind, LegStatus.SKIPPED, **leg)


def unsupported(kind: LegKind, **leg: Any) -> Leg:
    error = LegError("unsupported", "CapabilityMissing", "The market has no such read.")
    return _leg(kind, LegStatus.UNSUPPORTED, **{"error": error} | leg)


def apply_report(order: Order, report: OrderReport, fills: Leg | None = None) -> bool:
    """Join one report and the read of the order's fills, if there was one, into `order`."""
    order.refresh_from_db()
    batch, told = OrderBatch(order.account), Told([report], fills, [fill_rows(fills)])
    [stored] = store_fills([(order, told.fills)], None)
    changed = apply_facts(order, told, stored, None, Findings(), batch)
    batch.write()
    return changed


def _leg(kind: LegKind, status: LegStatus, **leg: Any) -> Leg:
    now = timezone.now()
    defaults: dict[str, Any] = {"subject": "spot" if kind is LegKind.BALANCES else "", "pages": 1}
    return Leg(kind, status, now, now, **defaults | leg)


def make_order_report(external_id: str = "1", **kwargs: Any) -> OrderReport:
    defaults: dict[str, Any] = {
        "symbol": "ADA/EUR",
        "side": OrderSide.BUY,
        "type": OrderType.LIMIT,
        "status": OrderStatus.OPEN,
        "raw_status": "NEW",
        "amount": D(10),
        "filled": D(0),
        "price": D(2),
    }
    return OrderReport(external_id, **defaults | kwargs)


def make_fill_report(
    amount: str, price: str, *, order: str = "1", external_id: str = "f-1", **kwargs: Any
) -> FillReport:
    defaults: dict[str, Any] = {
        "order_external_id": order,
        "symbol": "ADA/EUR",
        "side": OrderSide.BUY,
        "price": D(price),
        "amount": D(amount),
        "cost": D(price) * D(amount),
    }
    return FillReport(external_id, **defaults | kwargs)


def make_flow_report(amount: str, asset: str = "EUR", **kwargs: Any) -> FlowReport:
    now = timezone.now()
    defaults: dict[str, Any] = {
        "source": FlowSource.DEPOSITS,
        "external_id": "d-1",
        "kind": FlowKind.DEPOSIT,
        "status": FlowStatus.DONE,
        "occurred_at": now,
        "settled_at": now,
    }
    return FlowReport(asset=asset, amount=D(amount), **defaults | kwargs)


# Of these a sync writes new rows, or when it happened.
OF_THE_RUN = {"SyncRun", "StoredLeg", "JudgedSnapshot"}
TIMES = {
    "next_sync_at",
    "verified_at",
    "quiet_run_id",
    "disturbed_at",
    "observed_at",
    "newest_at",
    "confirmed_at",
    "last_run_id",
    "tested_at",
    "lease_fence",
    "lease_expires_at",
}


def everything_stored() -> dict[str, list[dict[str, Any]]]:
    models = [
        model
        for model in apps.get_app_config("portfolios").get_models()
        if model.__name__ not in OF_THE_RUN
    ]
    return {
        model.__name__: [
            {name: value for name, value in row.items() if name not in TIMES}
            for row in model._default_manager.order_by("pk").values()
        ]
        for model in models
    }


def stored_facts() -> dict[str, list[dict[str, Any]]]:
    """Tell what is stored of orders, fills, flows, ledger and positions: what no repeated look may change."""
    names = ("Order", "OrderVersion", "Fill", "Flow", "LedgerEntry", "Position")
    stored = everything_stored()
    return {name: stored[name] for name in names}
