"""What a movement that is no fill has moved, and how reports of it are joined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from portfolios.amounts import exact_sum
from portfolios.reconciliation.execution import fees_by_asset
from providers.reports import FeeReport, FlowKind, FlowReport, FlowStatus

# On its way, or told in a word that is not known.
UNSETTLED: Final = (FlowStatus.PENDING, "")
# A movement that was done may still come back; one that came back is not on its way again.
_RANK: Final[Mapping[FlowStatus | None, int]] = {
    None: 0,
    FlowStatus.PENDING: 1,
    FlowStatus.DONE: 2,
    FlowStatus.FAILED: 3,
}


def flow_effect(flow: FlowReport) -> dict[str, Decimal]:
    """Tell what `flow` has moved so far: signed changes by asset, its fees included, none of them zero.

    A withdrawal leaves when it is asked for and is back when it fails; everything else counts once it is done. What
    is not understood has no effect.
    """
    if not _has_effect(flow):
        return {}
    moved = {flow.asset: [flow.amount]}
    for asset, fee in fees_by_asset(flow.fees).items():
        moved.setdefault(asset, []).append(fee.copy_negate())
    sums = {asset: exact_sum(amounts) for asset, amounts in moved.items()}
    return {asset: amount for asset, amount in sums.items() if amount}


def _has_effect(flow: FlowReport) -> bool:
    if flow.kind is FlowKind.OTHER:
        return False
    is_gone = flow.kind is FlowKind.WITHDRAWAL and flow.status is FlowStatus.PENDING
    return is_gone or flow.status is FlowStatus.DONE


def due_effect(flow: FlowReport, *, in_baseline: bool) -> dict[str, Decimal]:
    """Tell what the books have to show for `flow`: signed changes by asset since the account's baseline.

    A withdrawal that had left before the baseline and failed is back since.
    """
    if not in_baseline:
        return flow_effect(flow)
    if flow.kind is not FlowKind.WITHDRAWAL or flow.status is not FlowStatus.FAILED:
        return {}
    gone = flow_effect(replace(flow, status=FlowStatus.DONE))
    return {asset: amount.copy_negate() for asset, amount in gone.items()}


def merged_flow(known: FlowReport, report: FlowReport) -> FlowReport:
    """Join `report` into `known`: arriving twice, late or out of order gives the same flow.

    What comes with the later status counts: fees of a withdrawal on its way are an estimate, which stands as long as
    no later status tells any. A word that is not known leaves everything but a time that was not known either.
    """
    occurred = _earliest(known.occurred_at, report.occurred_at)
    ahead = _RANK[report.status] - _RANK[known.status]
    if ahead < 0:
        return _with_fees(replace(known, occurred_at=occurred), known, report)
    latest = replace(
        known,
        amount=report.amount,
        status=report.status,
        raw_kind=report.raw_kind,
        raw_status=report.raw_status,
        occurred_at=occurred,
        settled_at=report.settled_at,
    )
    return _with_fees(latest if ahead > 0 else _of_one_status(known, latest), known, report)


def _of_one_status(known: FlowReport, latest: FlowReport) -> FlowReport:
    """Join two reports of one status: what only one of them tells, and of what contradicts the same in any order."""
    return replace(
        latest,
        amount=max(known.amount, latest.amount),
        raw_kind=max(known.raw_kind, latest.raw_kind),
        raw_status=max(known.raw_status, latest.raw_status),
        settled_at=_earliest(known.settled_at, latest.settled_at),
    )


def _with_fees(joined: FlowReport, *told: FlowReport) -> FlowReport:
    """Take the fees that were told with the latest status that tells any; of contradicting ones the same in any order.

    Those of a word that is not known count only as long as no other is.
    """
    fees = [
        (_RANK[with_status], _by_content(one.fees), with_status, one.fees)
        for one in told
        if one.fees and ((with_status := one.fees_status or one.status) or not joined.status)
    ]
    if not fees:
        return replace(joined, fees=(), fees_status=None)
    *_order, status, latest = max(fees, key=lambda each: each[:2])
    return replace(joined, fees=latest, fees_status=None if status == joined.status else status)


def _by_content(fees: tuple[FeeReport, ...]) -> tuple[tuple[str, Decimal], ...]:
    return tuple((fee.asset, fee.amount) for fee in fees)


def _earliest(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((time for time in (one, other) if time is not None), default=None)


def told_until(at: datetime) -> datetime:
    """Tell by when what is told of `at` had happened: who tells movements to the second cuts off the rest."""
    return at if at.microsecond else at.replace(microsecond=999_999)


def is_in_baseline(flow: FlowReport, baseline_at: datetime) -> bool:
    """Whether the balance that was read at `baseline_at` held the effect of `flow` already.

    A withdrawal on its way had left it, a deposit on its way had not reached it. Times are the exchange's.
    """
    if flow.kind is FlowKind.WITHDRAWAL and flow.status is FlowStatus.FAILED:
        # Gone then and back since; back before, or nobody knows when, it is as if it had never been.
        is_back_since = flow.settled_at is not None and flow.settled_at > baseline_at
        return is_back_since and _is_by(flow.occurred_at, baseline_at)
    if flow.kind is FlowKind.WITHDRAWAL:
        return _is_by(flow.occurred_at or flow.settled_at, baseline_at)
    is_done = flow.status is FlowStatus.DONE
    return is_done and _is_by(flow.settled_at or flow.occurred_at, baseline_at)


def _is_by(time: datetime | None, baseline_at: datetime) -> bool:
    return time is not None and time <= baseline_at
