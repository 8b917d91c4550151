from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Case, Count, IntegerField, Q, QuerySet, When
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portfolios.models import Discrepancy
from portfolios.models.choices import Severity
from portfolios.selectors.listing import (
    ALL,
    Facet,
    Listing,
    Query,
    account_facet,
    facet,
    one_page,
    search,
)
from portfolios.selectors.sorting import sorting
from portfolios.services.decisions.bulk import FITS

State = Discrepancy.State
LIVE = "live"
ALL_STATES = "all"
TRANSIENT = "transient"
LATELY = "lately"
_LATELY: Final = timedelta(days=1)
_SEVERITY_RANK: Final = Case(
    *(When(severity=name, then=rank) for rank, name in enumerate(reversed(Severity.values))),
    output_field=IntegerField(),
)
_SORTS: Final = {
    "worst": (_("The worst first"), (_SEVERITY_RANK, "-last_seen", "-pk")),
    "newest": (_("The newest first"), ("-first_seen", "-pk")),
    "oldest": (_("The oldest first"), ("first_seen", "pk")),
    "seen": (_("Seen most often first"), ("-times_seen", "-pk")),
    "asset": (_("By asset"), ("asset", "symbol", "-pk")),
    "account": (_("By account"), ("account__label", "asset", "-pk")),
}
_TRANSIENT: Final = Q(state=State.RESOLVED, opened_at=None)


@dataclass(frozen=True, slots=True)
class SeverityTally:
    value: str
    count: int


@dataclass(frozen=True, slots=True)
class Card:
    """How many discrepancies are in a state; `query` is the list of them, `note` what is said if there is none."""

    word: str | Promise
    query: str
    count: int
    severities: list[SeverityTally]
    note: str | Promise


@dataclass(frozen=True, slots=True)
class DiscrepanciesPage:
    """One page of the list.

    Parameters
    ----------
    cards : list of Card
        Empty if there has never been a discrepancy.
    all_chosen : bool
        Whether every row of the page is chosen to decide on.
    """

    listing: Listing[Discrepancy]
    cards: list[Card]
    all_chosen: bool

    @property
    def kinds(self) -> list[tuple[str, str | Promise]]:
        """Give what can be decided on many at once."""
        return [(kind.value, kind.label) for kind in FITS]


def discrepancies_page(query: Query, now: datetime) -> DiscrepanciesPage:
    return DiscrepanciesPage(
        listing=discrepancies_listing(query, now),
        cards=_cards(now),
        all_chosen=query.get("chosen") == "all",
    )


def discrepancies_listing(query: Query, now: datetime) -> Listing[Discrepancy]:
    facets, words = _filters(query), search(query)
    order, fields = sorting(query, _SORTS)
    chosen = {one.name: one.chosen for one in facets}
    rows = _in_state(chosen.pop("state"), now).filter(
        **{name: value for name, value in chosen.items() if value}
    )
    if words:
        rows = rows.filter(_matches(words))
    # Joined, all of these would be read to sort what is not shown; of those shown few have an order.
    rows = rows.prefetch_related("account", "portfolio", "order").order_by(*fields)
    return one_page(rows, query, (*facets, order), searched=words)


def _filters(query: Query) -> tuple[Facet, ...]:
    states = (
        (LIVE, _("Not settled")),
        *State.choices,
        (LATELY, _("Resolved in the last 24 h")),
        (TRANSIENT, _("Only ever suspected")),
        (ALL_STATES, _("All")),
    )
    return (
        facet(query, "state", _("State"), states, default=LIVE),
        facet(query, "severity", _("Severity"), (ALL, *Severity.choices)),
        facet(query, "code", _("What"), (ALL, *Discrepancy.Code.choices)),
        account_facet(query),
    )


def _in_state(state: str, now: datetime) -> QuerySet[Discrepancy]:
    """Narrow to a state; what was only ever suspected, and is gone, is shown to who asks for it."""
    if state == TRANSIENT:
        return Discrepancy.objects.filter(_TRANSIENT)
    shown = Discrepancy.objects.exclude(_TRANSIENT)
    if state == ALL_STATES:
        return shown
    if state == LATELY:
        return shown.filter(state=State.RESOLVED, resolved_at__gte=now - _LATELY)
    return shown.filter(state__in=Discrepancy.LIVE if state == LIVE else (state,))


def _cards(now: datetime) -> list[Card]:
    counts = list(
        Discrepancy.objects.exclude(_TRANSIENT)
        .order_by()
        .values("state", "severity")
        .annotate(number=Count("pk"), lately=Count("pk", filter=Q(resolved_at__gte=now - _LATELY)))
    )
    return [
        _card(State.OPEN, _("Open"), counts, _("Nothing needs you.")),
        _card(State.SUSPECTED, _("Suspected"), counts, _("Waiting for a second look: none.")),
        _card(State.ACKNOWLEDGED, _("Acknowledged"), counts, _("Nobody has put one aside.")),
        _card(LATELY, _("Resolved in the last 24 h"), counts, _("None.")),
    ] * bool(counts)


def _card(
    state: str, word: str | Promise, counts: Sequence[Mapping[str, Any]], note: str | Promise
) -> Card:
    column = "lately" if state == LATELY else "number"
    wanted = State.RESOLVED if state == LATELY else state
    found = {row["severity"]: row[column] for row in counts if row["state"] == wanted}
    return Card(
        word=word,
        query=f"state={state}",
        count=sum(found.values()),
        severities=[
            SeverityTally(name, found[name])
            for name in reversed(Severity.values)
            if found.get(name)
        ],
        note=note,
    )


def _matches(words: str) -> Q:
    return (
        Q(asset__icontains=words)
        | Q(symbol__icontains=words)
        | Q(code__icontains=words)
        | Q(cause__icontains=words)
        | Q(portfolio__name__icontains=words)
        | Q(order__external_id__icontains=words)
    )
