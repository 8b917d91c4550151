from __future__ import annotations

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from portfolios.models import ExchangeAccount, LedgerEntry, Portfolio
from portfolios.selectors.listing import (
    ALL,
    Facet,
    Listing,
    Query,
    facet,
    one_page,
    search,
    sort_facet,
)


def account_ledger(account: ExchangeAccount, query: Query) -> Listing[LedgerEntry]:
    owners = (ALL, ("books", _("Portfolios")), ("unassigned", _("Unassigned")))
    owner = facet(query, "owner", _("Owner"), owners)
    rows = LedgerEntry.objects.filter(account=account)
    if owner.chosen:
        rows = rows.filter(portfolio__isnull=owner.chosen == "unassigned")
    return _ledger(rows, query, (owner,))


def portfolio_ledger(portfolio: Portfolio, query: Query) -> Listing[LedgerEntry]:
    return _ledger(LedgerEntry.objects.filter(portfolio=portfolio), query)


def with_their_causes(rows: QuerySet[LedgerEntry]) -> QuerySet[LedgerEntry]:
    return rows.select_related("portfolio", "order", "flow", "decision")


def _ledger(
    rows: QuerySet[LedgerEntry], query: Query, facets: tuple[Facet, ...] = ()
) -> Listing[LedgerEntry]:
    cause = facet(query, "cause", _("Cause"), (ALL, *LedgerEntry.Cause.choices))
    orders = (("newest", _("Newest first")), ("oldest", _("Oldest first")))
    sort = sort_facet(query, orders)
    words = search(query)
    if cause.chosen:
        rows = rows.filter(cause=cause.chosen)
    if words:
        named = Q(order__external_id__icontains=words) | Q(flow__external_id__icontains=words)
        rows = rows.filter(named | Q(asset__icontains=words))
    rows = with_their_causes(rows).order_by("pk" if sort.chosen == "oldest" else "-pk")
    return one_page(rows, query, (cause, *facets, sort), searched=words)
