"""Instruments and orders of the practice exchange: what there is, and whose it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from providers.sandbox.books import Account, Amount, Fill, Instrument, Order, decimal_of
from providers.sandbox.errors import (
    DuplicateClientOrderId,
    OrderNotOpen,
    UnknownInstrument,
    UnknownOrder,
)
from providers.sandbox.execution import is_forgotten
from providers.sandbox.ledger import Clock, Ledger, utc_now


class OrderBook(Ledger):
    """Instruments and orders over the accounts.

    Parameters
    ----------
    first_id : int
        Number of the first order, fill or movement; the next ones count up.
    retention : timedelta or None
        How long an order that ended without a fill can still be asked for; None for ever.
    memory : timedelta
        How far back the books can be shown as they were, for lags and stale answers.
    """

    def __init__(
        self,
        instruments: Iterable[Instrument] = (),
        *,
        clock: Clock = utc_now,
        first_id: int = 10_000_001,
        retention: timedelta | None = None,
        memory: timedelta = timedelta(0),
    ) -> None:
        super().__init__(clock, first_id, memory)
        self.retention = retention
        self._instruments = {instrument.symbol: instrument for instrument in instruments}
        self._owners: dict[str, set[str]] = {}
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
            return [
                order
                for order in self._account(key).orders.values()
                if symbol in ("", order.symbol) and not self.is_forgotten(order)
            ]

    def open_orders(self, key: str, symbol: str = "") -> list[Order]:
        return [order for order in self.orders(key, symbol) if order.is_open]

    def order(self, key: str, order_id: str) -> Order:
        with self.lock:
            order = self._account(key).orders.get(order_id)
            if order is None or self.is_forgotten(order):
                raise UnknownOrder(f"No order {order_id}.")
            return order

    def fills(self, key: str, symbol: str = "") -> list[Fill]:
        with self.lock:
            return [x for x in self._account(key).fills if symbol in ("", x.symbol)]

    def is_forgotten(self, order: Order) -> bool:
        oldest = None if self.retention is None else self.clock() - self.retention
        return is_forgotten(order, oldest)

    def restore(
        self, instruments: Iterable[Instrument], accounts: Iterable[Account], next_id: int
    ) -> None:
        with self.lock:
            self._instruments = {x.symbol: x for x in instruments}
            self.accounts = {x.api_key.key: x for x in accounts}
            self._owners.clear()
            self._open_client_ids.clear()
            self.history.forget()
            for key, account in self.accounts.items():
                for order in account.orders.values():
                    self._index(key, order)
            self.next_id = next_id
            self.changes += 1

    def _check_client_order_id(self, account: Account, client_order_id: str) -> None:
        if (account.api_key.key, client_order_id) in self._open_client_ids:
            raise DuplicateClientOrderId(
                f"Expected a new client order id, was {client_order_id!r}."
            )

    def _store(self, account: Account, order: Order) -> None:
        account.orders[order.id] = order
        self._index(account.api_key.key, order)

    def _index(self, key: str, order: Order) -> None:
        self._owners.setdefault(order.id, set()).add(key)
        if order.is_open and order.client_order_id:
            self._open_client_ids.add((key, order.client_order_id))
        else:
            self._open_client_ids.discard((key, order.client_order_id))

    def _open_order(self, order_id: str) -> tuple[Account, Order]:
        account, order = self._named(order_id)
        if not order.is_open:
            raise OrderNotOpen(f"Expected order {order_id} to be open, was {order.status}.")
        return account, order

    def _named(self, order_id: str) -> tuple[Account, Order]:
        """Find an order; if two accounts have one of that id, it is named as ``key/id``."""
        key, _, plain = order_id.rpartition("/")
        owners = self._owners.get(plain, set()) & ({key} if key else self.accounts.keys())
        if len(owners) != 1:
            raise UnknownOrder(f"Expected one order {order_id}, were {len(owners)}.")
        account = self.accounts[owners.pop()]
        return account, account.orders[plain]

    @contextmanager
    def _changing_order(
        self, order_id: str, *, may_be_closed: bool = False
    ) -> Iterator[tuple[Account, Order]]:
        with self.lock:
            find = self._named if may_be_closed else self._open_order
            account, order = find(order_id)
            with self._changing(account.api_key.key):
                yield account, order
