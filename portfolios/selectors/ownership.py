from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from portfolios.amounts import exact_sum
from portfolios.models import ExchangeAccount, Portfolio, Position


@dataclass(frozen=True, slots=True)
class Share:
    """What one portfolio holds of an asset, or the unassigned part where `portfolio` is None."""

    portfolio: Portfolio | None
    amount: Decimal
    reserved: Decimal


@dataclass(frozen=True, slots=True)
class Ownership:
    """Whose an asset of an account is: the shares add up to the total that the books expect, exactly."""

    asset: str
    shares: list[Share]
    total: Decimal


def account_ownership(account: ExchangeAccount) -> list[Ownership]:
    """Tell by asset who owns what; assets of which nobody holds anything are left out."""
    real = account.positions.exclude(portfolio__mode=Portfolio.Mode.BACKTEST)
    by_asset: defaultdict[str, list[Position]] = defaultdict(list)
    for position in real.select_related("portfolio").order_by("asset", "portfolio__name"):
        if position.amount or position.reserved:
            by_asset[position.asset].append(position)
    return [_ownership(asset, positions) for asset, positions in sorted(by_asset.items())]


def _ownership(asset: str, positions: Iterable[Position]) -> Ownership:
    shares = [Share(row.portfolio, row.amount, row.reserved) for row in positions]
    # What nobody claims comes last on both databases.
    shares.sort(key=lambda share: share.portfolio is None)
    return Ownership(asset, shares, exact_sum(share.amount for share in shares))
