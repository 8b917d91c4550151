"""The orders that an exchange is asked about one by one, should its list of open orders not name them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Final

from django.utils import timezone

from portfolios.models import Discrepancy, ExchangeAccount, Portfolio
from portfolios.models.order import OPEN_STATUSES, TRIGGER_TYPES
from portfolios.services.fills import orphan_key
from providers.reports import KnownOrder

ZERO = Decimal(0)
# What an exchange is asked about an order by.
ASKED_BY: Final = (
    *("external_id", "symbol", "filled", "client_order_id"),
    *("created_at", "status", "fills_wanted", "type", "pk"),
)
# For so long after its fill was first seen an order is asked for.
ORPHANS_ASKED_FOR: Final = timedelta(days=1)


def known_orders(account: ExchangeAccount) -> tuple[KnownOrder, ...]:
    """List the orders that a provider is asked about, oldest first: open ones, and those whose fills are wanted.

    A backtest has none at an exchange.
    """
    rows = account.orders.exclude(portfolio__mode=Portfolio.Mode.BACKTEST)
    # Each by its index: of both in one question an account's orders would all be looked through.
    wanted = rows.filter(fills_wanted__gt=0).order_by().values(*ASKED_BY)
    asked = rows.filter(status__in=OPEN_STATUSES).order_by().values(*ASKED_BY).union(wanted)
    known = tuple(
        KnownOrder(
            external_id=row["external_id"],
            symbol=row["symbol"],
            filled=row["filled"],
            client_order_id=row["client_order_id"],
            created_at=row["created_at"],
            is_open=row["status"] in OPEN_STATUSES,
            wants_fills=row["fills_wanted"] > 0,
            is_trigger=row["type"] in TRIGGER_TYPES,
        )
        for row in asked.order_by("created_at", "pk")
    )
    return (*known, *_orders_of_orphans(account))


def _orders_of_orphans(account: ExchangeAccount) -> list[KnownOrder]:
    """List the orders whose fills are known and they are not: they were asked for once, but could not be read."""
    told = account.discrepancies.filter(
        code=Discrepancy.Code.FILL_ORPHAN, first_seen__gt=timezone.now() - ORPHANS_ASKED_FOR
    )
    recent = set(told.values_list("key", flat=True))
    if not recent:
        return []
    named = account.fills.filter(order=None).exclude(order_external_id="").order_by()
    orphans = set(named.values_list("symbol", "order_external_id"))
    orphans = {orphan for orphan in orphans if orphan_key(*orphan) in recent}
    ours = account.orders.filter(external_id__in={order_id for _, order_id in orphans})
    return [
        KnownOrder(order_id, symbol, filled=ZERO, is_open=False, wants_fills=True)
        for symbol, order_id in sorted(orphans - set(ours.values_list("symbol", "external_id")))
    ]
