from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portfolios.models import Incident, Occurrence
from portfolios.selectors.advice import CATEGORIES, advice
from portfolios.selectors.listing import (
    ALL,
    Listing,
    Query,
    account_facet,
    facet,
    one_page,
    search,
)
from portfolios.selectors.standings import UNRESOLVED

NEEDS_LOOK = "unresolved"


@dataclass(frozen=True, slots=True)
class ExceptionsPage:
    listing: Listing[Incident]
    any_unresolved: bool


@dataclass(frozen=True, slots=True)
class ExceptionPage:
    incident: Incident
    advice: str | Promise
    occurrences: Listing[Occurrence]

    @property
    def resolvable(self) -> bool:
        return self.incident.state in UNRESOLVED


def exceptions_page(query: Query) -> ExceptionsPage:
    states = (
        (NEEDS_LOOK, _("Not resolved")),
        (Incident.State.REGRESSED.value, Incident.State.REGRESSED.label),
        (Incident.State.RESOLVED.value, Incident.State.RESOLVED.label),
        ("all", _("All")),
    )
    state = facet(query, "state", _("State"), states, default=NEEDS_LOOK)
    words_of = ((key, category.word) for key, category in CATEGORIES.items())
    category = facet(query, "category", _("Category"), (ALL, *words_of))
    account = account_facet(query)
    words = search(query)
    rows = Incident.objects.filter(_narrowed(state.chosen, category.chosen, account.chosen, words))
    return ExceptionsPage(
        listing=one_page(
            rows.select_related("account"), query, (state, category, account), searched=words
        ),
        any_unresolved=Incident.objects.filter(state__in=UNRESOLVED).exists(),
    )


def _narrowed(state: str, category: str, account: str, words: str) -> Q:
    wanted = Q()
    if state == NEEDS_LOOK:
        wanted &= Q(state__in=UNRESOLVED)
    elif state != "all":
        wanted &= Q(state=state)
    if category:
        wanted &= Q(category=category)
    if account:
        wanted &= Q(account=account)
    if words:
        wanted &= (
            Q(message__icontains=words) | Q(type__icontains=words) | Q(operation__icontains=words)
        )
    return wanted


def exception_page(incident: Incident, query: Query) -> ExceptionPage:
    occurrences = incident.occurrences.select_related("run")
    return ExceptionPage(incident, advice(incident.category), one_page(occurrences, query))
