from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Case, IntegerField, Q, QuerySet, When
from django.utils.translation import gettext_lazy as _

from portfolios.models import Discrepancy
from portfolios.models.choices import Severity
from portfolios.selectors.listing import (
    ALL,
    Listing,
    Query,
    account_facet,
    facet,
    one_page,
    search,
)

LIVE = "live"
# The severity as a number, then what was seen last.
_WORST_FIRST = (
    Case(
        *(When(severity=name, then=rank) for rank, name in enumerate(reversed(Severity.values))),
        output_field=IntegerField(),
    ),
    "-last_seen",
    "-pk",
)


@dataclass(frozen=True, slots=True)
class DiscrepanciesPage:
    listing: Listing[Discrepancy]
    any_live: bool


def discrepancies_page(query: Query) -> DiscrepanciesPage:
    states = ((LIVE, _("Not settled")), *Discrepancy.State.choices, ("all", _("All")))
    state = facet(query, "state", _("State"), states, default=LIVE)
    severity = facet(query, "severity", _("Severity"), (ALL, *Severity.choices))
    account = account_facet(query)
    words = search(query)
    rows = _in_state(state.chosen)
    if severity.chosen:
        rows = rows.filter(severity=severity.chosen)
    if account.chosen:
        rows = rows.filter(account=int(account.chosen))
    if words:
        rows = rows.filter(_matches(words))
    rows = rows.select_related("account", "portfolio", "order").order_by(*_WORST_FIRST)
    return DiscrepanciesPage(
        listing=one_page(rows, query, (state, severity, account), searched=words),
        any_live=Discrepancy.objects.filter(state__in=Discrepancy.LIVE).exists(),
    )


def _in_state(state: str) -> QuerySet[Discrepancy]:
    if state == "all":
        return Discrepancy.objects.all()
    states = Discrepancy.LIVE if state == LIVE else (state,)
    return Discrepancy.objects.filter(state__in=states)


def _matches(words: str) -> Q:
    return (
        Q(asset__icontains=words)
        | Q(symbol__icontains=words)
        | Q(code__icontains=words)
        | Q(cause__icontains=words)
        | Q(portfolio__name__icontains=words)
        | Q(order__external_id__icontains=words)
    )
