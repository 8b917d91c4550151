"""One row of each kind, ready to use; a test names only what matters to it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any

from django.utils import timezone

from portfolios.models import (
    AssetBalance,
    ClaimRule,
    Discrepancy,
    ExchangeAccount,
    Fill,
    Flow,
    Incident,
    LedgerEntry,
    MarketCredential,
    Occurrence,
    Order,
    OrderVersion,
    Portfolio,
    PortfolioSnapshot,
    Position,
    Quarantine,
    ReadCursor,
    StoredLeg,
    SyncRun,
)
from portfolios.models.choices import Severity, Verdict
from portfolios.services.credentials import store_credential
from providers.reports import (
    FlowKind,
    FlowSource,
    FlowStatus,
    LegKind,
    LegStatus,
    OrderSide,
    OrderStatus,
    OrderType,
)

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
_numbers = count(1)


def make_account(**kwargs: Any) -> ExchangeAccount:
    return ExchangeAccount.objects.create(
        **{"label": f"account {next(_numbers)}", "market": "binance"} | kwargs
    )


def make_credential(account: ExchangeAccount | None = None, **secrets: str) -> MarketCredential:
    values = secrets or {"apiKey": "builders-key", "secret": "builders-secret"}
    return store_credential(account or make_account(), values)


def make_portfolio(account: ExchangeAccount | None = None, **kwargs: Any) -> Portfolio:
    return Portfolio.objects.create(
        account=account or make_account(),
        **{"name": f"portfolio {next(_numbers)}", "trading_symbol": "USDT"} | kwargs,
    )


def make_position(portfolio: Portfolio, **kwargs: Any) -> Position:
    return Position.objects.create(
        account=portfolio.account,
        portfolio=portfolio,
        **{"asset": "BTC", "amount": Decimal("0.5"), "cost": Decimal(30000)} | kwargs,
    )


def make_portfolio_snapshot(
    portfolio: Portfolio, run: SyncRun | None = None, **kwargs: Any
) -> PortfolioSnapshot:
    """Note that the portfolio held 0.5 BTC and nothing else; name another `asset`, `amount` and `cost`."""
    row = {"asset": "BTC", "amount": "0.5", "reserved": "0", "cost": "30000"}
    row |= {name: kwargs.pop(name) for name in ("asset", "amount", "cost") if name in kwargs}
    row["available"] = row["amount"]
    run = run or make_run(portfolio.account)
    defaults = {"taken_at": timezone.now(), "unallocated": Decimal(0), "positions": [row]}
    values = defaults | kwargs
    values.setdefault("confirmed_at", values["taken_at"])
    return PortfolioSnapshot.objects.create(
        portfolio=portfolio, first_run=run, last_run=run, **values
    )


def make_order(owner: Portfolio | ExchangeAccount, **kwargs: Any) -> Order:
    """Make an order of a portfolio, or one that no portfolio claims if an account is given."""
    portfolio = owner if isinstance(owner, Portfolio) else None
    account = owner.account if isinstance(owner, Portfolio) else owner
    defaults = {
        "external": portfolio is None,
        "is_backtest": portfolio is not None and portfolio.mode == Portfolio.Mode.BACKTEST,
        "external_id": f"order-{next(_numbers)}",
        "symbol": "BTC/USDT",
        "side": OrderSide.BUY,
        "type": OrderType.LIMIT,
        "status": OrderStatus.OPEN,
        "price": Decimal(50000),
        "amount": Decimal("0.01"),
        "created_at": NOON,
    }
    return Order.objects.create(account=account, portfolio=portfolio, **defaults | kwargs)


def make_fill(order: Order, **kwargs: Any) -> Fill:
    defaults = {
        "external_id": f"fill-{next(_numbers)}",
        "symbol": order.symbol,
        "side": order.side,
        "price": Decimal(50000),
        "amount": Decimal("0.01"),
        "cost": Decimal(500),
        "executed_at": NOON,
    }
    return Fill.objects.create(**{"account": order.account, "order": order} | defaults | kwargs)


def make_flow(account: ExchangeAccount | None = None, **kwargs: Any) -> Flow:
    defaults = {
        "source": FlowSource.DEPOSITS,
        "external_id": f"flow-{next(_numbers)}",
        "kind": FlowKind.DEPOSIT,
        "wallet": "spot",
        "asset": "BTC",
        "amount": Decimal("0.25"),
        "status": FlowStatus.DONE,
        "occurred_at": NOON,
        "settled_at": NOON,
    }
    return Flow.objects.create(account=account or make_account(), **defaults | kwargs)


def make_version(order: Order, **kwargs: Any) -> OrderVersion:
    """Note terms that the order had before it was amended."""
    terms = {"price": order.price, "amount": order.amount, "replaced_at": NOON}
    return OrderVersion.objects.create(
        order=order, **{"number": order.versions.count() + 1} | terms | kwargs
    )


def make_cursor(account: ExchangeAccount, **kwargs: Any) -> ReadCursor:
    defaults = {"kind": LegKind.ACCOUNT_FILLS, "subject": "BTC/USDT", "covered_until": NOON}
    return ReadCursor.objects.create(account=account, **defaults | kwargs)


def make_quarantine(account: ExchangeAccount, **kwargs: Any) -> Quarantine:
    defaults = {
        "kind": LegKind.BALANCES,
        "subject": "spot",
        "digest": "0" * 64,
        "last_counted_at": NOON,
    }
    return Quarantine.objects.create(account=account, **defaults | kwargs)


def make_claim_rule(portfolio: Portfolio, **kwargs: Any) -> ClaimRule:
    """Make a rule that gives all orders to `portfolio`; give `kind` and `value` for another one."""
    return ClaimRule.objects.create(
        account=portfolio.account, portfolio=portfolio, **{"kind": ClaimRule.Kind.ALL} | kwargs
    )


def make_balance(account: ExchangeAccount | None = None, **kwargs: Any) -> AssetBalance:
    defaults = {
        "wallet": "spot",
        "asset": "BTC",
        "free": Decimal("0.5"),
        "used": Decimal(0),
        "total": Decimal("0.5"),
        "expected": Decimal("0.5"),
        "residual": Decimal(0),
        "verdict": Verdict.VERIFIED,
        "observed_at": NOON,
    }
    return AssetBalance.objects.create(account=account or make_account(), **defaults | kwargs)


def make_run(account: ExchangeAccount | None = None, **kwargs: Any) -> SyncRun:
    """Make a run that succeeded; give `status` for another one."""
    status = kwargs.setdefault("status", SyncRun.Status.SUCCEEDED)
    is_open = status in (SyncRun.Status.QUEUED, SyncRun.Status.RUNNING)
    over = {"stage": SyncRun.Stage.DONE, "started_at": NOON, "finished_at": NOON}
    return SyncRun.objects.create(
        account=account or make_account(),
        **{"trigger": SyncRun.Trigger.SCHEDULE} | ({} if is_open else over) | kwargs,
    )


def make_leg(run: SyncRun, **kwargs: Any) -> StoredLeg:
    defaults = {
        "kind": LegKind.BALANCES,
        "subject": "spot",
        "status": LegStatus.OBSERVED,
        "complete": True,
        "requested_at": NOON,
        "responded_at": NOON,
    }
    return StoredLeg.objects.create(run=run, **defaults | kwargs)


def make_entry(portfolio: Portfolio, **kwargs: Any) -> LedgerEntry:
    defaults = {
        "asset": "USDT",
        "amount": Decimal(1000),
        "cause": LedgerEntry.Cause.OPENING,
        "key": f"entry-{next(_numbers)}",
    }
    return LedgerEntry.objects.create(
        account=portfolio.account, portfolio=portfolio, **defaults | kwargs
    )


def make_discrepancy(account: ExchangeAccount | None = None, **kwargs: Any) -> Discrepancy:
    defaults = {
        "key": f"balance:spot:{next(_numbers)}",
        "code": Discrepancy.Code.BALANCE_SHORT,
        "severity": Severity.ERROR,
        "state": Discrepancy.State.OPEN,
        "wallet": "spot",
        "asset": "BTC",
        "book": Decimal("0.5"),
        "exchange": Decimal("0.4"),
        "difference": Decimal("-0.1"),
        "first_seen": NOON,
        "last_seen": NOON,
    }
    if kwargs.get("state") != Discrepancy.State.SUSPECTED:
        defaults["opened_at"] = NOON
    return Discrepancy.objects.create(account=account or make_account(), **defaults | kwargs)


def make_incident(account: ExchangeAccount | None = None, **kwargs: Any) -> Incident:
    defaults = {
        "fingerprint": f"fingerprint-{next(_numbers)}",
        "category": "transport",
        "type": "ExchangeUnavailable",
        "operation": "balances",
        "message": "The exchange does not answer.",
        "count": 1,
        "first_seen": NOON,
        "last_seen": NOON,
    }
    return Incident.objects.create(account=account or make_account(), **defaults | kwargs)


def make_occurrence(incident: Incident, run: SyncRun | None = None, **kwargs: Any) -> Occurrence:
    defaults = {"message": incident.message, "occurred_at": NOON}
    return Occurrence.objects.create(incident=incident, run=run, **defaults | kwargs)
