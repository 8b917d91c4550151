"""Names, markets and balances as Kraken tells them, asked by ccxt's own unmodified class."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import ccxt
import pytest

from providers.sandbox.engine import Engine
from providers.sandbox.kraken import Kraken
from providers.sandbox.kraken_names import (
    ORDER,
    TRADE,
    asset_id,
    number_of,
    pair_id,
    pair_name,
    shown_secret,
    txid,
)
from providers.sandbox.server import SandboxServer
from tests.providers.sandbox.exchange import KEY, SECRET, Clock, milliseconds
from tests.providers.sandbox.kraken_exchange import BTC, ask, call

D = Decimal


# Names


@pytest.mark.parametrize("number", ["0", "1", "10000001", str(2**70)])
def test_an_id_can_be_told_from_its_spelling(number: str) -> None:
    assert number_of(ORDER, txid(ORDER, number)) == number


def test_ids_that_follow_each_other_do_not_look_alike() -> None:
    spelled = [txid(ORDER, str(number)) for number in (10_000_001, 10_000_002)]

    assert len({text[:6] for text in spelled}) == 2


@pytest.mark.parametrize("spelled", ["", "1", "OABCDE-12345-ABCDEF", txid(TRADE, "1")])
def test_what_is_no_id_of_an_order_is_none(spelled: str) -> None:
    assert number_of(ORDER, spelled) is None


@pytest.mark.parametrize(
    ("asset", "spelled"),
    [
        ("BTC", "XXBT"),
        ("ETH", "XETH"),
        ("DOGE", "XXDG"),
        ("EUR", "ZEUR"),
        ("ADA", "ADA"),
        ("BTC.F", "XBT.F"),
        ("DOT.F", "DOT.F"),
    ],
)
def test_an_asset_has_its_own_spelling(asset: str, spelled: str) -> None:
    assert asset_id(asset) == spelled


@pytest.mark.parametrize(
    ("symbol", "id_", "name"),
    [
        ("BTC/EUR", "XXBTZEUR", "XBTEUR"),
        ("BTC/USDT", "XBTUSDT", "XBTUSDT"),
        ("ADA/EUR", "ADAEUR", "ADAEUR"),
    ],
)
def test_a_pair_has_two_names(symbol: str, id_: str, name: str) -> None:
    assert (pair_id(symbol), pair_name(symbol)) == (id_, name)


@pytest.fixture
def server(engine: Engine) -> Iterator[SandboxServer]:
    with SandboxServer(engine, dialect=Kraken(engine)) as running:
        yield running


# Markets


def test_it_lists_its_instruments_with_their_steps(server: SandboxServer) -> None:
    markets = ask(server, lambda x: x.load_markets())

    assert sorted(markets) == ["BNB/USDT", BTC, "ETH/USDT"]
    assert D(markets[BTC]["precision"]["amount"]) == D("0.00001")
    assert D(markets[BTC]["precision"]["price"]) == D("0.01")


def test_its_assets_have_everybodys_names_in_ccxt(server: SandboxServer) -> None:
    currencies = ask(server, lambda x: x.fetch_currencies())

    assert {code: row["id"] for code, row in currencies.items()} == {
        "BNB": "BNB",
        "BTC": "XXBT",
        "ETH": "XETH",
        "USDT": "USDT",
    }


def test_a_pair_can_be_asked_for_by_either_name(server: SandboxServer) -> None:
    pairs = ask(server, lambda x: x.publicGetAssetPairs({"pair": "XBTUSDT"}))

    assert [*pairs["result"]] == ["XBTUSDT"]


def test_an_unknown_pair_is_refused(server: SandboxServer) -> None:
    with pytest.raises(ccxt.BadSymbol):
        ask(server, lambda x: x.publicGetAssetPairs({"pair": "NOPE"}))


def test_an_unknown_asset_is_refused(server: SandboxServer) -> None:
    with pytest.raises(ccxt.BadSymbol):
        ask(server, lambda x: x.publicGetAssets({"asset": "NOPE"}))


def test_it_tells_its_time(server: SandboxServer, clock: Clock) -> None:
    clock.ahead = timedelta(hours=1)

    told = ask(server, lambda x: x.fetch_time())

    assert abs(told - milliseconds(clock())) <= 2_000


def test_the_synchronous_class_is_served_too(server: SandboxServer) -> None:
    exchange = ccxt.kraken(
        {"apiKey": KEY, "secret": shown_secret(SECRET), "enableRateLimit": False}
    )
    exchange.number = str
    exchange.urls["api"] = {"public": server.url, "private": server.url}
    try:
        total = exchange.fetch_balance()["total"]
    finally:
        exchange.session.close()

    assert total["USDT"] == "100000.123456789012345678"


# Balances


def test_balances_are_totals_with_what_orders_hold(server: SandboxServer, engine: Engine) -> None:
    engine.buy(KEY, BTC, "0.12345", "80000.01")

    balance = ask(server, lambda x: x.fetch_balance())

    assert balance["info"]["result"]["USDT"] == {
        "balance": "100000.123456789012345678",
        "hold_trade": "9876.0012345000",
    }
    assert D(balance["free"]["USDT"]) == D("90124.122222289012345678")


def test_what_earns_has_a_code_of_its_own(server: SandboxServer, engine: Engine) -> None:
    engine.deposit(KEY, "BTC.F", "0.25")

    balance = ask(server, lambda x: x.fetch_balance())

    assert "XBT.F" in balance["info"]["result"]
    assert (D(balance["BTC.F"]["total"]), D(balance["BTC"]["total"])) == (
        D("0.25"),
        D("2.00000001"),
    )


def test_the_plain_balance_has_totals_only(server: SandboxServer) -> None:
    assert call(server, "Balance")["result"]["BNB"] == "3.0000000000"
