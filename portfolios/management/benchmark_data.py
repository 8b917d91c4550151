"""A large database, made in bulk: what years of many accounts leave behind, in shape and not in sense."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any, Final, TypeVar

from django.db import models
from django.utils import timezone

from portfolios.models import (
    AssetBalance,
    Discrepancy,
    DiscrepancyEvent,
    ExchangeAccount,
    Fill,
    Incident,
    JudgedContent,
    JudgedSnapshot,
    LedgerEntry,
    MarketCredential,
    Occurrence,
    Order,
    Portfolio,
    PortfolioSnapshot,
    Position,
    SyncRun,
)
from portfolios.models.choices import Severity, Verdict

Row = TypeVar("Row", bound=models.Model)
# Of each account.
ASSETS: Final = 40
RUNS: Final = 50
# And earlier ones, of which the looks are not kept: a few of each day.
EARLIER_RUNS: Final = 250
INCIDENTS: Final = 2
OCCURRENCES: Final = 20
_CHUNK: Final = 2000
_ONE: Final = Decimal("1.23456789")
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Size:
    accounts: int
    orders: int
    fills: int
    differences: int


def make_data(size: Size, say: Callable[[str], None]) -> None:
    """Fill an empty database; every tenth order and difference is of the first account."""
    now = timezone.now()
    accounts = _made(_accounts(size, now))
    accepted = MarketCredential.State.ACCEPTED
    _store(MarketCredential, (MarketCredential(account=each, state=accepted) for each in accounts))
    say(f"{len(accounts)} accounts")
    portfolios = _made(
        Portfolio(
            name=account.label,
            account=account,
            trading_symbol="USDT",
            initialized=True,
            opening_cash=_ONE,
        )
        for account in accounts
    )
    _make_holdings(portfolios, now)
    _store(SyncRun, _earlier_runs(accounts, now))
    _make_runs(portfolios, now)
    say(f"{(EARLIER_RUNS + RUNS) * len(accounts)} runs")
    orders = _made(_orders(size, portfolios, now))
    say(f"{len(orders)} orders")
    _store(Fill, _fills(size, orders, now))
    say(f"{size.fills} fills")
    _store(LedgerEntry, _entries(orders))
    _make_differences(size, accounts, now)
    say(f"{size.differences} differences")


def _made(rows: Iterator[Row]) -> list[Row]:
    """Store rows that others refer to."""
    kept = list(rows)
    if kept:
        type(kept[0])._default_manager.bulk_create(kept, batch_size=_CHUNK)  # noqa: SLF001 - as below
    return kept


def _store(model: type[Row], rows: Iterator[Row]) -> None:
    """Store rows that nobody refers to, some at a time."""
    while chunk := list(islice(rows, _CHUNK)):
        model._default_manager.bulk_create(chunk)  # noqa: SLF001 - Django documents it


def _asset(number: int) -> str:
    return f"A{number:02d}"


def _share(number: int, total: int) -> int:
    """Deal rows out: every tenth to the first."""
    return 0 if number % 10 == 0 else number % total


def _accounts(size: Size, now: datetime) -> Iterator[ExchangeAccount]:
    for number in range(size.accounts):
        yield ExchangeAccount(
            label=f"bench {number:04d}",
            market=("binance", "kraken", "okx")[number % 3],
            paused=number % 50 == 0,
            baseline_at=now,
            verified_at=now,
            next_sync_at=now + _MINUTE,
        )


def _make_holdings(portfolios: list[Portfolio], now: datetime) -> None:
    _store(
        Position,
        (
            Position(account=each.account, portfolio=each, asset=_asset(n), amount=_ONE, cost=_ONE)
            for each in portfolios
            for n in range(ASSETS)
        ),
    )
    _store(
        AssetBalance,
        (
            AssetBalance(
                account=each.account,
                wallet="spot",
                asset=_asset(n),
                free=_ONE,
                used=Decimal(0),
                total=_ONE,
                expected=_ONE,
                residual=Decimal(0),
                verdict=Verdict.VERIFIED,
                observed_at=now,
            )
            for each in portfolios
            for n in range(ASSETS)
        ),
    )


def _make_runs(portfolios: list[Portfolio], now: datetime) -> None:
    for portfolio in portfolios:
        account = portfolio.account
        runs = _made(_runs(account, now))
        numbers = ("expected", "total", "residual", "low", "high", "tolerance", "free", "used")
        said = {"verdict": "VERIFIED", "reason": "", **dict.fromkeys(numbers, "1")}
        rows = {"spot": {_asset(n): said for n in range(ASSETS)}}
        content = JudgedContent.objects.create(account=account, digest="0", rows=rows)
        times = {"window_low": now, "window_high": now, "seen_at": now, "settled_at": now}
        _store(
            JudgedSnapshot,
            (JudgedSnapshot(account=account, run=run, content=content, **times) for run in runs),
        )
        _store(PortfolioSnapshot, _history(portfolio, runs))
        for number in range(INCIDENTS):
            _make_incident(account, runs, number, now)


def _earlier_runs(accounts: list[ExchangeAccount], now: datetime) -> Iterator[SyncRun]:
    for number in range(EARLIER_RUNS):
        at = now - timedelta(days=90) * (EARLIER_RUNS - number) / EARLIER_RUNS
        for account in accounts:
            yield _run(account, at, is_good=number % 9 != 0)


def _runs(account: ExchangeAccount, now: datetime) -> Iterator[SyncRun]:
    for number in range(RUNS):
        yield _run(account, now - _MINUTE * (RUNS - number), is_good=number % 9 != 0)


def _run(account: ExchangeAccount, at: datetime, *, is_good: bool) -> SyncRun:
    return SyncRun(
        account=account,
        trigger=SyncRun.Trigger.SCHEDULE,
        status=SyncRun.Status.SUCCEEDED if is_good else SyncRun.Status.FAILED,
        stage=SyncRun.Stage.DONE,
        queued_at=at,
        started_at=at,
        finished_at=at + timedelta(seconds=1),
        http_requests=2,
        balances_read=is_good,
    )


def _history(portfolio: Portfolio, runs: list[SyncRun]) -> Iterator[PortfolioSnapshot]:
    for run in runs:
        at = run.finished_at or timezone.now()
        yield PortfolioSnapshot(
            portfolio=portfolio,
            first_run=run,
            last_run=run,
            taken_at=at,
            confirmed_at=at,
            unallocated=_ONE,
            net_size=_ONE,
            pending=Decimal(0),
        )


def _make_incident(
    account: ExchangeAccount, runs: list[SyncRun], number: int, now: datetime
) -> None:
    incident = Incident.objects.create(
        account=account,
        fingerprint=f"fingerprint {number}",
        category="transport",
        type="ExchangeUnavailable",
        operation="fetch.balances",
        message="The exchange does not answer.",
        count=OCCURRENCES,
        first_seen=now - OCCURRENCES * _MINUTE,
        last_seen=now,
    )
    _store(
        Occurrence,
        (
            Occurrence(incident=incident, run=run, message=incident.message, occurred_at=now)
            for run in runs[:OCCURRENCES]
        ),
    )


def _orders(size: Size, portfolios: list[Portfolio], now: datetime) -> Iterator[Order]:
    for number in range(size.orders):
        portfolio = portfolios[_share(number, len(portfolios))]
        at = now - timedelta(seconds=30 * (size.orders - number))
        is_open = number % 20 == 0
        yield Order(
            account=portfolio.account,
            portfolio=portfolio,
            external_id=f"order-{number}",
            symbol=f"{_asset(number % ASSETS)}/USDT",
            side=("buy", "sell")[number % 2],
            type="limit",
            status="open" if is_open else "closed",
            price=_ONE,
            amount=_ONE,
            filled=Decimal(0) if is_open else _ONE,
            created_at=at,
            updated_at=at,
        )


def _fills(size: Size, orders: list[Order], now: datetime) -> Iterator[Fill]:
    for number in range(size.fills):
        order = orders[number % len(orders)]
        yield Fill(
            account_id=order.account_id,
            order=order,
            order_external_id=order.external_id,
            external_id=f"fill-{number}",
            symbol=order.symbol,
            side=order.side,
            price=_ONE,
            amount=_ONE,
            cost=_ONE,
            fees=[{"asset": "USDT", "amount": "0.001"}],
            executed_at=now - timedelta(seconds=size.fills - number),
        )


def _entries(orders: list[Order]) -> Iterator[LedgerEntry]:
    for order in orders:
        common: dict[str, Any] = {
            "account_id": order.account_id,
            "portfolio_id": order.portfolio_id,
            "order": order,
            "cause": LedgerEntry.Cause.EXECUTION,
        }
        for asset in (order.base, order.quote):
            key = f"{order.symbol}:{order.external_id}:{asset}"
            yield LedgerEntry(asset=asset, amount=_ONE, cost=_ONE, key=key, **common)


def _make_differences(size: Size, accounts: list[ExchangeAccount], now: datetime) -> None:
    states = [*Discrepancy.State]
    rows = _made(
        Discrepancy(
            account=accounts[_share(number, len(accounts))],
            key=f"balance:spot:{number}",
            code=Discrepancy.Code.BALANCE_SHORT,
            severity=(Severity.ERROR, Severity.WARNING)[number % 2],
            state=states[number % len(states)],
            wallet="spot",
            asset=_asset(number % ASSETS),
            book=_ONE,
            exchange=Decimal(1),
            difference=Decimal("-0.23456789"),
            first_seen=now - timedelta(hours=1),
            last_seen=now - timedelta(seconds=number),
            opened_at=now - timedelta(minutes=30),
        )
        for number in range(size.differences)
    )
    _store(
        DiscrepancyEvent,
        (DiscrepancyEvent(discrepancy=row, episode=1, after=row.state, at=now) for row in rows),
    )
