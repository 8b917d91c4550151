from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from portfolios.models import (
    Discrepancy,
    ExchangeAccount,
    Order,
    Portfolio,
    PortfolioSnapshot,
    Position,
    SyncRun,
)
from portfolios.selectors.account import RECENT_RUNS
from portfolios.selectors.accounts import AccountSummary, account_summaries
from portfolios.selectors.listing import Listing, Query
from portfolios.selectors.orders import portfolio_orders

MAX_SNAPSHOTS = 20


@dataclass(frozen=True, slots=True)
class PortfolioPage:
    """Books of one portfolio.

    Parameters
    ----------
    unallocated : Decimal or None
        Units of the trading symbol; None until the books are opened.
    history : list of PortfolioSnapshot
        The newest `MAX_SNAPSHOTS`, newest first: what the portfolio was, and for how long.
    """

    portfolio: Portfolio
    summary: AccountSummary
    unallocated: Decimal | None
    positions: list[Position]
    discrepancies: list[Discrepancy]
    orders: Listing[Order]
    recent_runs: list[SyncRun]
    history: list[PortfolioSnapshot]


def portfolio_page(portfolio: Portfolio, query: Query, now: datetime) -> PortfolioPage:
    account = ExchangeAccount.objects.filter(pk=portfolio.account_id)
    [summary] = account_summaries(account, now)
    positions = list(portfolio.positions.order_by("asset"))
    live = Discrepancy.objects.filter(portfolio=portfolio, state__in=Discrepancy.LIVE)
    return PortfolioPage(
        portfolio=portfolio,
        summary=summary,
        unallocated=unallocated(portfolio, positions),
        positions=positions,
        discrepancies=list(live.select_related("account", "portfolio", "order")),
        orders=portfolio_orders(portfolio, query),
        recent_runs=summary.runs[::-1][:RECENT_RUNS],
        history=list(portfolio.snapshots.order_by("-pk")[:MAX_SNAPSHOTS]),
    )


def unallocated(portfolio: Portfolio, positions: list[Position]) -> Decimal | None:
    if not portfolio.initialized:
        return None
    cash = (row.available for row in positions if row.asset == portfolio.trading_symbol)
    return next(cash, Decimal(0))
