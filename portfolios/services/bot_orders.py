"""Orders that a program tells of, signed in with a token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from portfolios.models import ApiToken, Order
from portfolios.services.audit import Kind, record
from portfolios.services.book import import_book


@transaction.atomic
def book_order_of_bot(
    token: ApiToken, portfolio: str, client_order_id: str, sent: Mapping[str, Any]
) -> tuple[Order, bool]:
    """Book an order or what is new of it, and note whose token did it; return the order, and whether it is new.

    An equal order changes nothing and leaves no trace.

    Raises
    ------
    BookError
        If a value is bad, or would change what cannot be changed; then nothing is booked.
    """
    row = {"portfolio": portfolio, "client_order_id": client_order_id, **sent}
    result = import_book({"orders": [row]})
    order = _booked(portfolio.strip(), client_order_id.strip(), sent)
    if result.created or result.updated:
        record(
            Kind.BOOK,
            by=token.made_by,
            account=order.account,
            subject=f"{portfolio}: {client_order_id}",
            detail=f"{token.name}: {sent['side']} {sent['amount']} {sent['symbol']} {order.external_id}".strip(),
        )
    return order, bool(result.created)


def _booked(portfolio: str, client_order_id: str, sent: Mapping[str, Any]) -> Order:
    """Find what was told: by the exchange's id, since the exchange may call the bot's own id by another one."""
    orders = Order.objects.filter(portfolio__name=portfolio).select_related("account", "portfolio")
    external_id = str(sent.get("external_id", "")).strip()
    if external_id:
        return orders.get(symbol=str(sent["symbol"]).strip(), external_id=external_id)
    return orders.filter(client_order_id=client_order_id).latest("pk")
