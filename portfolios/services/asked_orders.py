"""The orders that an exchange is asked about one by one, should its list of open orders not name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.utils import timezone

from portfolios.models import Discrepancy, ExchangeAccount
from portfolios.models.order import OPEN_STATUSES, TRIGGER_TYPES
from portfolios.services.discrepancies import Live, live_of
from portfolios.services.fills import orphan_key
from providers.mapping import base_and_quote
from providers.reports import KnownOrder, OrderSide

ZERO = Decimal(0)
# What an exchange is asked about an order by.
ASKED_BY: Final = (
    *("external_id", "symbol", "filled", "client_order_id"),
    *("created_at", "status", "fills_wanted", "type", "side", "pk"),
)
# For so long after its fill was first seen an order is asked for.
ORPHANS_ASKED_FOR: Final = timedelta(days=1)
# And by so many looks, however long it is until they are made.
ORPHANS_ASKED_AT_LEAST: Final = 3
# So many looks at an amount in use that is not what the orders lock have the newest of these read by themselves.
_DOUBTED_FOR: Final = 3
_MOST_DOUBTED: Final = 10


def known_orders(account: ExchangeAccount, live: Live | None = None) -> tuple[KnownOrder, ...]:
    """List the orders that a provider is asked about, oldest first: open ones, and those whose fills are wanted.

    A backtest has none at an exchange.

    Parameters
    ----------
    live : dict or None
        What `live_of` the account gives, if it is known.
    """
    rows = account.orders.filter(is_backtest=False)
    live = live_of(account) if live is None else live
    # Each by its index: of both in one question an account's orders would all be looked through.
    wanted = rows.filter(fills_wanted__gt=0).order_by().values(*ASKED_BY)
    asked = rows.filter(status__in=OPEN_STATUSES).order_by().values(*ASKED_BY)
    found = sorted({row["pk"]: row for row in (*asked, *wanted)}.values(), key=_age)
    doubted = _doubted(live, found)
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
            is_doubted=row["pk"] in doubted,
        )
        for row in found
    )
    return (*known, *_orders_of_orphans(account, live))


def _age(row: Mapping[str, Any]) -> tuple[bool, datetime | None, int]:
    """Sort what has no time last."""
    return row["created_at"] is None, row["created_at"], row["pk"]


def _doubted(live: Live, rows: Sequence[Mapping[str, Any]]) -> set[int]:
    """Find the newest open orders that lock an asset of which, since a few looks, another amount is in use.

    A list may still show what has ended. What is in use may also be about to leave: then no order tells why.
    """
    assets = {
        row.asset
        for row in live.values()
        if row.code == Discrepancy.Code.BALANCE_LOCK_MISMATCH
        and row.state == Discrepancy.State.SUSPECTED
        and row.times_seen <= _DOUBTED_FOR
    }
    if not assets:
        return set()
    open_rows = [row for row in rows if row["external_id"] and row["status"] in OPEN_STATUSES]
    locking = [row["pk"] for row in open_rows if _locked_asset(row) in assets]
    return set(locking[-_MOST_DOUBTED:])


def _locked_asset(row: Mapping[str, Any]) -> str:
    base, quote = base_and_quote(row["symbol"])
    return quote if row["side"] == OrderSide.BUY else base


def _orders_of_orphans(account: ExchangeAccount, live: Live) -> list[KnownOrder]:
    """List the orders whose fills are known and they are not: they were asked for once, but could not be read."""
    since = timezone.now() - ORPHANS_ASKED_FOR
    recent = {
        row.key
        for row in live.values()
        if row.code == Discrepancy.Code.FILL_ORPHAN
        and (row.first_seen > since or row.times_seen <= ORPHANS_ASKED_AT_LEAST)
    }
    if not recent:
        return []
    named = account.fills.filter(order=None).exclude(order_external_id="").order_by()
    orphans = set(named.values_list("symbol", "order_external_id"))
    orphans = {orphan for orphan in orphans if orphan_key(*orphan) in recent}
    real = account.orders.filter(is_backtest=False)
    ours = real.filter(external_id__in={order_id for _, order_id in orphans})
    return [
        KnownOrder(order_id, symbol, filled=ZERO, is_open=False, wants_fills=True)
        for symbol, order_id in sorted(orphans - set(ours.values_list("symbol", "external_id")))
    ]
