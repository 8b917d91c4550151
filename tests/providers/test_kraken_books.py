"""A desk at kraken ends with the books of one at binance: nothing but the dialect is different."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from portfolios.models import Order, Position
from providers.sandbox.books import Fee
from providers.sandbox.books import Order as ExchangeOrder
from providers.sandbox.engine import Engine
from providers.sandbox.kraken import Kraken
from providers.sandbox.kraken_names import ORDER, shown_secret, txid
from providers.sandbox.server import SandboxServer
from tests.desk import KEY, SECRET, Desk

D = Decimal


class KrakenDesk(Desk):
    """A desk whose book names its orders as Kraken does."""

    def __init__(self, sandbox: SandboxServer) -> None:
        credential = {"apiKey": KEY, "secret": shown_secret(SECRET)}
        super().__init__(sandbox, market="kraken", credential=credential)

    def note(
        self, external_id: str, side: str, amount: str, price: str, symbol: str, **row: Any
    ) -> None:
        super().note(txid(ORDER, external_id), side, amount, price, symbol, **row)

    def order(self, order: ExchangeOrder) -> Order:
        return Order.objects.get(account=self.account, external_id=txid(ORDER, order.id))


@pytest.fixture(params=["binance", "kraken"])
def desk(request: pytest.FixtureRequest, db: None) -> Iterator[Desk]:
    engine = Engine()
    engine.add_account(KEY, SECRET)
    is_kraken = request.param == "kraken"
    with SandboxServer(engine, dialect=Kraken(engine) if is_kraken else None) as server:
        at_desk = KrakenDesk(server) if is_kraken else Desk(server)
        at_desk.deposit("EUR", "1000")
        at_desk.open_portfolio("1000")
        yield at_desk


def holdings(desk: Desk) -> dict[str, tuple[Decimal, Decimal, Decimal]]:
    positions = Position.objects.filter(portfolio=desk.portfolio())
    return {x.asset: (x.amount, x.reserved, x.cost) for x in positions if x.amount}


def test_open_orders_reserve_what_they_lock(desk: Desk) -> None:
    desk.buy("100", "1.5")

    desk.sync()

    assert holdings(desk) == {"EUR": (D(1000), D(150), D(0))}


def test_partial_fills_with_fees_then_a_cancel_are_booked_exactly(desk: Desk) -> None:
    order = desk.buy("100", "1.50003")
    desk.sync()
    desk.engine.fill_order(order.id, "33.3333333333333", "1.50001", Fee("EUR", D("0.07500017")))
    desk.sync()
    desk.engine.fill_order(order.id, "11.1111111111111", fee=Fee("EUR", D("0.025")))
    desk.engine.cancel_order(order.id)

    desk.sync()

    stored = desk.order(order)
    assert (stored.status, stored.filled) == ("canceled", D("44.4444444444444"))
    cost = D("33.3333333333333") * D("1.50001") + D("11.1111111111111") * D("1.50003")
    fees = D("0.10000017")
    assert desk.position("EUR").amount == D(1000) - cost - fees
    assert desk.position("ADA").amount == D("44.4444444444444")
    assert desk.unallocated() == desk.position("EUR").amount
    assert desk.differences() == []


def test_a_sale_brings_cash_and_the_books_agree(desk: Desk) -> None:
    desk.hold("ADA", "50", "40")
    order = desk.sell("20", "1.25")
    desk.sync()
    desk.engine.fill_order(order.id, fee=Fee("EUR", D("0.025")))

    run = desk.sync()

    assert run.status == "succeeded"
    assert holdings(desk) == {
        "EUR": (D("1024.975"), D(0), D(0)),
        "ADA": (D(30), D(0), D(24)),
    }
    assert desk.differences() == []


def test_a_loss_that_nothing_explains_is_a_difference(desk: Desk) -> None:
    desk.sync()
    desk.take_away("EUR", "10.01")

    desk.sync()

    (found,) = desk.differences()
    assert (found.asset, found.difference) == ("EUR", D("-10.01"))


def test_an_order_that_is_nowhere_stays_in_the_books(desk: Desk) -> None:
    desk.note("999999", "buy", "10", "1.5", "ADA/EUR")

    run = desk.sync()

    stored = Order.objects.get(account=desk.account)
    assert (stored.status, stored.missing_since is None) == ("open", False)
    assert run.status == "partial"
