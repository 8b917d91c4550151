"""Whose an order is, and whether it has ended."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core import serializers
from django.core.serializers.json import DjangoJSONEncoder
from django.utils.translation import gettext as _

from portfolios.models import Order
from portfolios.services.claims import accept_match, claim_order
from portfolios.services.decisions.doing import Doing
from portfolios.services.decisions.releases import release
from portfolios.services.discrepancy_decisions import put_back
from portfolios.services.lapses import accept_lapse
from providers.reports import OrderStatus

# What a match writes anew in the order of the exchange.
_MATCHED = ("client_order_id", "book_values", "opening_filled", "opening_cost")


class _Exact(DjangoJSONEncoder):
    """Keeps microseconds, which the serializer drops otherwise."""

    def default(self, o: Any) -> Any:
        return o.isoformat() if isinstance(o, datetime) else super().default(o)


def order_of(doing: Doing, name: str = "order") -> Order:
    return doing.find(name, doing.account.orders.select_related("account", "portfolio"))


def name_of(order: Order) -> str:
    return order.external_id or order.client_order_id


def about_order(doing: Doing) -> str:
    return f"order {name_of(order_of(doing))}"


def claim(doing: Doing) -> None:
    claim_order(order_of(doing), doing.find("portfolio", doing.account.portfolios.all()))


def unclaim(doing: Doing, done: Doing) -> None:
    order = order_of(done)
    if order.portfolio_id != done.given["portfolio"]:
        raise doing.refused(
            _("Order %(order)s does not belong to that portfolio any more.")
            % {"order": name_of(order)}
        )
    # A rule would give it away again at the next sync.
    order.is_released = "rule" in done.given
    release(order, doing)


def take_from_owner(doing: Doing) -> None:
    order = order_of(doing)
    doing.kept["portfolio"] = order.portfolio_id
    order.is_released = True
    release(order, doing)


def give_back_to_owner(doing: Doing, done: Doing) -> None:
    owner = doing.account.portfolios.filter(pk=done.kept["portfolio"]).first()
    if owner is None:
        raise doing.refused(_("The portfolio that had the order is gone."))
    claim_order(order_of(done), owner)


def match(doing: Doing) -> None:
    sent, seen = order_of(doing), order_of(doing, "candidate")
    doing.kept["orders"] = serializers.serialize("json", [sent, seen], cls=_Exact)
    accept_match(sent, seen, doing.decision)


def unmatch(doing: Doing, done: Doing) -> None:
    """Make two orders of the one again: what was only sent, and what nobody had booked."""
    sent, seen = _stored(done.kept["orders"])
    order = order_of(done, "candidate")
    if order.portfolio_id != sent.portfolio_id or order.client_order_id != sent.client_order_id:
        raise doing.refused(
            _("Order %(order)s is not what it was matched with any more.")
            % {"order": name_of(order)}
        )
    for name in _MATCHED:
        setattr(order, name, getattr(seen, name))
    release(order, doing)
    sent.save_base(raw=True, force_insert=True)
    # Their keys name the order by its primary key, which it has again.
    rows = doing.account.discrepancies.filter(key__startswith=f"order:{sent.pk}:")
    rows.update(order=sent, portfolio=sent.portfolio_id)
    put_back(doing.decision)


def _stored(orders: str) -> list[Order]:
    rows = (row.object for row in serializers.deserialize("json", orders))
    return [row for row in rows if isinstance(row, Order)]


def lapse(doing: Doing) -> None:
    order = order_of(doing)
    doing.kept["status"] = order.status
    accept_lapse(order, doing.decision)


def unlapse(doing: Doing, done: Doing) -> None:
    order = order_of(done)
    if order.status != OrderStatus.LAPSED:
        raise doing.refused(
            _("Order %(order)s has not lapsed: it is %(status)s by now.")
            % {"order": name_of(order), "status": order.status}
        )
    doing.account.orders.filter(pk=order.pk).update(status=done.kept["status"])
    put_back(doing.decision)
