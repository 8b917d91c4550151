"""What a portfolio was over time, from the snapshots that good runs took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db.models import Max, Q, QuerySet
from django.db.models.functions import Trunc
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portfolios.amounts import amount, exact_sum, ratio_of
from portfolios.charts import (
    Sample,
    ShareChart,
    StepChart,
    letter,
    share_chart,
    step_chart,
    thinned,
)
from portfolios.models import Portfolio, PortfolioSnapshot
from portfolios.selectors.listing import Facet, Query, facet

MAX_POINTS: Final = 120
MAX_BANDS: Final = 6
ZERO: Final = Decimal(0)
_TENTH: Final = Decimal("0.1")
# How far back, and how finely that is looked at.
_SPANS: Final[Mapping[str, tuple[timedelta | None, str]]] = {
    "day": (timedelta(days=1), "minute"),
    "week": (timedelta(days=7), "hour"),
    "month": (timedelta(days=31), "hour"),
    "year": (timedelta(days=366), "day"),
    "all": (None, "day"),
}


@dataclass(frozen=True, slots=True)
class Valued:
    """A snapshot and what it was worth at cost.

    Parameters
    ----------
    parts : dict of str to Decimal
        By asset, in the trading symbol: the cash itself, of all others what was paid for them.
    """

    snapshot: PortfolioSnapshot
    parts: dict[str, Decimal]

    @property
    def value(self) -> Decimal | None:
        """Value at cost, in the trading symbol; None while the books were not opened."""
        return None if self.snapshot.unallocated is None else exact_sum(self.parts.values())


@dataclass(frozen=True, slots=True)
class Share:
    """What part of the value at cost an asset is, `percent` rounded to a tenth; None if that cannot be said."""

    name: str
    letter: str
    cost: Decimal
    percent: Decimal | None


@dataclass(frozen=True, slots=True)
class Course:
    """How a portfolio went.

    Parameters
    ----------
    values : StepChart or None
        Value at cost and net size; None while fewer than two moments are known.
    shares : list of Share
        The newest composition, of which `bands` is the course.
    """

    values: StepChart | None
    bands: ShareChart | None
    shares: list[Share]


def valued(snapshot: PortfolioSnapshot, cash: str) -> Valued:
    """Value `snapshot` at cost, `cash` being the trading symbol. No price is asked for: this is no market value."""
    rows: list[dict[str, Any]] = snapshot.positions
    parts = {
        row["asset"]: amount(row["amount" if row["asset"] == cash else "cost"]) for row in rows
    }
    return Valued(snapshot, parts)


def span_facet(query: Query) -> Facet:
    options = (
        ("day", gettext_lazy("A day")),
        ("week", gettext_lazy("A week")),
        ("month", gettext_lazy("A month")),
        ("year", gettext_lazy("A year")),
        ("all", gettext_lazy("All")),
    )
    return facet(query, "span", gettext_lazy("Time"), options, default="month")


def course(portfolio: Portfolio, span: str, now: datetime) -> Course:
    """Show the time of `span` until the last good run, by at most `MAX_POINTS` snapshots."""
    rows = [valued(row, portfolio.trading_symbol) for row in _sampled(portfolio, span, now)]
    if not rows:
        return Course(None, None, [])
    end = rows[-1].snapshot.confirmed_at
    begin = _begin(span, now)
    # What held when the time began was taken before it.
    times = [max(row.snapshot.taken_at, begin or row.snapshot.taken_at) for row in rows]
    values = [Sample(at, row.value) for at, row in zip(times, rows, strict=True)]
    sizes = [Sample(at, row.snapshot.net_size) for at, row in zip(times, rows, strict=True)]
    names, parts = _largest(rows)
    columns = list(zip(times, parts, strict=True))
    return Course(
        step_chart((values, sizes), end),
        share_chart(columns, names, end),
        _shares(parts[-1], names),
    )


def _begin(span: str, now: datetime) -> datetime | None:
    length, _grain = _SPANS[span]
    return None if length is None else now - length


def _sampled(portfolio: Portfolio, span: str, now: datetime) -> QuerySet[PortfolioSnapshot]:
    """Find the last snapshot of each minute, hour or day, and what held when the time began."""
    begin = _begin(span, now)
    rows = portfolio.snapshots.order_by()
    wanted = Q()
    if begin is not None:
        before = rows.filter(taken_at__lt=begin).order_by("-pk").values("pk")[:1]
        wanted = Q(pk__in=before)
        rows = rows.filter(taken_at__gte=begin)
    _length, grain = _SPANS[span]
    buckets = rows.annotate(bucket=Trunc("taken_at", grain)).values("bucket")
    newest = buckets.annotate(newest=Max("pk")).order_by("newest").values_list("newest", flat=True)
    keys = thinned(list(newest), MAX_POINTS)
    return portfolio.snapshots.filter(wanted | Q(pk__in=keys)).order_by("pk")


def _largest(rows: Sequence[Valued]) -> tuple[list[str], list[Mapping[str, Decimal]]]:
    """Name the assets that were most of it, the largest one first, and sum up the others."""
    largest: dict[str, Decimal] = {}
    for row in rows:
        for asset, cost in row.parts.items():
            largest[asset] = max(largest.get(asset, ZERO), cost)
    held = [asset for asset, cost in largest.items() if cost]
    names = sorted(held, key=lambda name: (-largest[name], name))
    if len(names) <= MAX_BANDS:
        return names, [row.parts for row in rows]
    kept, rest, others = names[: MAX_BANDS - 1], names[MAX_BANDS - 1 :], _("Others")
    return [*kept, others], [row.parts | {others: _above_zero(row.parts, rest)} for row in rows]


def _above_zero(parts: Mapping[str, Decimal], names: Sequence[str]) -> Decimal:
    return exact_sum(max(parts.get(name, ZERO), ZERO) for name in names)


def _shares(parts: Mapping[str, Decimal], names: Sequence[str]) -> list[Share]:
    whole = _above_zero(parts, names)
    return [
        Share(name, letter(place), parts.get(name, ZERO), _percent(parts, name, whole))
        for place, name in enumerate(names)
    ]


def _percent(parts: Mapping[str, Decimal], name: str, whole: Decimal) -> Decimal | None:
    part = parts.get(name, ZERO)
    if part < 0 or not whole:
        return None
    return ratio_of(Decimal(100), part, whole).quantize(_TENTH)
