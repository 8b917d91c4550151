"""The turns in the life of a discrepancy: each moves the row and is told in its events, in one place."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from portfolios.models import Decision, Discrepancy, DiscrepancyEvent, SyncRun

State = Discrepancy.State
AGREES: Final = "agrees again"
CHANGED: Final = "changed"
_KEYS: Final = ("account", "key")
_WRITTEN: Final = tuple(
    each.name
    for each in Discrepancy._meta.concrete_fields  # noqa: SLF001 - as Django documents it
    if each.name not in _KEYS and not each.primary_key
)


@dataclass(frozen=True, slots=True)
class By:
    """What made a turn, and when: a run that saw it or a decision that a person made."""

    at: datetime
    run: SyncRun | None = None
    decision: Decision | None = None


@dataclass(slots=True)
class Turns:
    """Rows as one look leaves them, and what it tells of them: written at once, however many they are."""

    _changed: dict[str, Discrepancy] = field(default_factory=dict)
    _events: list[DiscrepancyEvent] = field(default_factory=list)

    def keep(self, row: Discrepancy) -> None:
        """Note that `row` has changed within its state."""
        self._changed[row.key] = row

    def move(self, row: Discrepancy, state: str, reason: str, by: By) -> None:
        """Bring `row` into its new state, with the event that tells it."""
        self._events.append(_turned(row, state, reason, by))
        self.keep(row)

    def write(self) -> None:
        """Write all that was noted; the rows are of one account, and the caller holds it."""
        rows = list(self._changed.values())
        for row in rows:
            row.pk = None  # so that one statement writes old and new ones
        Discrepancy.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=_KEYS, update_fields=_WRITTEN
        )
        DiscrepancyEvent.objects.bulk_create(self._events)
        self._changed, self._events = {}, []


def begin(row: Discrepancy, first_seen: datetime) -> None:
    """Begin the next episode of `row`; nothing is saved."""
    row.episode += 1
    row.first_seen, row.times_seen = first_seen, 0
    row.opened_at = row.low = row.high = row.stale_since = None
    row.confidence, row.attribution = "", {}


def move(row: Discrepancy, state: str, reason: str, by: By) -> None:
    """Save `row` in its new state, with the event that tells it."""
    event = _turned(row, state, reason, by)
    row.save()
    event.save()


def _turned(row: Discrepancy, state: str, reason: str, by: By) -> DiscrepancyEvent:
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
    return DiscrepancyEvent(
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
