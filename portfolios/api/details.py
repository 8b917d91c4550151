"""What the page of one thing shows, as JSON."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext_noop as _
from ninja import Query, Router

from portfolios.api import detail_schemas as shapes
from portfolios.api import queries, schemas
from portfolios.api.auth import TokenAuth
from portfolios.api.queries import Key, Paging, clean
from portfolios.api.reads import REFUSALS, page_of
from portfolios.models import (
    ApiToken,
    Discrepancy,
    ExchangeAccount,
    Incident,
    JudgedSnapshot,
    Portfolio,
    SyncRun,
)
from portfolios.selectors.comparison import compare_page
from portfolios.selectors.coverage import last_coverage
from portfolios.selectors.discrepancy import discrepancies_to_show, discrepancy_page
from portfolios.selectors.portfolio import portfolio_frame
from portfolios.selectors.report import Row
from portfolios.selectors.rows import (
    coverage_rows,
    event_row,
    numbered_incident_row,
    occurrence_row,
    verdict_row,
)
from portfolios.selectors.rows_of_pages import comparison_row, full_discrepancy_row, full_run_row
from portfolios.selectors.verdicts import past_verdicts

router = Router(auth=TokenAuth(ApiToken.Scope.READ))


@router.get(
    "/discrepancies/{key}",
    summary=_("Show one discrepancy with its evidence, proposed causes and what can be decided."),
    response={200: shapes.FullDiscrepancy, **REFUSALS},
)
def discrepancy(request: HttpRequest, key: Key) -> Row:
    return full_discrepancy_row(
        discrepancy_page(get_object_or_404(discrepancies_to_show(), pk=key))
    )


@router.get(
    "/discrepancies/{key}/events",
    summary=_("List the turns in the life of a discrepancy, the newest first."),
    response={200: schemas.Page[shapes.Turn], **REFUSALS},
)
def discrepancy_events(request: HttpRequest, key: Key, asked: Query[Paging]) -> dict[str, Any]:
    found = get_object_or_404(Discrepancy, pk=key)
    return page_of(found.events.select_related("decision").order_by("-pk"), event_row, asked)


@router.get(
    "/incidents/{key}",
    summary=_("Show one exception of one account."),
    response={200: schemas.Incident, **REFUSALS},
)
def incident(request: HttpRequest, key: Key) -> Row:
    return numbered_incident_row(
        get_object_or_404(Incident.objects.select_related("account"), pk=key)
    )


@router.get(
    "/incidents/{key}/occurrences",
    summary=_("List each time that an exception happened, with its trace, the newest first."),
    response={200: schemas.Page[shapes.Occurrence], **REFUSALS},
)
def occurrences(request: HttpRequest, key: Key, asked: Query[Paging]) -> dict[str, Any]:
    found = get_object_or_404(Incident, pk=key)
    return page_of(found.occurrences.order_by("-pk"), occurrence_row, asked)


@router.get(
    "/runs/{run_id}",
    summary=_("Show one sync run with its stages and what it changed."),
    response={200: shapes.FullRun, **REFUSALS},
)
def run(request: HttpRequest, run_id: Key) -> Row:
    runs = SyncRun.objects.select_related("account").prefetch_related("legs")
    return full_run_row(get_object_or_404(runs, pk=run_id), timezone.now())


@router.get(
    "/runs/{run_id}/verdicts",
    summary=_("List what was said of each asset by what a run read."),
    response={200: schemas.Page[shapes.PastVerdict], **REFUSALS},
)
def verdicts(request: HttpRequest, run_id: Key, asked: Query[Paging]) -> dict[str, Any]:
    snapshots = JudgedSnapshot.objects.select_related("content")
    said = past_verdicts(get_object_or_404(snapshots, run=run_id))
    part = said[asked.offset : asked.offset + asked.limit]
    return {"items": [verdict_row(one) for one in part], "count": len(said)}


@router.get(
    "/coverage",
    summary=_("List what of an account was not read, or is not believed yet, and how far it was."),
    response={200: list[shapes.Covered], **REFUSALS},
)
def coverage(request: HttpRequest, asked: Query[queries.CoverageOf]) -> list[Row]:
    account = get_object_or_404(ExchangeAccount, label=clean(asked.account))
    return list(coverage_rows(account, last_coverage(account)))


@router.get(
    "/comparison",
    summary=_("Compare a portfolio at two moments, and what was booked between them."),
    response={200: shapes.Comparison, **REFUSALS},
)
def comparison(request: HttpRequest, asked: Query[queries.TwoMoments]) -> Row:
    portfolio = get_object_or_404(Portfolio, name=clean(asked.portfolio))
    now = timezone.now()
    frame = portfolio_frame(portfolio.pk, now)
    if frame is None:
        raise Http404
    page = compare_page(frame, {"from": asked.from_, "to": asked.to}, now)
    if page.comparison is None:  # fewer than two moments are known
        raise Http404
    return comparison_row(page.comparison)
