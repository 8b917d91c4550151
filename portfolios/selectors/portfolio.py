from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from portfolios.models import Discrepancy, Portfolio, Position
from portfolios.selectors.account import AccountFrame, account_frame
from portfolios.selectors.ledger import portfolio_ledger
from portfolios.selectors.listing import Listing, Query, one_page
from portfolios.selectors.orders import portfolio_fills, portfolio_orders
from portfolios.selectors.portfolio_history import Course, Valued, course, span_facet, valued

MAX_DISCREPANCIES = 20


@dataclass(frozen=True, slots=True)
class PortfolioFrame:
    """What every page about a portfolio begins with."""

    portfolio: Portfolio
    account: AccountFrame


@dataclass(frozen=True, slots=True)
class PortfolioPage:
    """Books of one portfolio.

    Parameters
    ----------
    unallocated : Decimal or None
        Units of the trading symbol; None until the books are opened.
    discrepancies : list of Discrepancy
        At most `MAX_DISCREPANCIES` of those that are not settled, the newest first.
    """

    frame: PortfolioFrame
    unallocated: Decimal | None
    positions: list[Position]
    discrepancies: list[Discrepancy]
    course: Course
    limit: int = MAX_DISCREPANCIES

    @property
    def portfolio(self) -> Portfolio:
        return self.frame.portfolio


@dataclass(frozen=True, slots=True)
class PortfolioListPage:
    """One list of a portfolio: orders, fills or ledger entries."""

    frame: PortfolioFrame
    listing: Listing[Any]

    @property
    def portfolio(self) -> Portfolio:
        return self.frame.portfolio


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """What a portfolio was.

    Parameters
    ----------
    rows : list of Valued
        The snapshots of the page of `listing`, newest first.
    """

    frame: PortfolioFrame
    course: Course
    listing: Listing[Any]
    rows: list[Valued]

    @property
    def portfolio(self) -> Portfolio:
        return self.frame.portfolio


def portfolio_frame(pk: int, now: datetime) -> PortfolioFrame | None:
    portfolio = Portfolio.objects.filter(pk=pk).first()
    account = account_frame(portfolio.account_id, now) if portfolio else None
    if portfolio is None or account is None:
        return None
    portfolio.account = account.account
    return PortfolioFrame(portfolio, account)


def portfolio_page(frame: PortfolioFrame, query: Query, now: datetime) -> PortfolioPage:
    portfolio = frame.portfolio
    positions = list(portfolio.positions.order_by("asset"))
    live = Discrepancy.objects.filter(portfolio=portfolio, state__in=Discrepancy.LIVE)
    found = live.select_related("account", "portfolio", "order").order_by("-pk")
    return PortfolioPage(
        frame=frame,
        unallocated=unallocated(portfolio, positions),
        positions=positions,
        discrepancies=list(found[:MAX_DISCREPANCIES]),
        course=course(portfolio, span_facet(query).chosen, now),
    )


def orders_page(frame: PortfolioFrame, query: Query, now: datetime) -> PortfolioListPage:
    return PortfolioListPage(frame, portfolio_orders(frame.portfolio, query))


def fills_page(frame: PortfolioFrame, query: Query, now: datetime) -> PortfolioListPage:
    return PortfolioListPage(frame, portfolio_fills(frame.portfolio, query))


def ledger_page(frame: PortfolioFrame, query: Query, now: datetime) -> PortfolioListPage:
    return PortfolioListPage(frame, portfolio_ledger(frame.portfolio, query))


def history_page(frame: PortfolioFrame, query: Query, now: datetime) -> HistoryPage:
    portfolio, span = frame.portfolio, span_facet(query)
    listing = one_page(portfolio.snapshots.order_by("-pk"), query, (span,))
    rows = [valued(row, portfolio.trading_symbol) for row in listing.rows]
    return HistoryPage(frame, course(portfolio, span.chosen, now), listing, rows)


def unallocated(portfolio: Portfolio, positions: list[Position]) -> Decimal | None:
    if not portfolio.initialized:
        return None
    cash = (row.available for row in positions if row.asset == portfolio.trading_symbol)
    return next(cash, Decimal(0))
