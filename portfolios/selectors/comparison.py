"""A portfolio at two moments: what changed between them, and what was booked that explains it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from portfolios.amounts import amount, difference, exact_sum
from portfolios.models import LedgerEntry, Portfolio, PortfolioSnapshot
from portfolios.selectors.ledger import with_their_causes
from portfolios.selectors.listing import Query, is_key
from portfolios.selectors.portfolio import PortfolioFrame
from portfolios.selectors.portfolio_history import Valued, valued

MAX_SUMMED: Final = 20_000
MAX_ENTRIES: Final = 50
ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Change:
    """One figure at both moments; None where it was not known."""

    name: object
    before: Decimal | None
    after: Decimal | None

    @property
    def change(self) -> Decimal | None:
        if self.before is None or self.after is None:
            return None
        return difference(self.after, self.before)


@dataclass(frozen=True, slots=True)
class CauseSum:
    """What the entries of one cause add up to."""

    cause: LedgerEntry.Cause
    count: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class AssetChange:
    """One asset at both moments.

    Parameters
    ----------
    unexplained : Decimal or None
        What the entries between do not add up to; None where they were too many to be added.
    """

    asset: str
    before: Decimal
    after: Decimal
    change: Decimal
    cost_before: Decimal
    cost_after: Decimal
    cost_change: Decimal
    causes: list[CauseSum]
    unexplained: Decimal | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed from one snapshot to another.

    Parameters
    ----------
    entries : list of LedgerEntry
        The newest `MAX_ENTRIES` of those between, newest first.
    entry_count : int or None
        How many there are; None if more than `MAX_SUMMED`.
    """

    before: Valued
    after: Valued
    figures: list[Change]
    assets: list[AssetChange]
    entries: list[LedgerEntry]
    entry_count: int | None


@dataclass(frozen=True, slots=True)
class ComparePage:
    """Two moments of a portfolio.

    Parameters
    ----------
    asked_from, asked_to : datetime or None
        The moments as a form shows them.
    comparison : Comparison or None
        None unless a snapshot tells of either.
    """

    frame: PortfolioFrame
    asked_from: datetime | None
    asked_to: datetime | None
    comparison: Comparison | None

    @property
    def portfolio(self) -> Portfolio:
        return self.frame.portfolio


@dataclass(frozen=True, slots=True)
class _Named:
    """A moment as the URL names it, and the snapshot that held then."""

    at: datetime | None
    snapshot: PortfolioSnapshot | None


def compare_page(frame: PortfolioFrame, query: Query, now: datetime) -> ComparePage:
    """Compare `from` with `to`, each a moment or the key of a snapshot.

    Without `to` the newest snapshot is taken, without `from` the one before `to`.
    """
    portfolio = frame.portfolio
    to = _named(portfolio, query.get("to", ""))
    if to is None:
        to = _of(portfolio.snapshots.order_by("-pk").first())
    start = _named(portfolio, query.get("from", ""))
    if start is None:
        start = _of(_one_before(portfolio, to.snapshot))
    both = [each for each in (start.snapshot, to.snapshot) if each is not None]
    both.sort(key=lambda row: row.pk)
    comparison = _comparison(portfolio, both[0], both[1]) if len(both) == 2 else None
    return ComparePage(frame, start.at, to.at, comparison)


def _named(portfolio: Portfolio, text: str) -> _Named | None:
    """Find the snapshot that `text` names by key or moment; None if it names neither."""
    if is_key(text):
        return _of(portfolio.snapshots.filter(pk=int(text)).first())
    try:
        moment = datetime.fromisoformat(text)
        at = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        # A form names whole seconds: the one in which a snapshot was taken is its own.
        until = at + timedelta(seconds=1)
    except (ValueError, OverflowError):
        return None
    return _Named(at, portfolio.snapshots.filter(taken_at__lt=until).order_by("-pk").first())


def _of(snapshot: PortfolioSnapshot | None) -> _Named:
    return _Named(snapshot.taken_at if snapshot else None, snapshot)


def _one_before(
    portfolio: Portfolio, snapshot: PortfolioSnapshot | None
) -> PortfolioSnapshot | None:
    if snapshot is None:
        return None
    return portfolio.snapshots.filter(pk__lt=snapshot.pk).order_by("-pk").first()


def _comparison(
    portfolio: Portfolio, before: PortfolioSnapshot, after: PortfolioSnapshot
) -> Comparison:
    booked = LedgerEntry.objects.filter(
        portfolio=portfolio, booked_at__gt=before.taken_at, booked_at__lte=after.taken_at
    )
    rows = booked.order_by("-pk").values_list("asset", "cause", "amount")
    summed = list(rows[: MAX_SUMMED + 1])
    is_whole = len(summed) <= MAX_SUMMED
    left = valued(before, portfolio.trading_symbol)
    right = valued(after, portfolio.trading_symbol)
    return Comparison(
        before=left,
        after=right,
        figures=_figures(left, right),
        assets=_asset_changes(before, after, summed if is_whole else None),
        entries=list(_in_full(booked).order_by("-pk")[:MAX_ENTRIES]),
        entry_count=len(summed) if is_whole else None,
    )


def _in_full(booked: QuerySet[LedgerEntry]) -> QuerySet[LedgerEntry]:
    """Read with each entry what the API tells of it beside what the page does."""
    return with_their_causes(booked).select_related("account", "fill")


def _figures(before: Valued, after: Valued) -> list[Change]:
    left, right = before.snapshot, after.snapshot
    return [
        Change(_("Unallocated"), left.unallocated, right.unallocated),
        Change(_("Locked by orders"), left.pending, right.pending),
        Change(_("Net size"), left.net_size, right.net_size),
        Change(_("Value at cost"), before.value, after.value),
    ]


def _asset_changes(
    before: PortfolioSnapshot,
    after: PortfolioSnapshot,
    booked: Iterable[tuple[str, str, Decimal]] | None,
) -> list[AssetChange]:
    left, right = _by_asset(before), _by_asset(after)
    causes = _causes(booked or ())
    return [
        _asset_change(
            asset,
            left.get(asset, (ZERO, ZERO)),
            right.get(asset, (ZERO, ZERO)),
            None if booked is None else causes.get(asset, []),
        )
        for asset in sorted(left.keys() | right.keys() | causes.keys())
    ]


def _asset_change(
    asset: str,
    before: tuple[Decimal, Decimal],
    after: tuple[Decimal, Decimal],
    causes: list[CauseSum] | None,
) -> AssetChange:
    change = difference(after[0], before[0])
    explained = exact_sum(each.amount for each in causes or ())
    return AssetChange(
        asset=asset,
        before=before[0],
        after=after[0],
        change=change,
        cost_before=before[1],
        cost_after=after[1],
        cost_change=difference(after[1], before[1]),
        causes=causes or [],
        unexplained=None if causes is None else difference(change, explained),
    )


def _by_asset(snapshot: PortfolioSnapshot) -> dict[str, tuple[Decimal, Decimal]]:
    rows: list[Mapping[str, Any]] = snapshot.positions
    return {row["asset"]: (amount(row["amount"]), amount(row["cost"])) for row in rows}


def _causes(booked: Iterable[tuple[str, str, Decimal]]) -> dict[str, list[CauseSum]]:
    amounts: defaultdict[tuple[str, str], list[Decimal]] = defaultdict(list)
    for asset, cause, each in booked:
        amounts[asset, cause].append(each)
    by_asset: defaultdict[str, list[CauseSum]] = defaultdict(list)
    for (asset, cause), parts in sorted(amounts.items()):
        summed = CauseSum(LedgerEntry.Cause(cause), len(parts), exact_sum(parts))
        by_asset[asset].append(summed)
    return by_asset
