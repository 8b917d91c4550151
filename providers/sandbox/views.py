"""An account as the exchange shows it, which may be as it was a while ago."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from providers.sandbox.books import Account, Balance, Deposit, Fill, Order, Withdrawal
from providers.sandbox.engine import Engine
from providers.sandbox.errors import UnknownOrder
from providers.sandbox.tables import Listing


@dataclass(frozen=True, slots=True)
class View:
    """Each list as its lag lets it be seen.

    Parameters
    ----------
    age : timedelta
        How long ago everything is shown as it was, on top of the lags.
    """

    engine: Engine
    key: str
    age: timedelta = timedelta(0)

    def balances(self) -> dict[str, Balance]:
        with self.engine.lock:
            return dict(self._books(Listing.BALANCES).balances)

    def open_orders(self, symbol: str = "") -> list[Order]:
        return [x for x in self._orders(Listing.OPEN_ORDERS, symbol) if x.is_open]

    def orders(self, symbol: str = "") -> list[Order]:
        return self._orders(Listing.ORDERS, symbol)

    def order(self, order_id: str) -> Order:
        with self.engine.lock:
            order = self._books(Listing.ORDER).orders.get(order_id)
            if order is None or self.engine.is_forgotten(order):
                raise UnknownOrder(f"No order {order_id}.")
            return order

    def single_orders(self, symbol: str) -> list[Order]:
        """Those that can be asked for one at a time, oldest first."""
        return self._orders(Listing.ORDER, symbol)

    def fills(self, symbol: str = "") -> list[Fill]:
        with self.engine.lock:
            return [x for x in self._books(Listing.FILLS).fills if symbol in ("", x.symbol)]

    def deposits(self) -> list[Deposit]:
        with self.engine.lock:
            return [*self._books(Listing.FLOWS).deposits]

    def withdrawals(self) -> list[Withdrawal]:
        with self.engine.lock:
            return [*self._books(Listing.FLOWS).withdrawals.values()]

    def flow_books(self) -> Account:
        """Hand out what a ledger is made of: balances, fills and movements of one moment."""
        return self._books(Listing.FLOWS)

    def _orders(self, listing: Listing, symbol: str) -> list[Order]:
        with self.engine.lock:
            return [
                order
                for order in self._books(listing).orders.values()
                if symbol in ("", order.symbol) and not self.engine.is_forgotten(order)
            ]

    def _books(self, listing: Listing) -> Account:
        return self.engine.shown(self.key, listing, self.age)
