"""What each portfolio was after each good run; kept once for as long as it stays the same."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db.models import Max
from django.utils import timezone

from portfolios.amounts import plain
from portfolios.models import Portfolio, PortfolioSnapshot, Position, SyncRun

ZERO = Decimal(0)
_CONTENT = ("unallocated", "net_size", "pending", "positions")


def take_snapshots(run: SyncRun) -> int:
    """Keep what the live portfolios of the run's account are now; how many have changed since the last time.

    Call it in the transaction that closes the run, and only of one that succeeded.
    """
    portfolios = run.account.portfolios.filter(mode=Portfolio.Mode.LIVE)
    portfolios = portfolios.prefetch_related("positions")
    newest = _newest(run)
    now = timezone.now()
    changed, same = [], []
    for portfolio in portfolios:
        content = _content(portfolio)
        last = newest.get(portfolio.pk)
        if last is not None and all(getattr(last, name) == content[name] for name in _CONTENT):
            same.append(last.pk)
            continue
        changed.append(
            PortfolioSnapshot(
                portfolio=portfolio,
                first_run=run,
                last_run=run,
                taken_at=now,
                confirmed_at=now,
                **content,
            )
        )
    PortfolioSnapshot.objects.bulk_create(changed)
    PortfolioSnapshot.objects.filter(pk__in=same).update(last_run=run, confirmed_at=now)
    return len(changed)


def _newest(run: SyncRun) -> dict[int, PortfolioSnapshot]:
    of_account = PortfolioSnapshot.objects.filter(portfolio__account=run.account).order_by()
    newest = of_account.values("portfolio").annotate(newest=Max("pk")).values("newest")
    return {row.portfolio_id: row for row in PortfolioSnapshot.objects.filter(pk__in=newest)}


def _content(portfolio: Portfolio) -> dict[str, Any]:
    positions = sorted(portfolio.positions.all(), key=lambda row: row.asset)
    cash = next((row for row in positions if row.asset == portfolio.trading_symbol), None)
    unallocated = pending = None
    if portfolio.initialized:
        unallocated = cash.available if cash else ZERO
        pending = cash.reserved if cash else ZERO
    return {
        "unallocated": unallocated,
        "net_size": portfolio.net_size,
        "pending": pending,
        "positions": [position_row(row) for row in positions],
    }


def position_row(position: Position) -> dict[str, str]:
    """Write a position as the report does."""
    return {
        "asset": position.asset,
        "amount": plain(position.amount),
        "reserved": plain(position.reserved),
        "available": plain(position.available),
        "cost": plain(position.cost),
    }
