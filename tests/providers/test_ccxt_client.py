from __future__ import annotations

import asyncio
import decimal
import io
import logging
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from providers import catalogue
from providers.ccxt_client import (
    HardenedExchange,
    exchange_class,
    make_exchange,
    translated_errors,
)
from providers.credentials import Credentials
from providers.errors import ExchangeUnavailable, UnexpectedReport, WriteRefused
from providers.mapping import UNREADABLE
from providers.market_options import market_options
from providers.transport import Transport
from tests.providers.accounts import PRACTICE
from tests.providers.stub_exchange import Answer, StubExchange, json_answer

SYMBOL = "BTC/USDT"
INSTRUMENT = {
    "id": "BTCUSDT",
    "symbol": SYMBOL,
    "base": "BTC",
    "baseId": "BTC",
    "quote": "USDT",
    "quoteId": "USDT",
    "type": "spot",
    "spot": True,
    "precision": {"amount": "0.00001", "price": "0.01"},
    "info": {"orderTypes": ["LIMIT"]},
}


def on_stub(
    stub: StubExchange,
    use: Callable[[HardenedExchange], Awaitable[Any]],
    market: str = "binance",
    credentials: Credentials = PRACTICE,
) -> Any:
    """Await `use` with an exchange whose requests all reach `stub`."""

    async def main() -> Any:
        transport = Transport()
        exchange = make_exchange(catalogue.market(market), transport.session(stub.url), credentials)
        try:
            if market == "binance":
                exchange.set_markets([exchange.safe_market_structure(INSTRUMENT)])
            with translated_errors(market):
                return await use(exchange)
        finally:
            await exchange.close()
            await transport.close()

    return asyncio.run(main())


def a_stub(**answers: Answer) -> StubExchange:
    return StubExchange({f"/api/v3/{path}": answer for path, answer in answers.items()})


# F54
def test_an_unquoted_number_keeps_its_digits() -> None:
    body = (
        b'{"balances": [{"asset": "BTC", "free": 3526246938.98713386, '
        b'"locked": 1.2345678901234567890123456}]}'
    )
    with a_stub(account=Answer(body)) as stub:
        balance = on_stub(stub, lambda exchange: exchange.fetch_balance())

    assert balance["BTC"]["free"] == "3526246938.98713386"
    assert balance["BTC"]["used"] == "1.2345678901234567890123456"
    assert balance["BTC"]["total"] == "3526246940.2217017501234567890123456"


# F33, F54
def test_an_id_longer_than_64_bits_keeps_its_digits() -> None:
    body = b'[{"symbol": "BTCUSDT", "orderId": 123456789012345678901234, "side": "BUY"}]'
    with a_stub(openOrders=Answer(body)) as stub:
        (order,) = on_stub(stub, lambda exchange: exchange.fetch_open_orders())

    assert order["id"] == "123456789012345678901234"


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_a_constant_that_is_no_json_is_refused(constant: str) -> None:
    body = f'{{"balances": [{{"asset": "BTC", "free": {constant}}}]}}'
    with a_stub(account=Answer(body.encode())) as stub, pytest.raises(UnexpectedReport):
        on_stub(stub, lambda exchange: exchange.fetch_balance())


def test_deep_nesting_is_refused() -> None:
    with a_stub(account=Answer(b"[" * 100_000)) as stub, pytest.raises(UnexpectedReport):
        on_stub(stub, lambda exchange: exchange.fetch_balance())


@pytest.mark.parametrize("status", [402, 406, 413, 423, 425, 505, 520, 523, 524, 527, 529])
def test_a_status_that_ccxt_does_not_know_is_an_error(status: int) -> None:
    answer = Answer(b"<html>", status)
    with a_stub(account=answer) as stub, pytest.raises((ExchangeUnavailable, UnexpectedReport)):
        on_stub(stub, lambda exchange: exchange.fetch_balance())


WRITES: list[Callable[[HardenedExchange], Awaitable[Any]]] = [
    lambda exchange: exchange.create_order(SYMBOL, "limit", "buy", 1, 1),
    lambda exchange: exchange.cancel_order("1", SYMBOL),
    lambda exchange: exchange.withdraw("BTC", 1, "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"),
    lambda exchange: exchange.transfer("BTC", 1, "spot", "funding"),
]


@pytest.mark.parametrize("write", WRITES)
def test_a_write_is_refused_before_any_byte_of_it_is_sent(
    write: Callable[[HardenedExchange], Awaitable[Any]],
) -> None:
    with a_stub() as stub:
        with pytest.raises(WriteRefused):
            on_stub(stub, write)
        assert stub.received == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_request_past_the_gate_is_refused_too(method: str) -> None:
    with a_stub() as stub:
        with pytest.raises(WriteRefused):
            on_stub(stub, lambda exchange: exchange.fetch("https://api.binance.com/x", method))
        assert stub.received == []


def test_reading_with_a_key_approves_no_fee_on_hyperliquid() -> None:
    credentials = Credentials({"walletAddress": "0x" + "1" * 40, "privateKey": "0x" + "2" * 64})

    async def use(exchange: HardenedExchange) -> tuple[Any, Any]:
        await exchange.initialize_client()
        return exchange.privateKey, exchange.walletAddress

    with StubExchange({}) as stub:
        private_key, address = on_stub(stub, use, "hyperliquid", credentials)
        assert set(stub.paths()) <= {"/info"}

    assert not private_key
    assert address == "0x" + "1" * 40


def test_only_required_credentials_and_our_options_reach_ccxt() -> None:
    credentials = Credentials({"apiKey": "k", "secret": "s", "password": "p", "privateKey": "x"})

    exchange = make_exchange(catalogue.market("binance"), None, credentials)

    assert (exchange.apiKey, exchange.secret) == ("k", "s")
    assert not exchange.password
    assert not exchange.privateKey
    assert exchange.options.items() >= {"defaultType": "spot", "maxRetriesOnFailure": 0}.items()


def test_what_ccxt_changes_in_its_options_stays_with_that_exchange() -> None:
    market_options("binance")["fetchMarkets"]["types"].append("linear")

    assert market_options("binance")["fetchMarkets"] == {"types": ["spot"]}


def test_a_class_is_made_once() -> None:
    assert exchange_class("kraken") is exchange_class("kraken")


def test_a_further_exchange_of_a_class_has_all_names_that_ccxt_gives() -> None:
    further = [make_exchange(catalogue.market("okx"), None, Credentials({})) for _ in range(2)][1]

    assert {*dir(ccxt.async_support.okx())} - {*object.__dir__(further)} == set()
    assert further.fetchBalance == further.fetch_balance


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        # ccxt says that a closed order is filled.
        ({"status": "closed", "amount": "2"}, {"filled": None, "remaining": None, "cost": None}),
        (
            {"status": "closed", "amount": "2", "filled": "0.5"},
            {"filled": "0.5", "remaining": "1.5"},
        ),
        ({"status": "canceled", "amount": "2", "remaining": "2"}, {"filled": "0"}),
        # ccxt takes the limit for the price that was paid.
        ({"status": "open", "amount": "2", "filled": "1", "price": "10"}, {"cost": None}),
        ({"status": "open", "amount": "2", "filled": "0", "price": "10"}, {"cost": "0"}),
        ({"status": "open", "amount": "2", "filled": "1", "cost": "9"}, {"average": "9"}),
        ({"status": "open", "amount": "2", "filled": "1", "average": "9"}, {"cost": "9"}),
    ],
)
def test_ccxt_makes_up_no_amount(raw: dict[str, Any], told: dict[str, Any]) -> None:
    exchange = make_exchange(catalogue.market("binance"), None, Credentials())
    order = {"id": "1", "symbol": SYMBOL, "side": "buy", "type": "limit", "price": None, **raw}

    parsed = exchange.safe_order(order)

    assert {name: parsed[name] for name in told} == told


def test_rounding_is_ours_again_after_ccxt() -> None:
    exchange = make_exchange(catalogue.market("binance"), None, Credentials())

    with translated_errors("binance"):
        exchange.decimal_to_precision("0.125", ccxt.ROUND, 2, ccxt.DECIMAL_PLACES)
        assert decimal.getcontext().rounding == decimal.ROUND_HALF_UP

    assert Decimal("0.125").quantize(Decimal("0.01")) == Decimal("0.12")


def test_ccxt_logs_nothing_even_where_everything_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    ccxt_logger = logging.getLogger("ccxt.base.exchange")
    ccxt_logger.addHandler(handler)
    ccxt_logger.setLevel(logging.DEBUG)
    try:
        with a_stub(account=json_answer({"balances": []})) as stub:
            on_stub(stub, lambda exchange: exchange.fetch_balance())
            assert stub.received[-1].headers["X-MBX-APIKEY"] == "practice-key"
    finally:
        ccxt_logger.setLevel(logging.NOTSET)
        ccxt_logger.removeHandler(handler)

    assert "practice-key" not in caplog.text + stream.getvalue()
    assert "signature" not in caplog.text + stream.getvalue()


def test_a_row_that_no_parser_can_read_outlives_the_filter_by_time() -> None:
    exchange = exchange_class("kraken")({})

    (trade,) = exchange.parse_trades([7], None, 1_790_000_000_000, 10)
    (order,) = exchange.parse_orders([7], None, 1_790_000_000_000, 10)

    assert UNREADABLE in trade
    assert UNREADABLE in order
