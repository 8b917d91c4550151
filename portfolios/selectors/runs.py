from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Case, IntegerField, When
from django.utils.translation import gettext_lazy as _

from portfolios.models import LedgerEntry, Occurrence, StoredLeg, SyncRun
from portfolios.selectors.listing import (
    ALL,
    Listing,
    Query,
    account_facet,
    facet,
    one_page,
)
from portfolios.selectors.progress import RunProgress, run_progress
from portfolios.selectors.run_changes import RunChanges, run_changes
from providers.reports import LegStatus

# Of a run with thousands of orders the page shows the first legs, failed ones before all others.
MAX_LEGS = 200
MAX_OCCURRENCES = 50
# How far back a list may be narrowed to; the word in the URL.
_SINCE: Final = {
    "hour": (timedelta(hours=1), _("The last hour")),
    "day": (timedelta(days=1), _("The last 24 hours")),
    "week": (timedelta(days=7), _("The last 7 days")),
    "month": (timedelta(days=30), _("The last 30 days")),
}


@dataclass(frozen=True, slots=True)
class RunsPage:
    listing: Listing[SyncRun]


@dataclass(frozen=True, slots=True)
class RunPage:
    run: SyncRun
    now: datetime
    progress: RunProgress
    legs: list[StoredLeg]
    leg_count: int
    ledger: Listing[LedgerEntry]
    occurrences: list[Occurrence]
    changes: RunChanges

    @property
    def until(self) -> datetime:
        """The end of the time in which its stages are drawn."""
        return self.run.finished_at or self.now


def runs_page(query: Query, now: datetime) -> RunsPage:
    account = account_facet(query)
    status = facet(query, "status", _("Result"), (ALL, *SyncRun.Status.choices))
    trigger = facet(query, "trigger", _("Started by"), (ALL, *SyncRun.Trigger.choices))
    since = facet(
        query, "since", _("Since"), (ALL, *((key, word) for key, (_s, word) in _SINCE.items()))
    )
    asked = {one.name: one.chosen for one in (account, status, trigger) if one.chosen}
    rows = SyncRun.objects.filter(**asked).select_related("account", "requested_by")
    if since.chosen:
        # In the order of the index: in another one all runs would be walked through to find those few.
        rows = rows.filter(queued_at__gte=now - _SINCE[since.chosen][0])
        rows = rows.order_by("-queued_at", "-pk")
    return RunsPage(one_page(rows, query, (account, trigger, status, since)))


def run_page(run: SyncRun, query: Query, now: datetime) -> RunPage:
    entries = run.ledger_entries.select_related("portfolio", "order")
    occurrences = run.occurrences.select_related("incident")
    legs = _legs(run)
    return RunPage(
        run=run,
        now=now,
        progress=run_progress(run, now),
        legs=legs,
        leg_count=len(legs) if len(legs) < MAX_LEGS else run.legs.count(),
        ledger=one_page(entries, query),
        occurrences=list(occurrences[:MAX_OCCURRENCES]),
        changes=run_changes(run),
    )


def _legs(run: SyncRun) -> list[StoredLeg]:
    failed_first = Case(
        When(status=LegStatus.FAILED, then=0), default=1, output_field=IntegerField()
    )
    # Of the content only its digest is shown; its rows may be thousands.
    legs = run.legs.select_related("content").defer("content__rows")
    return list(legs.order_by(failed_first, "pk")[:MAX_LEGS])
