"""What the books know of an order, taken from its row and written to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from portfolios.models import Order
from portfolios.reconciliation.orders import OrderState
from portfolios.services.fills import fee_rows
from portfolios.services.ledger import stored_fees
from providers.reports import OrderStatus, OrderType

_AS_THEY_ARE: Final = (
    *("external_id", "client_order_id", "raw_status", "price", "average", "amount", "filled"),
    *("cost", "created_at", "updated_at", "has_final_terms"),
)
# The columns that tell it.
STATE_FIELDS: Final = (*_AS_THEY_ARE, "status", "type", "fees")


def order_state(order: Order) -> OrderState:
    return state_of({name: getattr(order, name) for name in STATE_FIELDS})


def state_of(row: Mapping[str, Any]) -> OrderState:
    return OrderState(
        status=OrderStatus(row["status"]),
        type=OrderType(row["type"]) if row["type"] else None,
        fees=stored_fees(row["fees"]),
        **{name: row[name] for name in _AS_THEY_ARE},
    )


def set_state(order: Order, state: OrderState, *, is_found: bool) -> None:
    for name in _AS_THEY_ARE:
        setattr(order, name, getattr(state, name))
    order.status, order.type = state.status, state.type or ""
    order.fees = fee_rows(state.fees)
    if is_found:
        order.missing_since, order.strikes, order.last_strike_at = None, 0, None
