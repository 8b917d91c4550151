"""What is still to be booked for an order, given what has been booked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from portfolios.amounts import exact
from portfolios.reconciliation.execution import Execution, OrderFacts
from providers.reports import OrderSide

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Booked:
    """Sums of the ledger entries of one order: signed traded amounts, and signed fees by asset."""

    base: Decimal = ZERO
    quote: Decimal = ZERO
    fees: Mapping[str, Decimal] | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """Signed changes that bring the ledger to where the facts are; zero where nothing is to be booked."""

    base: Decimal
    quote: Decimal
    fees: Mapping[str, Decimal]

    def __bool__(self) -> bool:
        return bool(self.base or self.quote or self.fees)


def pending(order: OrderFacts, moved: Execution, booked: Booked) -> Pending:
    """Take the difference between where the facts put the order and what its entries sum to.

    Booking a difference instead of an event makes it idempotent: the same facts again differ by nothing.
    """
    is_buy = order.side is OrderSide.BUY
    already = booked.fees or {}
    with exact():
        fees = {
            asset: -moved.fees.get(asset, ZERO) - already.get(asset, ZERO)
            for asset in {*moved.fees, *already}
        }
        return Pending(
            base=(moved.base if is_buy else -moved.base) - booked.base,
            quote=(-moved.quote if is_buy else moved.quote) - booked.quote,
            fees={asset: amount for asset, amount in sorted(fees.items()) if amount},
        )


def cost_and_gain(
    order: OrderFacts, change: Pending, *, held: Decimal, sold_cost: Decimal
) -> tuple[Decimal, Decimal]:
    """Change of the position's cost and the realised gain of booking `change`, in quote units.

    A buy adds what was paid. A sale takes `sold_cost`, what the sold units had cost, and the rest of its proceeds is
    gain. What a buy is corrected by after all of it was sold is gain too: nothing is left whose cost it could be.
    """
    with exact():
        if order.side is OrderSide.BUY:
            return (-change.quote, ZERO) if change.base or held else (ZERO, change.quote)
        return -sold_cost, change.quote - sold_cost
