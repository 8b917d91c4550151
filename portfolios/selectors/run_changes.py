"""What one run has changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db.models import Count, Subquery

from portfolios.models import DiscrepancyEvent, JudgedSnapshot, SyncRun

# Of the turns and verdicts of a run the page shows the first; verdicts of the run have a page of their own.
MAX_SHOWN = 50


@dataclass(frozen=True, slots=True)
class VerdictChange:
    """A verdict that is another one than the look before gave; `before` is empty for an asset that was not there."""

    wallet: str
    asset: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class RunChanges:
    """What a run has changed, its orders apart.

    Parameters
    ----------
    fills, flows : int
        How many of each were booked.
    verdicts : list of VerdictChange or None
        None if the run judged nothing, or if nobody can tell what has changed.
    is_comparable : bool
        Whether the look before the run's is still kept; True if the run judged nothing.
    turns : list of DiscrepancyEvent
        What became of discrepancies: opened, resolved and all between; the first `MAX_SHOWN`.
    """

    fills: int
    flows: int
    verdicts: list[VerdictChange] | None
    is_comparable: bool
    turns: list[DiscrepancyEvent]

    @property
    def shown_verdicts(self) -> list[VerdictChange]:
        return (self.verdicts or [])[:MAX_SHOWN]


def run_changes(run: SyncRun) -> RunChanges:
    booked = run.ledger_entries.aggregate(
        fills=Count("fill", distinct=True), flows=Count("flow", distinct=True)
    )
    turns = DiscrepancyEvent.objects.filter(run=run).select_related("discrepancy")
    looks = _looks_up_to(run)
    is_comparable = not (looks and looks[0].follows_a_gap)
    return RunChanges(
        fills=booked["fills"],
        flows=booked["flows"],
        verdicts=_changed_verdicts(looks) if looks and is_comparable else None,
        is_comparable=is_comparable,
        turns=list(turns[:MAX_SHOWN]),
    )


def _looks_up_to(run: SyncRun) -> list[JudgedSnapshot]:
    """Give the look of the run and the one before it; none if the run judged nothing."""
    mine = JudgedSnapshot.objects.filter(run=run).values("pk")
    up_to_mine = JudgedSnapshot.objects.filter(account=run.account_id, pk__lte=Subquery(mine))
    return list(up_to_mine.select_related("content").order_by("-pk")[:2])


def _changed_verdicts(newest: Sequence[JudgedSnapshot]) -> list[VerdictChange]:
    before = dict(_verdicts(newest[1])) if len(newest) > 1 else {}
    return [
        VerdictChange(wallet, asset, before.get((wallet, asset), ""), verdict)
        for (wallet, asset), verdict in _verdicts(newest[0])
        if before.get((wallet, asset), "") != verdict
    ]


def _verdicts(snapshot: JudgedSnapshot) -> Iterator[tuple[tuple[str, str], str]]:
    stored = snapshot.content.rows if snapshot.content else {}
    for wallet, assets in stored.items():
        for asset, said in assets.items():
            yield (wallet, asset), said["verdict"]
