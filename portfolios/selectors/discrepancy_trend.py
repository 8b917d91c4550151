"""How a difference went on: what each settled look said of it, and when its state turned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db.models.fields.json import KeyTransform

from portfolios.amounts import amount
from portfolios.models import Discrepancy, DiscrepancyEvent

MOST_LOOKS: Final = 60
_OF_BALANCES: Final = (Discrepancy.Code.BALANCE_SHORT, Discrepancy.Code.BALANCE_SURPLUS)


@dataclass(frozen=True, slots=True)
class Look:
    """What a run's read, once settled, said of the asset; None is not told, never zero."""

    run: int
    at: datetime
    verdict: str
    book: Decimal | None
    exchange: Decimal | None
    difference: Decimal | None
    low: Decimal | None
    high: Decimal | None
    tolerance: Decimal | None

    @property
    def is_wide(self) -> bool:
        return self.low != self.high


@dataclass(frozen=True, slots=True)
class Point:
    at: datetime
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Trend:
    """A difference over time.

    Parameters
    ----------
    looks : list of Look
        Of balances: the last `MOST_LOOKS` settled looks, newest first. Of others none.
    points : list of Point
        What is drawn, oldest first.
    turns : list of DiscrepancyEvent
        The turns within the time that is drawn, oldest first.
    """

    looks: list[Look]
    points: list[Point]
    turns: list[DiscrepancyEvent]


def trend_of(row: Discrepancy, events: Sequence[DiscrepancyEvent]) -> Trend:
    """Give the trend of `row`, of whose life `events` are the newest turns, newest first."""
    looks = _looks(row) if row.code in _OF_BALANCES else []
    points = [Point(look.at, look.difference) for look in looks if look.difference is not None]
    if not points:
        points = [Point(turn.at, turn.difference) for turn in events if turn.difference is not None]
    points.sort(key=lambda point: point.at)
    turns = [turn for turn in reversed(events) if points and turn.at >= points[0].at]
    return Trend(looks, points, turns)


def _looks(row: Discrepancy) -> list[Look]:
    said = KeyTransform(row.asset, KeyTransform(row.wallet, "content__rows"))
    settled = row.account.snapshots.filter(settled_at__isnull=False).order_by("-pk")
    rows = settled.annotate(said=said).values_list("run", "seen_at", "said")[:MOST_LOOKS]
    return [_look(run, at, said) for run, at, said in rows if isinstance(said, dict)]


def _look(run: int, at: datetime, said: dict[str, Any]) -> Look:
    return Look(
        run=run,
        at=at,
        verdict=said["verdict"],
        book=_amount(said["expected"]),
        exchange=_amount(said["total"]),
        difference=_amount(said["residual"]),
        low=_amount(said["low"]),
        high=_amount(said["high"]),
        tolerance=_amount(said["tolerance"]),
    )


def _amount(text: str | None) -> Decimal | None:
    return None if text is None else amount(text)
