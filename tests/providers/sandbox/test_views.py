"""Lags, as a client meets them in either dialect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from providers.sandbox.books import Fee
from providers.sandbox.engine import Engine
from providers.sandbox.history import Lag
from providers.sandbox.kraken import Kraken
from providers.sandbox.kraken_names import ORDER, txid
from providers.sandbox.server import SandboxServer
from providers.sandbox.tables import Listing
from tests.providers.sandbox import kraken_exchange
from tests.providers.sandbox.exchange import BTC, KEY, Clock, ask

Read = Callable[[Any], Awaitable[Any]]
READS: dict[Listing, Read] = {
    Listing.BALANCES: lambda x: x.fetch_balance(),
    Listing.OPEN_ORDERS: lambda x: x.fetch_open_orders(BTC),
    Listing.FILLS: lambda x: x.fetch_my_trades(BTC),
    Listing.FLOWS: lambda x: x.fetch_deposits(),
}


@pytest.fixture
def kraken(engine: Engine) -> Iterator[SandboxServer]:
    with SandboxServer(engine, dialect=Kraken(engine)) as running:
        yield running


@pytest.fixture(params=["binance", "kraken"])
def read(
    request: pytest.FixtureRequest, server: SandboxServer, kraken: SandboxServer
) -> Callable[[Read], Any]:
    if request.param == "binance":
        return lambda question: ask(server, question)
    return lambda question: kraken_exchange.ask(kraken, question)


def let_much_happen(engine: Engine) -> None:
    order = engine.buy(KEY, BTC, "0.1", "80000")
    engine.fill_order(order.id, "0.04", fee=Fee("USDT", Decimal(1)))
    engine.deposit(KEY, "BTC", "1")


def told(listing: Listing, answer: Any) -> Any:
    """Keep what does not change with the time of asking."""
    return answer["total"] if listing is Listing.BALANCES else [x["id"] for x in answer]


@pytest.mark.parametrize("listing", READS)
def test_a_list_shows_a_change_only_after_its_lag(
    read: Callable[[Read], Any],
    server: SandboxServer,
    kraken: SandboxServer,
    engine: Engine,
    clock: Clock,
    listing: Listing,
) -> None:
    engine.set_lag(KEY, listing, Lag(30))
    before = told(listing, read(READS[listing]))
    let_much_happen(engine)

    soon = told(listing, read(READS[listing]))
    clock.ahead = timedelta(seconds=31)
    for exchange in (server, kraken):
        exchange.dialect.clock_offset = -clock.ahead  # what ccxt signs with stays the time of now
    later = told(listing, read(READS[listing]))

    assert soon == before
    assert later != before


@pytest.mark.parametrize("listing", READS)
def test_the_other_lists_do_not_wait(
    read: Callable[[Read], Any], engine: Engine, listing: Listing
) -> None:
    for other in set(Listing) - {listing}:
        engine.set_lag(KEY, other, Lag(30))
    before = told(listing, read(READS[listing]))

    let_much_happen(engine)

    assert told(listing, read(READS[listing])) != before


def test_a_single_order_may_be_denied_while_it_is_listed(
    server: SandboxServer, kraken: SandboxServer, engine: Engine
) -> None:
    engine.set_lag(KEY, Listing.ORDER, Lag(30))
    order = engine.buy(KEY, BTC, "0.1", "80000")

    assert [x["id"] for x in ask(server, READS[Listing.OPEN_ORDERS])] == [order.id]
    with pytest.raises(ccxt.OrderNotFound):
        ask(server, lambda x: x.fetch_order(order.id, BTC))
    with pytest.raises(ccxt.BaseError, match="Unknown order"):
        kraken_exchange.ask(kraken, lambda x: x.fetch_order(txid(ORDER, order.id)))


def test_an_order_that_ended_may_still_be_listed_as_open(
    server: SandboxServer, engine: Engine
) -> None:
    order = engine.buy(KEY, BTC, "0.1", "80000")
    engine.set_lag(KEY, Listing.OPEN_ORDERS, Lag(30))
    engine.cancel_order(order.id)

    assert [x["id"] for x in ask(server, READS[Listing.OPEN_ORDERS])] == [order.id]
    assert ask(server, lambda x: x.fetch_order(order.id, BTC))["status"] == "canceled"
