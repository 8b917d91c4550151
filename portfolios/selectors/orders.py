from __future__ import annotations

from django.db.models import Prefetch, QuerySet
from django.utils.translation import gettext_lazy as _

from portfolios.models import Discrepancy, ExchangeAccount, Order, Portfolio
from portfolios.selectors.listing import Facet, Listing, Query, facet, one_page
from providers.reports import OrderStatus

OPEN_STATUSES = tuple(status for status in OrderStatus if not status.is_terminal)


def account_orders(account: ExchangeAccount, query: Query) -> Listing[Order]:
    owners = (("all", _("All")), ("books", _("Of the books")), ("external", _("External")))
    owner = facet(query, "owner", _("Owner"), owners, default="all")
    status = _status_facet(query)
    rows = _with_status(Order.objects.filter(account=account), status.chosen)
    if owner.chosen != "all":
        rows = rows.filter(external=owner.chosen == "external")
    return one_page(_with_notes(rows), query, (status, owner))


def portfolio_orders(portfolio: Portfolio, query: Query) -> Listing[Order]:
    status = _status_facet(query)
    rows = _with_status(Order.objects.filter(portfolio=portfolio), status.chosen)
    return one_page(_with_notes(rows), query, (status,))


def _with_notes(rows: QuerySet[Order]) -> QuerySet[Order]:
    """Read with each order what is to be said of it: former terms, and `wrong`, its unsettled discrepancies."""
    live = Discrepancy.objects.filter(state__in=Discrepancy.LIVE).order_by("pk")
    wrong = Prefetch("discrepancy_set", live, to_attr="wrong")
    return rows.select_related("portfolio").prefetch_related("versions", wrong)


def _status_facet(query: Query) -> Facet:
    options = (("open", _("Open")), ("over", _("Over")), ("all", _("All")))
    return facet(query, "orders", _("Orders"), options, default="open")


def _with_status(rows: QuerySet[Order], status: str) -> QuerySet[Order]:
    newest_first = rows.order_by("-created_at", "-pk")
    if status == "open":
        return newest_first.filter(status__in=OPEN_STATUSES)
    return newest_first.exclude(status__in=OPEN_STATUSES) if status == "over" else newest_first
