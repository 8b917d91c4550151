"""What a discrepancy rests on: the reads of the run that saw it last."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Q

from portfolios.models import Discrepancy, DiscrepancyEvent, StoredLeg
from portfolios.selectors.discrepancy_trend import Trend
from portfolios.services.legs import leg_rows
from portfolios.services.order_reads import names_of
from providers.reports import LegKind

MOST_LEGS: Final = 10
_LISTS: Final = (LegKind.OPEN_ORDERS, LegKind.TRIGGER_ORDERS, LegKind.ENDED_ORDERS)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One read, and the rows of it that are about the discrepancy, as they are stored: redacted."""

    leg: StoredLeg
    rows: str


def evidence_of(
    row: Discrepancy, trend: Trend, events: Sequence[DiscrepancyEvent]
) -> list[Evidence]:
    run = trend.looks[0].run if trend.looks else next((e.run_id for e in events if e.run_id), None)
    about = _about(row)
    if run is None or about is None:
        return []
    legs = StoredLeg.objects.filter(about, run=run).select_related("content")
    return [Evidence(leg, _in_json(_rows_about(row, leg))) for leg in legs[:MOST_LEGS]]


def _about(row: Discrepancy) -> Q | None:
    if row.order is not None and row.order.external_id:
        names = names_of(row.order.external_id, row.order.symbol)
        return Q(kind__in=_LISTS) | Q(kind=LegKind.ORDER, subject__in=names)
    if row.wallet and row.asset:
        return Q(kind=LegKind.BALANCES, subject=row.wallet)
    return None


def _rows_about(row: Discrepancy, leg: StoredLeg) -> list[dict[str, Any]]:
    if row.order is not None:
        return [one for one in leg_rows(leg) if one.get("external_id") == row.order.external_id]
    return [one for one in leg_rows(leg) if one.get("asset") == row.asset]


def _in_json(rows: list[dict[str, Any]]) -> str:
    return json.dumps(rows, indent=2, ensure_ascii=False) if rows else ""
