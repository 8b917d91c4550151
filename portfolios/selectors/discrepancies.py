from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Case, IntegerField, Q, QuerySet, When
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portfolios.models import Discrepancy, DiscrepancyEvent, Order
from portfolios.models.choices import Severity
from portfolios.selectors.discrepancy_advice import discrepancy_advice
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
ALL_STATES = "all"
TRANSIENT = "transient"
MAX_EVENTS = 50
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
    events : list of DiscrepancyEvent
        The newest `MAX_EVENTS` turns of its life, newest first.
    """

    discrepancy: Discrepancy
    lapse: Lapse | None
    match: Order | None
    events: list[DiscrepancyEvent]

    @property
    def is_decided_since(self) -> bool:
        """Whether a decision has booked the asset since the last look, which knows nothing of that."""
        found = self.discrepancy
        decisions = found.account.decisions.filter(at__gt=found.last_seen)
        is_booked = bool(found.asset) and found.is_live
        return is_booked and decisions.filter(ledger_entries__asset=found.asset).exists()

    @property
    def advice(self) -> Promise:
        return discrepancy_advice(self.discrepancy.code)

    @property
    def has_amounts(self) -> bool:
        found = self.discrepancy
        return any(part is not None for part in (found.book, found.exchange, found.difference))

    @property
    def is_wide(self) -> bool:
        """Whether the looks so far leave more than one amount possible."""
        return self.discrepancy.low != self.discrepancy.high


def discrepancy_page(discrepancy: Discrepancy) -> DiscrepancyPage:
    order = discrepancy.order
    is_live = discrepancy.state in Discrepancy.LIVE
    is_unacked = is_live and discrepancy.code == Discrepancy.Code.ORDER_UNACKED
    return DiscrepancyPage(
        discrepancy=discrepancy,
        lapse=Lapse(*released_by_lapse(order)) if order and proposes_lapse(discrepancy) else None,
        match=unacked_match(order) if order and is_unacked else None,
        events=list(discrepancy.events.select_related("decision").order_by("-pk")[:MAX_EVENTS]),
    )


def discrepancies_page(query: Query) -> DiscrepanciesPage:
    states = (
        (LIVE, _("Not settled")),
        *Discrepancy.State.choices,
        (TRANSIENT, _("Only ever suspected")),
        (ALL_STATES, _("All")),
    )
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
    """Narrow to a state; what was only ever suspected, and is gone, is shown to who asks for it."""
    transient = Q(state=Discrepancy.State.RESOLVED, opened_at=None)
    if state == TRANSIENT:
        return Discrepancy.objects.filter(transient)
    shown = Discrepancy.objects.exclude(transient)
    if state == ALL_STATES:
        return shown
    states = Discrepancy.LIVE if state == LIVE else (state,)
    return shown.filter(state__in=states)


def _matches(words: str) -> Q:
    return (
        Q(asset__icontains=words)
        | Q(symbol__icontains=words)
        | Q(code__icontains=words)
        | Q(cause__icontains=words)
        | Q(portfolio__name__icontains=words)
        | Q(order__external_id__icontains=words)
    )
