"""The practice exchange's engine: orders fill, cancel and expire when told to; the books are exact.

It speaks no exchange's language; see the dialects for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from providers.reports import OrderSide, OrderStatus, OrderType
from providers.sandbox.books import (
    EXACT,
    ZERO,
    Account,
    Amount,
    Balance,
    Fee,
    FeeRate,
    Fill,
    Instrument,
    Order,
    OrderRequest,
    decimal_of,
)
from providers.sandbox.errors import (
    AmountRefused,
    OrdersDoNotMeet,
    UnknownFill,
)
from providers.sandbox.execution import (
    Execution,
    changes_of_bust,
    fee_of,
    fill_price,
    locked_asset,
    order_without,
)
from providers.sandbox.order_book import OrderBook


class Engine(OrderBook):
    """What happens to orders. Safe to use from several threads."""

    def buy(
        self,
        key: str,
        symbol: str,
        amount: Amount,
        price: Amount | None = None,
        client_id: str = "",
    ) -> Order:
        """Place a limit order, or a market order if no price is given."""
        return self._place_simple(key, OrderSide.BUY, symbol, (amount, price), client_id)

    def sell(
        self,
        key: str,
        symbol: str,
        amount: Amount,
        price: Amount | None = None,
        client_id: str = "",
    ) -> Order:
        """Place a limit order, or a market order if no price is given."""
        return self._place_simple(key, OrderSide.SELL, symbol, (amount, price), client_id)

    def place_order(
        self, key: str, request: OrderRequest, fee: Fee | FeeRate | None = None
    ) -> Order:
        """Accept an order. A market order is filled at once at the last price, with `fee`."""
        with self._changing(key) as account:
            instrument = self._checked(request)
            self._check_client_order_id(account, request.client_order_id)
            order = self._new_order(request)
            if order.type is OrderType.MARKET:
                execution = Execution(order, instrument, order.amount, instrument.price)
                self._book(account, execution, fee, is_maker=False)
                return account.orders[order.id]
            account.book({locked_asset(order): Balance(order.lock.copy_negate(), order.lock)})
            self._store(account, order)
            return order

    def fill_order(
        self,
        order_id: str,
        amount: Amount | None = None,
        price: Amount | None = None,
        fee: Fee | FeeRate | None = None,
        *,
        is_maker: bool = True,
    ) -> Fill:
        """Fill an open order: all that remains at its own price, unless told otherwise.

        Parameters
        ----------
        price : Amount or None
            Quote units per base unit, no worse than the order's own.

        Raises
        ------
        OrderNotOpen, UnknownOrder, AmountRefused, PriceRefused, InsufficientFunds
            Nothing has changed then.
        """
        with self._changing_order(order_id) as (account, order):
            instrument = self.instrument(order.symbol)
            wanted = order.remaining
            if amount is not None:
                wanted = instrument.checked_amount(decimal_of(amount))
            if wanted > order.remaining:
                raise AmountRefused(f"Expected at most {order.remaining}, was {wanted}.")
            paid = fill_price(order, None if price is None else decimal_of(price))
            execution = Execution(order, instrument, wanted, paid)
            return self._book(account, execution, fee, is_maker=is_maker)

    def overfill_order(self, order_id: str, more: Amount, fee: Fee | FeeRate | None = None) -> Fill:
        """Fill all that remains of an open order and `more`, at its own price, as an exchange at fault does."""
        with self._changing_order(order_id) as (account, order):
            instrument = self.instrument(order.symbol)
            extra = instrument.checked_amount(decimal_of(more))
            execution = Execution(
                order, instrument, EXACT.add(order.remaining, extra), fill_price(order, None)
            )
            return self._book(account, execution, fee, is_maker=True)

    def self_trade(self, buy_id: str, sell_id: str, amount: Amount) -> tuple[Fill, Fill]:
        """Let two orders of one account fill each other, at the seller's price: two fills of one id."""
        with self.lock:
            (_, buy), (_, sell) = self._open_order(buy_id), self._open_order(sell_id)
            sides = ((buy.side, buy.symbol), (sell.side, sell.symbol))
            if sides != ((OrderSide.BUY, buy.symbol), (OrderSide.SELL, buy.symbol)):
                raise OrdersDoNotMeet(f"Expected a buy and a sell of one symbol, were {sides}.")
            if decimal_of(amount) > min(buy.remaining, sell.remaining):
                raise AmountRefused(f"Expected an amount that both orders lack, was {amount}.")
            fill_price(buy, sell.price)
            sold = self.fill_order(sell_id, amount)
            bought = self.fill_order(buy_id, amount, sold.price, is_maker=False)
            with self._changing_order(buy_id, may_be_closed=True) as (account, _):
                twin = replace(bought, id=sold.id, is_twin=True)
                account.fills[account.fills.index(bought)] = twin
            return twin, sold

    def bust_fill(self, key: str, fill_id: str) -> Order:
        """Take a fill back, as if it had never been; an order that it completed stays ended, as canceled."""
        with self._changing(key) as account:
            busted = [fill for fill in account.fills if fill.id == fill_id]
            if len(busted) != 1:
                raise UnknownFill(f"Expected one fill {fill_id}, were {len(busted)}.")
            order, fill = account.orders[busted[0].order_id], busted[0]
            after = order_without(order, fill, self.clock())
            account.book(changes_of_bust(order, after, fill))
            account.fills.remove(fill)
            self._store(account, after)
            return after

    def forget_order(self, order_id: str) -> Order:
        """Let the exchange know no longer of an order, whatever became of it; its fills stay listed."""
        with self._changing_order(order_id, may_be_closed=True) as (account, order):
            forgotten = replace(order, is_listed=False)
            self._store(account, forgotten)
            return forgotten

    @contextmanager
    def standing_still(self) -> Iterator[datetime]:
        """Stop the clock: whatever happens in here happens in the same microsecond."""
        with self.lock:
            clock, now = self.clock, self.clock()
            self.clock = lambda: now
            try:
                yield now
            finally:
                self.clock = clock

    def cancel_order(self, order_id: str) -> Order:
        return self._end_order(order_id, OrderStatus.CANCELED)

    def expire_order(self, order_id: str) -> Order:
        return self._end_order(order_id, OrderStatus.EXPIRED)

    def reject_order(self, order_id: str) -> Order:
        return self._end_order(order_id, OrderStatus.REJECTED)

    def amend_order(
        self, order_id: str, amount: Amount | None = None, price: Amount | None = None
    ) -> Order:
        """Give an open order a new amount, which must be more than what is filled, or a new limit price."""
        with self._changing_order(order_id) as (account, order):
            instrument = self.instrument(order.symbol)
            amended = replace(order, updated_at=self.clock())
            if amount is not None:
                wanted = instrument.checked_amount(decimal_of(amount))
                if wanted <= order.filled:
                    raise AmountRefused(f"Expected more than {order.filled}, was {wanted}.")
                amended = replace(amended, amount=wanted)
            if price is not None:
                amended = replace(amended, price=instrument.checked_price(decimal_of(price)))
            more = EXACT.subtract(amended.lock, order.lock)
            account.book({locked_asset(order): Balance(more.copy_negate(), more)})
            self._store(account, amended)
            return amended

    def _place_simple(
        self,
        key: str,
        side: OrderSide,
        symbol: str,
        amount_and_price: tuple[Amount, Amount | None],
        client_id: str,
    ) -> Order:
        amount, price = amount_and_price
        request = OrderRequest(
            symbol=symbol,
            side=side,
            amount=decimal_of(amount),
            price=None if price is None else decimal_of(price),
            type=OrderType.MARKET if price is None else OrderType.LIMIT,
            client_order_id=client_id,
        )
        return self.place_order(key, request)

    def _checked(self, request: OrderRequest) -> Instrument:
        instrument = self.instrument(request.symbol)
        instrument.checked_amount(request.amount)
        if request.type is not OrderType.MARKET:
            instrument.checked_price(request.price or ZERO)
        if request.type is OrderType.STOP_LIMIT:
            instrument.checked_price(request.stop_price or ZERO)
        return instrument

    def _new_order(self, request: OrderRequest) -> Order:
        is_market = request.type is OrderType.MARKET
        created_at = request.created_at or self.clock()
        return Order(
            id=request.id or self._new_id(),
            symbol=request.symbol,
            side=request.side,
            type=request.type,
            status=OrderStatus.OPEN,
            amount=request.amount,
            price=None if is_market else request.price,
            stop_price=request.stop_price,
            client_order_id=request.client_order_id,
            created_at=created_at,
            updated_at=created_at,
        )

    def _book(
        self, account: Account, execution: Execution, fee: Fee | FeeRate | None, *, is_maker: bool
    ) -> Fill:
        if isinstance(fee, FeeRate):
            fee = fee_of(execution, fee, lambda symbol: self.instrument(symbol).price)
        execution = replace(execution, fee=fee)
        account.book(execution.changes())
        order = execution.order_after(self.clock())
        self._store(account, order)
        fill = Fill(
            id=self._new_id(),
            order_id=order.id,
            symbol=order.symbol,
            side=order.side,
            price=execution.price,
            amount=execution.amount,
            cost=execution.cost,
            fee=fee,
            is_maker=is_maker,
            executed_at=order.updated_at,
        )
        account.fills.append(fill)
        return fill

    def _end_order(self, order_id: str, status: OrderStatus) -> Order:
        with self._changing_order(order_id) as (account, order):
            account.book({locked_asset(order): Balance(order.lock, order.lock.copy_negate())})
            ended = replace(order, status=status, updated_at=self.clock())
            self._store(account, ended)
            return ended
