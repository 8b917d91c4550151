from __future__ import annotations

from typing import Final, TypeVar

from django.db.models import F, OrderBy, Prefetch, Q, QuerySet
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from portfolios.models import Discrepancy, ExchangeAccount, Fill, Order, Portfolio
from portfolios.selectors.listing import (
    ALL,
    Facet,
    Listing,
    Option,
    Query,
    facet,
    one_page,
    search,
    sort_facet,
)
from providers.reports import OrderSide, OrderStatus

_Row = TypeVar("_Row", Order, Fill)
OPEN_STATUSES = tuple(status for status in OrderStatus if not status.is_terminal)
_SIDES: Final[tuple[Option, ...]] = (
    ALL,
    (OrderSide.BUY.value, _("Buy")),
    (OrderSide.SELL.value, _("Sell")),
)
_SORTS: Final[tuple[Option, ...]] = (
    ("newest", _("Newest first")),
    ("oldest", _("Oldest first")),
    ("symbol", _("By symbol")),
)


def account_orders(account: ExchangeAccount, query: Query) -> Listing[Order]:
    owners = (("all", _("All")), ("books", _("Of the books")), ("external", _("External")))
    owner = facet(query, "owner", _("Owner"), owners, default="all")
    rows = Order.objects.filter(account=account)
    if owner.chosen != "all":
        rows = rows.filter(external=owner.chosen == "external")
    return _orders(rows, query, (owner,))


def portfolio_orders(portfolio: Portfolio, query: Query) -> Listing[Order]:
    return _orders(Order.objects.filter(portfolio=portfolio), query)


def account_fills(account: ExchangeAccount, query: Query) -> Listing[Fill]:
    return _fills(Fill.objects.filter(account=account), query)


def portfolio_fills(portfolio: Portfolio, query: Query) -> Listing[Fill]:
    # The account as well, though the order tells it: its fills have an index by time.
    rows = Fill.objects.filter(account=portfolio.account_id, order__portfolio=portfolio)
    return _fills(rows, query)


def _orders(rows: QuerySet[Order], query: Query, facets: tuple[Facet, ...] = ()) -> Listing[Order]:
    options = (("open", pgettext_lazy("order", "Open")), ("over", _("Over")), ("all", _("All")))
    status = facet(query, "orders", _("Orders"), options, default="open")
    side = facet(query, "side", _("Side"), _SIDES)
    sort = sort_facet(query, _SORTS)
    words = search(query)
    fields = _fields(rows, sort.chosen, "created_at")
    rows = _with_status(rows, status.chosen)
    if side.chosen:
        rows = rows.filter(side=side.chosen)
    if words:
        named = Q(symbol__icontains=words) | Q(client_order_id__icontains=words)
        rows = rows.filter(named | Q(external_id__icontains=words))
    rows = _with_notes(rows.order_by(*fields))
    return one_page(rows, query, (status, side, *facets, sort), searched=words)


def _fills(rows: QuerySet[Fill], query: Query) -> Listing[Fill]:
    side = facet(query, "side", _("Side"), _SIDES)
    sort = sort_facet(query, _SORTS)
    words = search(query)
    fields = _fields(rows, sort.chosen, "executed_at")
    if side.chosen:
        rows = rows.filter(side=side.chosen)
    if words:
        named = Q(symbol__icontains=words) | Q(external_id__icontains=words)
        rows = rows.filter(named | Q(order_external_id__icontains=words))
    rows = rows.order_by(*fields).select_related("order__portfolio")
    return one_page(rows, query, (side, sort), searched=words)


def _with_notes(rows: QuerySet[Order]) -> QuerySet[Order]:
    """Read with each order what is to be said of it: former terms, and `wrong`, its unsettled discrepancies."""
    live = Discrepancy.objects.filter(state__in=Discrepancy.LIVE).order_by("pk")
    wrong = Prefetch("discrepancy_set", live, to_attr="wrong")
    return rows.select_related("portfolio").prefetch_related("versions", wrong)


def _with_status(rows: QuerySet[Order], status: str) -> QuerySet[Order]:
    if status == "open":
        return rows.filter(status__in=OPEN_STATUSES)
    return rows.exclude(status__in=OPEN_STATUSES) if status == "over" else rows


def _fields(rows: QuerySet[_Row], sort: str, moment: str) -> tuple[str | OrderBy, ...]:
    """Sort by time or symbol; amounts are not for the database to compare."""
    newest_first = F(moment).desc(nulls_last=True)
    if sort == "symbol":
        return "symbol", newest_first, "-pk"
    if rows.filter(**{moment: None}).exists():
        return (F(moment).asc(nulls_last=True), "pk") if sort == "oldest" else (newest_first, "-pk")
    # Where no time is missing it is not said where those stand: then an index gives the first rows, unsorted.
    return (moment, "pk") if sort == "oldest" else (f"-{moment}", "-pk")
