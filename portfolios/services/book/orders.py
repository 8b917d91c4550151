from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Q
from django.utils.translation import gettext as _

from portfolios.amounts import plain
from portfolios.models import Order, Portfolio
from portfolios.reconciliation.execution import opening_cost
from portfolios.services.book.changes import Import, require_unchanged, unchangeable, written
from portfolios.services.book.document import Node, shown
from portfolios.services.claims import hand_over, note_counted
from providers.reports import OrderSide, OrderStatus, OrderType

# An asset has at most the 20 characters that a position keeps.
_SYMBOL = re.compile(r"[^\s/:]{1,20}/[^\s/:]{1,20}(:[^\s/]{1,40})?")
_ROWS_OF_A_QUERY: Final = 400
# An account's, or those of one of its backtests.
_IdsOf = tuple[int, int | None]


@dataclass(frozen=True, slots=True)
class _Row:
    node: Node
    portfolio: Portfolio
    given: Mapping[str, Any]


def import_orders(nodes: Iterable[Node], under_way: Import) -> None:
    rows = [_row(node, under_way) for node in nodes]
    known = _KnownOrders(rows)
    new = []
    for row in rows:
        order = known.find(row)
        if order is None:
            new.append(_order(row.portfolio, row.given))
            under_way.count_created()
        else:
            under_way.count_existing(is_changed=_update(row, order))
        under_way.booked[row.portfolio.account_id] = row.portfolio.account
    Order.objects.bulk_create(new, batch_size=_ROWS_OF_A_QUERY)


def _row(node: Node, under_way: Import) -> _Row:
    portfolio = under_way.portfolio(node)
    given = _given(node)
    node.refuse_unknown()
    if given["external_id"]:
        of_symbol = (_ids_of(portfolio), given["symbol"], given["external_id"])
        under_way.refuse_twice(node, "external_id", *of_symbol)
    # One's own id may be used again, but not while its order is open.
    if given["client_order_id"] and not OrderStatus(given["status"]).is_terminal:
        under_way.refuse_twice(node, "client_order_id", portfolio.name, given["client_order_id"])
    return _Row(node, portfolio, given)


def _ids_of(portfolio: Portfolio) -> _IdsOf:
    """Name within what the ids of its orders are told apart: what a backtest calls its own means no other order."""
    is_backtest = portfolio.mode == Portfolio.Mode.BACKTEST
    return portfolio.account_id, portfolio.pk if is_backtest else None


def _ids_of_order(order: Order) -> _IdsOf:
    return order.account_id, order.portfolio_id if order.is_backtest else None


class _KnownOrders:
    """The stored orders that a document's rows may mean; asked for together, because there may be thousands."""

    def __init__(self, rows: Sequence[_Row]) -> None:
        found: dict[int, Order] = {}
        for start in range(0, len(rows), _ROWS_OF_A_QUERY):
            found |= self._read(rows[start : start + _ROWS_OF_A_QUERY])
        # Some exchanges count the orders of each symbol by themselves.
        self._by_symbol_and_id = {
            (_ids_of_order(row), row.symbol, row.external_id): row for row in found.values()
        }
        # One that the exchange has not told yet is known by its id alone: another symbol is a changed one.
        self._untold = {
            (_ids_of_order(row), row.external_id): row
            for row in found.values()
            if not row.raw_status
        }
        self._by_client_id: dict[tuple[_IdsOf, int | None, str], Order] = {}
        # One that still waits for the exchange's id comes first, then the newest.
        for order in sorted(found.values(), key=lambda row: (row.external_id != "", -row.pk)):
            of_owner = (_ids_of_order(order), order.portfolio_id, order.client_order_id)
            self._by_client_id.setdefault(of_owner, order)

    @staticmethod
    def _read(rows: Sequence[_Row]) -> dict[int, Order]:
        external_ids = {row.given["external_id"] for row in rows} - {""}
        client_ids = {row.given["client_order_id"] for row in rows} - {""}
        orders = Order.objects.filter(
            Q(external_id__in=external_ids) | Q(client_order_id__in=client_ids),
            account__in={row.portfolio.account_id for row in rows},
        )
        return {order.pk: order for order in orders.select_related("account", "portfolio")}

    def find(self, row: _Row) -> Order | None:
        """Find the order by the exchange's id, else by the portfolio's own."""
        external_id, client_id = row.given["external_id"], row.given["client_order_id"]
        ids_of, found = _ids_of(row.portfolio), None
        if external_id:
            found = self._by_symbol_and_id.get((ids_of, row.given["symbol"], external_id))
            found = found or self._untold.get((ids_of, external_id))
        if not client_id or (found is not None and found.portfolio_id is not None):
            return found
        other = self._by_client_id.get((ids_of, row.portfolio.pk, client_id))
        if not external_id:
            # Its own, or one that was seen at the exchange before any book named it.
            return other or self._by_client_id.get((ids_of, None, client_id))
        if other is None:
            return found
        if found is None and not other.external_id:
            return other
        if other.is_open:
            raise row.node.fail(
                "client_order_id",
                _("belongs to another open order, %(id)s"),
                id=other.external_id or other.client_order_id,
            )
        return found  # an id that was used again after its order had ended


def _update(row: _Row, order: Order) -> bool:
    """Bring a stored order to what its row says; whether that changed anything."""
    node, portfolio, given = row.node, row.portfolio, row.given
    if order.portfolio_id is None:
        _claim(node, order, portfolio, given)
        return True
    if order.portfolio_id != portfolio.pk:
        raise node.fail(
            "portfolio", _("the order belongs to %(owner)s already"), owner=str(order.portfolio)
        )
    is_changed = _acknowledge(order, given)
    as_now = {name: getattr(order, name) for name in given}
    require_unchanged(node, _texts(given), order.book_values, _texts(as_now))
    return is_changed


def _given(node: Node) -> dict[str, Any]:
    values: dict[str, Any] = {
        "external_id": node.text("external_id", ""),
        "client_order_id": node.text("client_order_id", ""),
        "symbol": _symbol(node),
        "side": node.one_of("side", OrderSide),
        "type": node.one_of("type", OrderType, OrderType.LIMIT),
        "price": node.not_negative("price", None),
        "amount": node.not_negative("amount"),
        "filled": node.not_negative("filled", "0"),
        "status": node.one_of("status", OrderStatus, OrderStatus.OPEN),
        "created_at": node.time("created_at"),
    }
    if not (values["external_id"] or values["client_order_id"]):
        raise node.fail("external_id", _("is missing, and so is client_order_id: one is needed"))
    if not values["amount"]:
        raise node.fail("amount", _("is zero: nobody orders nothing"))
    if values["filled"] > values["amount"]:
        raise node.fail(
            "filled",
            _("is more than the amount of %(amount)s, was %(value)s"),
            amount=plain(values["amount"]),
            value=plain(values["filled"]),
        )
    return values


def _symbol(node: Node) -> str:
    symbol = node.text("symbol", limit=64)
    if not _SYMBOL.fullmatch(symbol):
        raise node.fail(
            "symbol", _("expected a symbol such as BTC/USDT, was %(value)s"), value=shown(symbol)
        )
    return symbol


def _order(portfolio: Portfolio, given: Mapping[str, Any]) -> Order:
    values = dict(given)
    if not given["external_id"] and given["status"] == OrderStatus.OPEN:
        values["status"] = OrderStatus.CREATED  # sent, but nobody has acknowledged it
    return Order(
        account=portfolio.account,
        portfolio=portfolio,
        is_backtest=portfolio.mode == Portfolio.Mode.BACKTEST,
        joined_after_baseline=portfolio.account.baseline_at is not None,
        opening_filled=given["filled"],
        opening_cost=opening_cost(given["filled"], average=None, price=given["price"]),
        book_values=_texts(given),
        **values,
    )


def _acknowledge(order: Order, given: Mapping[str, Any]) -> bool:
    """Note the exchange's id of an order that was sent without knowing it; whether that is news."""
    if order.external_id or not given["external_id"]:
        return False
    order.external_id = given["external_id"]
    if order.status == OrderStatus.CREATED:
        order.status = OrderStatus.OPEN
    order.save(update_fields=["external_id", "status"])
    return True


def _claim(node: Node, order: Order, portfolio: Portfolio, given: Mapping[str, Any]) -> None:
    """Give an order that was seen at the exchange to the portfolio whose book names it."""
    for name in ("symbol", "side"):
        if given[name] != getattr(order, name):
            raise unchangeable(node, name, getattr(order, name), given[name])
    order.client_order_id = order.client_order_id or given["client_order_id"]
    order.opening_filled = given["filled"]
    order.opening_cost = opening_cost(given["filled"], average=order.average, price=order.price)
    order.book_values = _texts(given)
    note_counted(order)
    hand_over(order, portfolio)


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: written(value) for name, value in values.items()}
