"""Orders of one account that are brought up to date together, and written at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from portfolios.models import ExchangeAccount, Order
from portfolios.services.journal import Journal
from portfolios.services.order_reads import OrderId

# What a look may change of an order.
WRITTEN: Final = (
    *("external_id", "client_order_id", "raw_status", "status", "type", "price", "average"),
    *("amount", "filled", "cost", "fees", "created_at", "updated_at", "has_final_terms"),
    *("opening_filled", "opening_cost", "fills_wanted", "missing_since", "strikes"),
    "last_strike_at",
)


@dataclass(slots=True)
class OrdersOutcome:
    """How many orders were seen and changed, and what is wrong with how many."""

    checked: int = 0
    changed: int = 0
    problems: int = 0
    # Symbol and the exchange's id of orders of which nothing could be booked.
    failed: set[OrderId] = field(default_factory=set)
    # Keys of orders that were stored with all that is told of them: nothing is left to be looked at.
    whole: set[int] = field(default_factory=set)

    def add(self, part: OrdersOutcome) -> None:
        self.checked += part.checked
        self.changed += part.changed
        self.problems += part.problems
        self.failed |= part.failed
        self.whole |= part.whole


class OrderBatch:
    """What is to be written of orders of `account`, and their entries of the ledger."""

    def __init__(self, account: ExchangeAccount) -> None:
        self.journal = Journal(account)
        self._changed: list[Order] = []

    def add(self, order: Order) -> None:
        """Write `order`, whose state has changed, with the others."""
        self._changed.append(order)

    def write(self) -> None:
        """Write the orders and their entries.

        An insert that finds its row and updates it takes a tenth of the time of one update an order.
        """
        changed, self._changed = self._changed, []
        Order.objects.bulk_create(
            changed, update_conflicts=True, unique_fields=["id"], update_fields=WRITTEN
        )
        self.journal.post()
