"""A trader's desk: one account whose books and whose place at the practice exchange are set up together."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from portfolios.models import Discrepancy, ExchangeAccount, Order, Portfolio, Position, SyncRun
from portfolios.services.book import import_book
from portfolios.services.manual_sync import sync_now
from providers.sandbox.books import Instrument
from providers.sandbox.books import Order as ExchangeOrder
from providers.sandbox.server import SandboxServer

KEY = "practice-key"
SECRET = "practice-secret"


class Desk:
    def __init__(self, sandbox: SandboxServer, **account: Any) -> None:
        self.server = sandbox
        self.engine = sandbox.engine
        for symbol in ("ADA/EUR", "DOT/EUR", "BTC/EUR", "BNB/EUR"):
            self.engine.add_instrument(
                Instrument(symbol, Decimal("0.00001"), Decimal("0.0000000000001"), Decimal(1))
            )
        self.label = account.pop("label", "desk")
        row = {
            "label": self.label,
            "market": "binance",
            "credential": {"apiKey": KEY, "secret": SECRET},
            "endpoint": sandbox.url,
            "lag_seconds": 0,
            "grace_seconds": 0,
        }
        import_book({"accounts": [row | account]})

    @property
    def account(self) -> ExchangeAccount:
        return ExchangeAccount.objects.get(label=self.label)

    def deposit(self, asset: str, amount: str) -> None:
        self.engine.deposit(KEY, asset, amount)

    def take_away(self, asset: str, amount: str) -> None:
        """Lower a balance without any record that says why."""
        self.engine.adjust(KEY, asset, f"-{amount}")

    def open_portfolio(
        self, initial_balance: str | None = None, *, name: str = "alpha", **values: Any
    ) -> None:
        row = {
            "name": name,
            "account": self.label,
            "trading_symbol": "EUR",
            "initial_balance": initial_balance,
        }
        import_book({"portfolios": [row | values]})

    def hold(self, asset: str, amount: str, cost: str, *, portfolio: str = "alpha") -> None:
        self.deposit(asset, amount)
        row = {"portfolio": portfolio, "asset": asset, "amount": amount, "cost": cost}
        import_book({"positions": [row]})

    def buy(self, amount: str, price: str, symbol: str = "ADA/EUR", **row: Any) -> ExchangeOrder:
        order = self.engine.buy(KEY, symbol, amount, price)
        self.note(order.id, "buy", amount, price, symbol, **row)
        return order

    def buy_often(self, times: int, amount: str, price: str, symbol: str = "ADA/EUR") -> None:
        """Place as many orders, all the same, and write them into the book at once."""
        orders = [self.engine.buy(KEY, symbol, amount, price) for _order in range(times)]
        rows = [self._row(order.id, "buy", amount, price, symbol) for order in orders]
        import_book({"orders": rows})

    def sell(self, amount: str, price: str, symbol: str = "ADA/EUR", **row: Any) -> ExchangeOrder:
        order = self.engine.sell(KEY, symbol, amount, price)
        self.note(order.id, "sell", amount, price, symbol, **row)
        return order

    def note(
        self, external_id: str, side: str, amount: str, price: str, symbol: str, **row: Any
    ) -> None:
        """Write an order into the book."""
        import_book({"orders": [self._row(external_id, side, amount, price, symbol) | row]})

    def _row(
        self, external_id: str, side: str, amount: str, price: str, symbol: str
    ) -> dict[str, Any]:
        return {
            "portfolio": "alpha",
            "external_id": external_id,
            "symbol": symbol,
            "side": side,
            "amount": amount,
            "price": price,
        }

    def sync(self) -> SyncRun:
        [run] = sync_now([self.account])
        return run

    def portfolio(self, name: str = "alpha") -> Portfolio:
        return Portfolio.objects.get(name=name)

    def position(self, asset: str, portfolio: str | None = "alpha") -> Position:
        owner = None if portfolio is None else self.portfolio(portfolio)
        return Position.objects.get(account=self.account, portfolio=owner, asset=asset)

    def unallocated(self, portfolio: str = "alpha") -> Decimal:
        return self.position("EUR", portfolio).available

    def order(self, order: ExchangeOrder) -> Order:
        return Order.objects.get(account=self.account, external_id=order.id)

    def differences(self) -> list[Discrepancy]:
        return list(self.account.discrepancies.filter(state__in=Discrepancy.LIVE))

    def requests(self) -> list[str]:
        return [f"{request.method} {request.path}" for request in self.server.requests]
