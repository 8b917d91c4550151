"""The practice exchange's engine: orders fill, cancel and expire when told to; the books are exact.

It speaks no exchange's language; see the dialects for that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

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
    DuplicateClientOrderId,
    OrderNotOpen,
    UnknownInstrument,
    UnknownOrder,
)
from providers.sandbox.execution import (
    Execution,
    fee_of,
    fill_price,
    is_forgotten,
    locked_asset,
)
from providers.sandbox.ledger import Clock, Ledger, utc_now


class Engine(Ledger):
    """Instruments and orders over the accounts. Safe to use from several threads.

    Parameters
    ----------
    first_id : int
        Number of the first order, fill, deposit or withdrawal; the next ones count up.
    retention : timedelta or None
        How long an order that ended without a fill can still be asked for; None for ever.
    """

    def __init__(
        self,
        instruments: Iterable[Instrument] = (),
        *,
        clock: Clock = utc_now,
        first_id: int = 10_000_001,
        retention: timedelta | None = None,
    ) -> None:
        super().__init__(clock, first_id)
        self.retention = retention
        self._instruments = {instrument.symbol: instrument for instrument in instruments}
        self._owners: dict[str, str] = {}
        self._open_client_ids: set[tuple[str, str]] = set()

    def add_instrument(self, instrument: Instrument) -> None:
        with self.lock:
            self._instruments[instrument.symbol] = instrument
            self.changes += 1

    def set_price(self, symbol: str, price: Amount) -> None:
        with self.lock:
            instrument = self.instrument(symbol)
            self.add_instrument(replace(instrument, price=decimal_of(price)))

    def instrument(self, symbol: str) -> Instrument:
        instrument = self._instruments.get(symbol)
        if instrument is None:
            raise UnknownInstrument(f"No instrument {symbol}.")
        return instrument

    def instruments(self) -> list[Instrument]:
        return [*self._instruments.values()]

    def orders(self, key: str, symbol: str = "") -> list[Order]:
        """Every order that is not forgotten, oldest first."""
        with self.lock:
            oldest = self._oldest()
            return [
                order
                for order in self._account(key).orders.values()
                if symbol in ("", order.symbol) and not is_forgotten(order, oldest)
            ]

    def open_orders(self, key: str, symbol: str = "") -> list[Order]:
        return [order for order in self.orders(key, symbol) if order.is_open]

    def order(self, key: str, order_id: str) -> Order:
        with self.lock:
            order = self._account(key).orders.get(order_id)
            if order is None or is_forgotten(order, self._oldest()):
                raise UnknownOrder(f"No order {order_id}.")
            return order

    def fills(self, key: str, symbol: str = "") -> list[Fill]:
        with self.lock:
            return [x for x in self._account(key).fills if symbol in ("", x.symbol)]

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
        with self.lock:
            account = self._account(key)
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
        with self.lock:
            account, order = self._open_order(order_id)
            instrument = self.instrument(order.symbol)
            wanted = order.remaining
            if amount is not None:
                wanted = instrument.checked_amount(decimal_of(amount))
            if wanted > order.remaining:
                raise AmountRefused(f"Expected at most {order.remaining}, was {wanted}.")
            paid = fill_price(order, None if price is None else decimal_of(price))
            execution = Execution(order, instrument, wanted, paid)
            return self._book(account, execution, fee, is_maker=is_maker)

    def cancel_order(self, order_id: str) -> Order:
        return self._end_order(order_id, OrderStatus.CANCELED)

    def expire_order(self, order_id: str) -> Order:
        return self._end_order(order_id, OrderStatus.EXPIRED)

    def reject_order(self, order_id: str) -> Order:
        return self._end_order(order_id, OrderStatus.REJECTED)

    def amend_order(self, order_id: str, amount: Amount) -> Order:
        """Give an open order a new amount, which must be more than what is filled."""
        with self.lock:
            account, order = self._open_order(order_id)
            wanted = self.instrument(order.symbol).checked_amount(decimal_of(amount))
            if wanted <= order.filled:
                raise AmountRefused(f"Expected more than {order.filled}, was {wanted}.")
            amended = replace(order, amount=wanted, updated_at=self.clock())
            more = EXACT.subtract(amended.lock, order.lock)
            account.book({locked_asset(order): Balance(more.copy_negate(), more)})
            self._store(account, amended)
            return amended

    def restore(
        self, instruments: Iterable[Instrument], accounts: Iterable[Account], next_id: int
    ) -> None:
        with self.lock:
            self._instruments = {x.symbol: x for x in instruments}
            self.accounts = {x.api_key.key: x for x in accounts}
            self._owners.clear()
            self._open_client_ids.clear()
            for key, account in self.accounts.items():
                for order in account.orders.values():
                    self._index(key, order)
            self.next_id = next_id
            self.changes += 1

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

    def _check_client_order_id(self, account: Account, client_order_id: str) -> None:
        if (account.api_key.key, client_order_id) in self._open_client_ids:
            raise DuplicateClientOrderId(
                f"Expected a new client order id, was {client_order_id!r}."
            )

    def _new_order(self, request: OrderRequest) -> Order:
        is_market = request.type is OrderType.MARKET
        created_at = request.created_at or self.clock()
        return Order(
            id=self._new_id(),
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

    def _store(self, account: Account, order: Order) -> None:
        account.orders[order.id] = order
        self._index(account.api_key.key, order)
        self.changes += 1

    def _index(self, key: str, order: Order) -> None:
        self._owners[order.id] = key
        if order.is_open and order.client_order_id:
            self._open_client_ids.add((key, order.client_order_id))
        else:
            self._open_client_ids.discard((key, order.client_order_id))

    def _open_order(self, order_id: str) -> tuple[Account, Order]:
        owner = self._owners.get(order_id)
        if owner is None:
            raise UnknownOrder(f"No order {order_id}.")
        account = self.accounts[owner]
        order = account.orders[order_id]
        if not order.is_open:
            raise OrderNotOpen(f"Expected order {order_id} to be open, was {order.status}.")
        return account, order

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
        with self.lock:
            account, order = self._open_order(order_id)
            account.book({locked_asset(order): Balance(order.lock, order.lock.copy_negate())})
            ended = replace(order, status=status, updated_at=self.clock())
            self._store(account, ended)
            return ended

    def _oldest(self) -> datetime | None:
        return None if self.retention is None else self.clock() - self.retention
