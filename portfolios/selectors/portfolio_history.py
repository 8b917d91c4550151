from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from portfolios.amounts import difference
from portfolios.models import Portfolio, PortfolioSnapshot

MOST_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """What a portfolio was from `since` to `until`, both times of good runs.

    Parameters
    ----------
    change : Decimal or None
        Of the net size since the row before, in the trading symbol; None for the first one.
    """

    snapshot: PortfolioSnapshot
    since: datetime
    until: datetime
    change: Decimal | None


def portfolio_history(
    portfolio: Portfolio, *, before: int | None = None, limit: int = MOST_SHOWN
) -> list[HistoryRow]:
    """List what the portfolio was, newest first.

    Parameters
    ----------
    before : int or None
        Primary key of the snapshot at which the last page ended.
    """
    snapshots = portfolio.snapshots.order_by("-pk")
    if before is not None:
        snapshots = snapshots.filter(pk__lt=before)
    # One more, which the last one shown is compared with.
    rows = list(snapshots[: limit + 1])
    older: list[PortfolioSnapshot | None] = [*rows[1:], None]
    return [
        HistoryRow(row, row.taken_at, row.confirmed_at, _change(row, last))
        for row, last in zip(rows, older, strict=True)
    ][:limit]


def _change(row: PortfolioSnapshot, last: PortfolioSnapshot | None) -> Decimal | None:
    if last is None or row.net_size is None or last.net_size is None:
        return None
    return difference(row.net_size, last.net_size)
