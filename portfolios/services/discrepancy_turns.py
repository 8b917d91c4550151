"""The turns in the life of a discrepancy: each moves the row and is told in its events, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from portfolios.models import Decision, Discrepancy, DiscrepancyEvent, SyncRun

State = Discrepancy.State
AGREES: Final = "agrees again"
CHANGED: Final = "changed"


@dataclass(frozen=True, slots=True)
class By:
    """What made a turn, and when: a run that saw it or a decision that a person made."""

    at: datetime
    run: SyncRun | None = None
    decision: Decision | None = None


def begin(row: Discrepancy, first_seen: datetime) -> None:
    """Begin the next episode of `row`; nothing is saved."""
    row.episode += 1
    row.first_seen, row.times_seen = first_seen, 0
    row.opened_at = row.low = row.high = row.stale_since = None
    row.confidence, row.attribution = "", {}


def move(row: Discrepancy, state: str, reason: str, by: By) -> None:
    """Save `row` in its new state, with the event that tells it."""
    before = row.state
    # An older read may be settled after a newer one was seen: its turns come after those that are told.
    at = max(by.at, row.last_seen)
    row.state = state
    if state in (State.OPEN, State.ACKNOWLEDGED):
        row.opened_at, row.fingerprint = row.opened_at or at, ""
    if state != State.ACKNOWLEDGED:
        row.acknowledged_difference = row.acknowledged_until = None
    row.resolved_at = None
    if state == State.RESOLVED:
        row.resolved_at, row.cause = at, reason[:200]
    row.save()
    DiscrepancyEvent.objects.create(
        discrepancy=row,
        episode=row.episode,
        before=before,
        after=state,
        difference=row.difference,
        reason=reason[:500],
        run=by.run,
        decision=by.decision,
        at=at,
    )
