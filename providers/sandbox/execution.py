"""What a fill does to an order and to the balances: pure arithmetic, exact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from providers.reports import OrderSide, OrderStatus
from providers.sandbox.books import (
    EXACT,
    FEE_STEP,
    ROUNDING,
    ZERO,
    Balance,
    Fee,
    FeeRate,
    Fill,
    Instrument,
    Order,
)
from providers.sandbox.errors import PriceRefused

LastPrice = Callable[[str], Decimal]


@dataclass(frozen=True, slots=True)
class Execution:
    """`amount` of an order, executed at `price`."""

    order: Order
    instrument: Instrument
    amount: Decimal
    price: Decimal
    fee: Fee | None = None

    @property
    def cost(self) -> Decimal:
        return EXACT.multiply(self.price, self.amount)

    def order_after(self, at: datetime) -> Order:
        order = self.order
        filled = EXACT.add(order.filled, self.amount)
        return replace(
            order,
            filled=filled,
            cost=EXACT.add(order.cost, self.cost),
            status=OrderStatus.CLOSED if filled >= order.amount else OrderStatus.OPEN,
            updated_at=at,
        )

    def changes(self) -> dict[str, Balance]:
        base, quote = self.instrument.base, self.instrument.quote
        # What the order had locked for this amount, at its own price, is given back first.
        locked = _lock_of(self.order, min(self.amount, self.order.remaining))
        if self.order.side is OrderSide.BUY:
            changes = {
                quote: Balance(EXACT.subtract(locked, self.cost), locked.copy_negate()),
                base: Balance(self.amount),
            }
        else:
            changes = {
                base: Balance(EXACT.subtract(locked, self.amount), locked.copy_negate()),
                quote: Balance(self.cost),
            }
        if self.fee is not None:
            now = changes.get(self.fee.asset, Balance())
            changes[self.fee.asset] = Balance(EXACT.subtract(now.free, self.fee.amount), now.locked)
        return changes


def _lock_of(order: Order, amount: Decimal) -> Decimal:
    if order.price is None:
        return ZERO
    return amount if order.side is OrderSide.SELL else EXACT.multiply(amount, order.price)


def locked_asset(order: Order) -> str:
    base, _, quote = order.symbol.partition("/")
    return base if order.side is OrderSide.SELL else quote


def fill_price(order: Order, price: Decimal | None) -> Decimal:
    """`price`, or the order's own; never worse than the order's limit."""
    limit = order.price
    if limit is None:
        raise PriceRefused("Expected a limit order, was a market order.")
    if price is None:
        return limit
    is_worse = price > limit if order.side is OrderSide.BUY else price < limit
    if price <= 0 or is_worse:
        raise PriceRefused(f"Expected a price no worse than {limit}, was {price}.")
    return price


def fee_of(execution: Execution, rate: FeeRate, last_price: LastPrice) -> Fee:
    """Charge `rate` in the asset received, or in `rate.asset` at its last price in the quote."""
    instrument = execution.instrument
    is_buy = execution.order.side is OrderSide.BUY
    asset = rate.asset or (instrument.base if is_buy else instrument.quote)
    if asset == instrument.base:
        charged = ROUNDING.multiply(execution.amount, rate.rate)
    else:
        charged = ROUNDING.multiply(execution.cost, rate.rate)
        if asset != instrument.quote:
            charged = ROUNDING.divide(charged, last_price(f"{asset}/{instrument.quote}"))
    return Fee(asset, charged.quantize(FEE_STEP, context=ROUNDING))


def order_without(order: Order, fill: Fill, at: datetime) -> Order:
    return replace(
        order,
        filled=EXACT.subtract(order.filled, fill.amount),
        cost=EXACT.subtract(order.cost, fill.cost),
        status=OrderStatus.CANCELED if order.status is OrderStatus.CLOSED else order.status,
        updated_at=at,
    )


def changes_of_bust(order: Order, after: Order, fill: Fill) -> dict[str, Balance]:
    """Give back what `fill` has moved; what is still wanted of an open order is locked again."""
    base, _, quote = fill.symbol.partition("/")
    sign = 1 if fill.side is OrderSide.BUY else -1
    free = {
        base: EXACT.multiply(fill.amount, Decimal(-sign)),
        quote: EXACT.multiply(fill.cost, Decimal(sign)),
    }
    if fill.fee is not None:
        free[fill.fee.asset] = EXACT.add(free.get(fill.fee.asset, ZERO), fill.fee.amount)
    more = EXACT.subtract(after.lock, order.lock)
    asset = locked_asset(order)
    free[asset] = EXACT.subtract(free.get(asset, ZERO), more)
    return {name: Balance(change, more if name == asset else ZERO) for name, change in free.items()}


def is_forgotten(order: Order, oldest: datetime | None) -> bool:
    if not order.is_listed:
        return True
    if oldest is None or order.is_open or order.filled:
        return False
    return order.updated_at < oldest
