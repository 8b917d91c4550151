from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.core.paginator import Paginator
from django.db.models import Count, Max, Min, Q, QuerySet, Sum
from django.utils.translation import gettext_lazy as _

from portfolios.models import Incident, Occurrence
from portfolios.selectors.advice import CATEGORIES, Category, situation
from portfolios.selectors.incident_facts import incident_fact
from portfolios.selectors.listing import (
    ALL,
    PER_PAGE,
    Facet,
    Listing,
    Query,
    account_facet,
    facet,
    is_key,
    search,
)
from portfolios.selectors.occurrence_bars import (
    Bars,
    bars_by_group,
    bars_of,
    no_bars,
    span_facet,
)
from portfolios.selectors.sorting import sorting
from portfolios.services.incidents import alike

State = Incident.State
# The tile of the overview asks for it by this name.
NEEDS_LOOK = "unresolved"
NEVER_RESOLVED = "new"
ALL_STATES = "all"
MOST_ACCOUNTS: Final = 50
MOST_OCCURRENCES: Final = 10
# The worst first: a group of several accounts is in the worst of their states.
_WORST_FIRST: Final = (State.REGRESSED, State.UNRESOLVED, State.MUTED, State.RESOLVED)
_SORTS: Final = {
    "last": (_("Last seen first"), ("-seen_last", "-newest")),
    "first": (_("First seen first"), ("seen_first", "newest")),
    "count": (_("Most often first"), ("-times", "-newest")),
}
_SORTS_OF_INCIDENTS: Final = {
    "last": ("-last_seen", "-pk"),
    "first": ("first_seen", "pk"),
    "count": ("-count", "-pk"),
}


@dataclass(frozen=True, slots=True)
class GroupedException:
    """One exception of one market, on however many accounts.

    Parameters
    ----------
    newest : Incident
        That of the account which it came to last; its message and account stand for the group.
    """

    newest: Incident
    state: str
    count: int
    accounts: int
    first_seen: datetime
    last_seen: datetime
    bars: Bars


@dataclass(frozen=True, slots=True)
class StateTally:
    """How many incidents are in a state; `chosen` is what the filter calls it."""

    value: str
    count: int

    @property
    def chosen(self) -> str:
        return NEVER_RESOLVED if self.value == State.UNRESOLVED else self.value


@dataclass(frozen=True, slots=True)
class ExceptionsPage:
    listing: Listing[GroupedException]
    tallies: list[StateTally]


@dataclass(frozen=True, slots=True)
class Turning:
    """Where in the history of an exception a page is; `newer` and `older` are None at its ends.

    Parameters
    ----------
    number : int
        1 is the newest of the `total` that are kept.
    """

    number: int
    total: int
    newer: int | None
    older: int | None


@dataclass(frozen=True, slots=True)
class ExceptionPage:
    """One exception of one account.

    Parameters
    ----------
    fact : str
        What is known of it just now, with its numbers; empty if nothing is.
    accounts : list of Incident
        The same exception on all accounts of the market, this one among them, at most `MOST_ACCOUNTS`.
    occurrence : Occurrence or None
        The one that is looked at; None if none is kept.
    """

    incident: Incident
    meaning: Category
    fact: str
    accounts: list[Incident]
    occurrence: Occurrence | None
    turning: Turning
    newest: list[Occurrence]
    bars: list[Bars]

    @property
    def are_accounts_cut(self) -> bool:
        return len(self.accounts) == MOST_ACCOUNTS

    @property
    def may_be_resolved(self) -> bool:
        return self.incident.state != State.RESOLVED

    @property
    def is_muted(self) -> bool:
        return self.incident.state == State.MUTED

    @property
    def may_be_muted(self) -> bool:
        return self.incident.state in Incident.ALARMING


def exceptions_page(query: Query, now: datetime) -> ExceptionsPage:
    facets, words = _filters(query), search(query)
    order, fields = sorting(query, _SORTS)
    span = span_facet(query)
    rows = Incident.objects.filter(_narrowed({one.name: one.chosen for one in facets}, words))
    page = Paginator(_grouped(rows).order_by(*fields), PER_PAGE).get_page(query.get("page"))
    groups = _groups(list(page.object_list), rows, span.chosen, now)
    listing = Listing(page, tuple(groups), (*facets, order, span), words)
    return ExceptionsPage(listing, _tallies())


def listed_incidents(query: Query) -> QuerySet[Incident]:
    """Find the exceptions of all groups that the page lists for `query`, one for each account."""
    wanted = _narrowed({one.name: one.chosen for one in _filters(query)}, search(query))
    order, _fields = sorting(query, _SORTS)
    rows = Incident.objects.filter(wanted).select_related("account")
    return rows.order_by(*_SORTS_OF_INCIDENTS[order.chosen])


def _filters(query: Query) -> tuple[Facet, ...]:
    states = (
        (NEEDS_LOOK, _("Unresolved or regressed")),
        (NEVER_RESOLVED, State.UNRESOLVED.label),
        *((state.value, state.label) for state in State if state != State.UNRESOLVED),
        (ALL_STATES, _("All")),
    )
    words_of = ((key, category.word) for key, category in CATEGORIES.items())
    return (
        facet(query, "state", _("State"), states, default=NEEDS_LOOK),
        facet(query, "category", _("Category"), (ALL, *words_of)),
        account_facet(query),
    )


def _narrowed(chosen: Mapping[str, str], words: str) -> Q:
    wanted = Q()
    if chosen["state"] == NEEDS_LOOK:
        wanted &= Q(state__in=Incident.ALARMING)
    elif chosen["state"] != ALL_STATES:
        is_new = chosen["state"] == NEVER_RESOLVED
        wanted &= Q(state=State.UNRESOLVED if is_new else chosen["state"])
    for name in ("category", "account"):
        if chosen[name]:
            wanted &= Q(**{name: chosen[name]})
    if words:
        wanted &= (
            Q(message__icontains=words)
            | Q(type__icontains=words)
            | Q(operation__icontains=words)
            | Q(account__market__icontains=words)
        )
    return wanted


def _grouped(rows: QuerySet[Incident]) -> QuerySet[Any, Any]:
    in_state = {f"in_{state.value}": Count("pk", filter=Q(state=state)) for state in _WORST_FIRST}
    return (
        rows.order_by()
        .values("fingerprint", "account__market")
        .annotate(
            newest=Max("pk"),
            times=Sum("count"),
            accounts=Count("pk"),
            seen_first=Min("first_seen"),
            seen_last=Max("last_seen"),
            **in_state,
        )
    )


def _groups(
    found: list[dict[str, Any]], rows: QuerySet[Incident], span: str, now: datetime
) -> list[GroupedException]:
    newest = Incident.objects.select_related("account").in_bulk([row["newest"] for row in found])
    shown = rows.filter(fingerprint__in=[row["fingerprint"] for row in found])
    bars = bars_by_group(shown, span, now) if found else {}
    return [
        GroupedException(
            newest=newest[row["newest"]],
            state=next(state for state in _WORST_FIRST if row[f"in_{state.value}"]),
            count=row["times"],
            accounts=row["accounts"],
            first_seen=row["seen_first"],
            last_seen=row["seen_last"],
            bars=bars.get((row["fingerprint"], row["account__market"])) or no_bars(span),
        )
        for row in found
    ]


def _tallies() -> list[StateTally]:
    counts = dict(Incident.objects.order_by().values_list("state").annotate(number=Count("pk")))
    return [StateTally(state, counts[state]) for state in _WORST_FIRST if state in counts]


def exception_page(incident: Incident, query: Query, now: datetime) -> ExceptionPage:
    newest = list(incident.occurrences.select_related("run")[:MOST_OCCURRENCES])
    occurrence = _chosen(incident, newest, query)
    accounts = alike(incident).select_related("account").order_by("account__label")
    return ExceptionPage(
        incident=incident,
        meaning=situation(incident.category, occurrence.trace if occurrence else ""),
        fact=incident_fact(incident, occurrence, now),
        accounts=list(accounts[:MOST_ACCOUNTS]),
        occurrence=occurrence,
        turning=_turning(incident, occurrence),
        newest=newest,
        bars=bars_of(incident, now),
    )


def _chosen(incident: Incident, newest: list[Occurrence], query: Query) -> Occurrence | None:
    """Find the occurrence that the URL names; the newest if it names none, or one that is not there."""
    asked = query.get("occurrence", "")
    found = next((row for row in newest if str(row.pk) == asked), None)
    if found is None and is_key(asked):
        found = incident.occurrences.select_related("run").filter(pk=asked).first()
    return found or next(iter(newest), None)


def _turning(incident: Incident, occurrence: Occurrence | None) -> Turning:
    here = occurrence.pk if occurrence else 0
    found = incident.occurrences.order_by().aggregate(
        total=Count("pk"),
        before=Count("pk", filter=Q(pk__gt=here)),
        newer=Min("pk", filter=Q(pk__gt=here)),
        older=Max("pk", filter=Q(pk__lt=here)),
    )
    return Turning(found["before"] + 1, found["total"], found["newer"], found["older"])
