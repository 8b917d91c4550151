from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Case, IntegerField, Q, QuerySet, When
from django.utils.translation import gettext_lazy as _

from portfolios.models import Discrepancy, Order
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
from portfolios.services.claims import unacked_match
from portfolios.services.lapses import proposes_lapse, released_by_lapse

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


@dataclass(frozen=True, slots=True)
class Lapse:
    """What taking an order as lapsed makes available again."""

    asset: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class DiscrepancyPage:
    """One discrepancy, and what a person may decide about it.

    Parameters
    ----------
    lapse : Lapse or None
        None unless the discrepancy proposes that its order has lapsed.
    match : Order or None
        The order of the exchange that an unacknowledged one can only be.
    """

    discrepancy: Discrepancy
    lapse: Lapse | None
    match: Order | None


def discrepancy_page(discrepancy: Discrepancy) -> DiscrepancyPage:
    order = discrepancy.order
    is_live = discrepancy.state in Discrepancy.LIVE
    is_unacked = is_live and discrepancy.code == Discrepancy.Code.ORDER_UNACKED
    return DiscrepancyPage(
        discrepancy=discrepancy,
        lapse=Lapse(*released_by_lapse(order)) if order and proposes_lapse(discrepancy) else None,
        match=unacked_match(order) if order and is_unacked else None,
    )


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
