from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Case, IntegerField, When
from django.utils.translation import gettext_lazy as _

from portfolios.models import JudgedSnapshot, LedgerEntry, Occurrence, StoredLeg, SyncRun
from portfolios.selectors.listing import (
    ALL,
    Listing,
    Query,
    account_facet,
    facet,
    one_page,
)
from portfolios.selectors.progress import RunProgress, run_progress
from providers.reports import LegStatus

# Of a run with thousands of orders the page shows the first legs, failed ones before all others.
MAX_LEGS = 200
MAX_OCCURRENCES = 50


@dataclass(frozen=True, slots=True)
class RunsPage:
    listing: Listing[SyncRun]


@dataclass(frozen=True, slots=True)
class RunPage:
    run: SyncRun
    progress: RunProgress
    legs: list[StoredLeg]
    leg_count: int
    ledger: Listing[LedgerEntry]
    occurrences: list[Occurrence]
    has_verdicts: bool


def runs_page(query: Query) -> RunsPage:
    account = account_facet(query)
    status = facet(query, "status", _("Result"), (ALL, *SyncRun.Status.choices))
    trigger = facet(query, "trigger", _("Started by"), (ALL, *SyncRun.Trigger.choices))
    facets = (account, status, trigger)
    asked = {one.name: one.chosen for one in facets if one.chosen}
    rows = SyncRun.objects.filter(**asked).select_related("account")
    return RunsPage(one_page(rows, query, facets))


def run_page(run: SyncRun, query: Query, now: datetime) -> RunPage:
    entries = run.ledger_entries.select_related("portfolio", "order")
    occurrences = run.occurrences.select_related("incident")
    return RunPage(
        run=run,
        progress=run_progress(run, now),
        legs=_legs(run),
        leg_count=run.legs.count(),
        ledger=one_page(entries, query),
        occurrences=list(occurrences[:MAX_OCCURRENCES]),
        has_verdicts=JudgedSnapshot.objects.filter(run=run).exists(),
    )


def _legs(run: SyncRun) -> list[StoredLeg]:
    failed_first = Case(
        When(status=LegStatus.FAILED, then=0), default=1, output_field=IntegerField()
    )
    # Of the content only its digest is shown; its rows may be thousands.
    legs = run.legs.select_related("content").defer("content__rows")
    return list(legs.order_by(failed_first, "pk")[:MAX_LEGS])
