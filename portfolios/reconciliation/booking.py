"""What is still to be booked for an order, given what has been booked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from portfolios.amounts import difference, exact, exact_sum, ratio_of
from portfolios.reconciliation.execution import Execution, OrderFacts
from portfolios.reconciliation.lots import OpenLots
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
    with exact():
        due = Pending(
            base=moved.base if is_buy else -moved.base,
            quote=-moved.quote if is_buy else moved.quote,
            fees={asset: -fee for asset, fee in moved.fees.items()},
        )
    return less(due, booked)


def within(change: Pending, booked: Booked) -> Pending:
    """Cut each part of `change` to what was booked of it: no more than that, and nothing of the other sign."""
    fees = booked.fees or {}
    cut = {asset: _within(amount, fees.get(asset, ZERO)) for asset, amount in change.fees.items()}
    return Pending(
        base=_within(change.base, booked.base),
        quote=_within(change.quote, booked.quote),
        fees={asset: amount for asset, amount in cut.items() if amount},
    )


def _within(amount: Decimal, limit: Decimal) -> Decimal:
    if not amount or (amount > 0) is not (limit > 0):
        return ZERO
    return min(amount, limit, key=Decimal.copy_abs)


def less(change: Pending, booked: Booked) -> Pending:
    """Leave of `change` what is not booked yet."""
    already = booked.fees or {}
    with exact():
        fees = {
            asset: change.fees.get(asset, ZERO) - already.get(asset, ZERO)
            for asset in {*change.fees, *already}
        }
        return Pending(
            base=change.base - booked.base,
            quote=change.quote - booked.quote,
            fees={asset: amount for asset, amount in sorted(fees.items()) if amount},
        )


@dataclass(frozen=True, slots=True)
class Traded:
    """Sums of what was booked of one order in its base asset: what it cost, and what was gained."""

    base: Decimal = ZERO
    cost: Decimal = ZERO
    gain: Decimal = ZERO

    def with_more(self, base: Decimal, cost: Decimal, gain: Decimal) -> Traded:
        with exact():
            return Traded(self.base + base, self.cost + cost, self.gain + gain)


NOTHING: Final = Traded()


def cost_and_gain(
    order: OrderFacts, change: Pending, lots: OpenLots, booked: Traded = NOTHING
) -> tuple[Decimal, Decimal]:
    """Change of the position's cost and the realised gain of booking `change`, in quote units.

    A sale takes what the sold units had cost, and the rest of its proceeds is gain. Of what it sells beyond zero the
    proceeds are no gain but a negative cost: only when that is bought back is the difference gained. What a purchase
    pays beyond that is the cost of what it leaves. A later price of what is closed by now is gain too: nothing is left
    whose cost it could be.

    What is undone of an order takes its part of what was booked of that back: of a purchase the gain, of a sale the
    cost, which are known to the digit.

    Parameters
    ----------
    booked : Traded
        What was booked of the order before.
    """
    paid = change.quote.copy_negate()
    if is_undoing(order.side, change.base, booked) and lots.total != change.base.copy_negate():
        part = change.base.copy_negate()
        if order.side is OrderSide.SELL:
            cost = ratio_of(booked.cost, part, booked.base).copy_negate()
            return cost, difference(cost, paid)
        gain = ratio_of(booked.gain, part, booked.base).copy_negate()
        return exact_sum((gain, paid)), gain
    if change.base:
        return opened_and_gained(change.base, paid, lots)
    sign = Decimal(1) if order.side is OrderSide.BUY else Decimal(-1)
    return (paid, ZERO) if lots.are_of(sign) else (ZERO, change.quote)


def is_undoing(side: OrderSide, change: Decimal, booked: Traded) -> bool:
    """Whether a change of what an order of that side has traded makes that less."""
    less, more = (change, booked.base) if side is OrderSide.BUY else (booked.base, change)
    return less < 0 < more


def opened_and_gained(amount: Decimal, paid: Decimal, lots: OpenLots) -> tuple[Decimal, Decimal]:
    """Change of the cost and the gain when what is held changes by `amount`, for which `paid` was given.

    Parameters
    ----------
    amount : Decimal
        Signed units, not zero.
    paid : Decimal
        Quote units, or what had been paid for what was given; negative for what was got.
    """
    closing, size = lots.closing(amount), amount.copy_abs()
    opened = ratio_of(paid, difference(size, closing.amount), size)
    cost = difference(opened, closing.cost)
    return cost, difference(cost, paid)
