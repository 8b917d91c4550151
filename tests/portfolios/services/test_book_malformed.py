"""Every malformed book is refused whole, with one line that begins with the path of what is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from portfolios.models import ExchangeAccount, MarketCredential, Order, Portfolio, Position
from portfolios.services.book import BookError, import_book, read_document

Row = dict[str, Any]
pytestmark = pytest.mark.django_db

ACCOUNT: Row = {
    "label": "main",
    "market": "binance",
    "credential": {"apiKey": "main-key", "secret": "main-secret"},
}
PORTFOLIO: Row = {
    "name": "alpha",
    "account": "main",
    "trading_symbol": "USDT",
    "initial_balance": "1000",
}
POSITION: Row = {"portfolio": "alpha", "asset": "BTC", "amount": "0.5", "cost": "30000"}
ORDER: Row = {
    "portfolio": "alpha",
    "external_id": "123",
    "symbol": "BTC/USDT",
    "side": "buy",
    "type": "limit",
    "price": "50000",
    "amount": "0.01",
}


def book(section: str = "", **change: Any) -> dict[str, list[Row]]:
    """Make a sound book, with one row of one section changed."""
    rows = {"accounts": ACCOUNT, "portfolios": PORTFOLIO, "positions": POSITION, "orders": ORDER}
    return {name: [row | change if name == section else row] for name, row in rows.items()}


def refusal(document: Any) -> str:
    with pytest.raises(BookError) as refused:
        import_book(document)
    message = str(refused.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


def test_the_book_of_these_tests_is_sound() -> None:
    assert import_book(book()).created == 4


def test_nothing_of_a_bad_book_remains() -> None:
    refusal(book("orders", side="short"))

    assert not ExchangeAccount.objects.exists()
    assert not MarketCredential.objects.exists()
    assert not Portfolio.objects.exists()
    assert not Position.objects.exists()
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        # accounts
        ("accounts", {"label": None}, "label: is missing"),
        ("accounts", {"label": "  "}, "label: is empty"),
        ("accounts", {"label": 7}, "label: expected text, was 7"),
        ("accounts", {"label": ["x"]}, "label: expected text, was a list"),
        ("accounts", {"label": "x" * 200}, "label: expected at most 100 characters, were 200"),
        ("accounts", {"label": "a\0b"}, r"label: expected printable text, was 'a\x00b'"),
        ("accounts", {"label": "a\nb"}, r"label: expected printable text, was 'a\nb'"),
        ("accounts", {"label": "\ud800"}, r"label: expected printable text, was '\ud800'"),
        ("accounts", {"label": "a\u202eb"}, r"label: expected printable text, was 'a\u202eb'"),
        ("accounts", {"market": "errors"}, "market: no market of this name is known, was 'errors'"),
        ("accounts", {"market": "base"}, "market: no market of this name is known, was 'base'"),
        ("accounts", {"endpoint": "https://evil.example"}, "endpoint: "),
        ("accounts", {"endpoint": "http://127.0.0.1:1/path"}, "endpoint: "),
        ("accounts", {"endpoint": 1}, "endpoint: expected text, was 1"),
        ("accounts", {"sandbox": "yes"}, "sandbox: expected true or false, was 'yes'"),
        ("accounts", {"market": "kraken", "sandbox": True}, "sandbox: kraken has no test network"),
        ("accounts", {"wallets": ["margin"]}, 'wallets: only ["spot"] can be read so far'),
        ("accounts", {"wallets": "spot"}, 'wallets: only ["spot"] can be read so far'),
        ("accounts", {"interval_seconds": 9}, "interval_seconds: expected a whole number from 10"),
        ("accounts", {"interval_seconds": True}, "interval_seconds: expected a whole number"),
        ("accounts", {"interval_seconds": "60"}, "interval_seconds: expected a whole number"),
        ("accounts", {"interval_seconds": 10**30}, "interval_seconds: expected a whole number"),
        ("accounts", {"lag_seconds": -1}, "lag_seconds: expected a whole number from 0"),
        ("accounts", {"paused": 1}, "paused: expected true or false, was 1"),
        ("accounts", {"colour": "red"}, "colour: is no field of a book"),
        ("accounts", {"not a\nname": 1}, r"'not a\nname': is no field of a book"),
        ("accounts", {"credential": {"apiKey": "k"}}, "credential: main: binance requires secret."),
        ("accounts", {"credential": {}}, "credential: main: binance requires apiKey, secret."),
        ("accounts", {"credential": {"api_key": "k"}}, "credential.api_key: is no field of a book"),
        ("accounts", {"credential": {"apiKey": 5}}, "credential.apiKey: expected text"),
        (
            "accounts",
            {"credential": {"apiKey": "k", "secret": "a\0b"}},
            "credential.secret: expected printable text",
        ),
        (
            "accounts",
            {"market": "okx"},
            "credential: main: okx requires password. Nothing was stored.",
        ),
        # portfolios
        ("portfolios", {"account": "other"}, "account: no account of this label, was 'other'"),
        ("portfolios", {"account": None}, "account: is missing"),
        ("portfolios", {"trading_symbol": ""}, "trading_symbol: is empty"),
        ("portfolios", {"initial_balance": "-1"}, "initial_balance: expected an amount of at"),
        ("portfolios", {"initial_balance": 1000}, "initial_balance: expected an amount as text"),
        ("portfolios", {"mode": "paper"}, "mode: expected one of live, backtest, was 'paper'"),
        # positions
        ("positions", {"portfolio": "beta"}, "portfolio: no portfolio of this name, was 'beta'"),
        ("positions", {"asset": "USDT"}, "asset: the cash of alpha is given by its initial"),
        ("positions", {"asset": "usdt"}, "asset: the cash of alpha is given by its initial"),
        ("positions", {"asset": "B" * 65}, "asset: expected at most 64 characters"),
        ("positions", {"amount": "-0.5"}, "amount: expected an amount of at least 0, was -0.5"),
        ("positions", {"amount": "NaN"}, "amount: Expected a number, was 'NaN'."),
        ("positions", {"amount": "Infinity"}, "amount: Expected a number"),
        ("positions", {"amount": "1,5"}, "amount: Expected a number, was '1,5'."),
        ("positions", {"amount": "\u0665"}, "amount: Expected a number"),
        ("positions", {"amount": ""}, "amount: Expected a number, was ''."),
        ("positions", {"amount": None}, "amount: is missing"),
        (
            "positions",
            {"amount": 0.5},
            'amount: expected an amount as text, such as "0.5", was 0.5',
        ),
        ("positions", {"amount": True}, "amount: expected an amount as text"),
        ("positions", {"amount": "1e9999"}, "amount: Expected a number of at most 72 digits"),
        ("positions", {"amount": "1" * 5000}, "amount: Expected a number, was '111"),
        ("positions", {"cost": {"USDT": "1"}}, "cost: expected an amount as text"),
        # orders
        ("orders", {"portfolio": "beta"}, "portfolio: no portfolio of this name, was 'beta'"),
        ("orders", {"external_id": 123}, "external_id: expected text, was 123"),
        ("orders", {"external_id": ""}, "external_id: is missing, and so is client_order_id"),
        ("orders", {"external_id": "1" * 129}, "external_id: expected at most 128 characters"),
        ("orders", {"symbol": "BTCUSDT"}, "symbol: expected a symbol such as BTC/USDT"),
        ("orders", {"symbol": "BTC/"}, "symbol: expected a symbol such as BTC/USDT"),
        ("orders", {"symbol": "A/B/C"}, "symbol: expected a symbol such as BTC/USDT"),
        ("orders", {"symbol": "B" * 21 + "/USDT"}, "symbol: expected a symbol such as BTC/USDT"),
        ("orders", {"side": "SHORT"}, "side: expected one of buy, sell, was 'SHORT'"),
        ("orders", {"type": "iceberg"}, "type: expected one of limit, market, stop, stop_limit"),
        ("orders", {"price": "-1"}, "price: expected an amount of at least 0"),
        ("orders", {"amount": "0"}, "amount: is zero: nobody orders nothing"),
        ("orders", {"filled": "0.02"}, "filled: is more than the amount of 0.01, was 0.02"),
        ("orders", {"status": "done"}, "status: expected one of created, open, closed, canceled"),
        ("orders", {"created_at": "yesterday"}, "created_at: expected a time such as 2026-11-22T"),
        ("orders", {"created_at": "2026-02-30T08:00:00Z"}, "created_at: expected a time such as"),
        ("orders", {"created_at": "0001-01-01T00:00:00+14:00"}, "created_at: expected a time"),
        ("orders", {"created_at": 1_700_000_000}, "created_at: expected text, was 1700000000"),
    ],
)
def test_a_bad_value_is_refused_with_its_path(
    section: str, change: dict[str, Any], message: str
) -> None:
    assert refusal(book(section, **change)).startswith(f"$.{section}[0].{message}")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "$: expected an object, was a list"),
        ("book", "$: expected an object, was 'book'"),
        (None, "$: expected an object, was null"),
        ({"accounts": {}}, "$.accounts: expected a list, was an object"),
        ({"accounts": ["main"]}, "$.accounts[0]: expected an object, was 'main'"),
        ({"account": []}, "$.account: is no field of a book"),
    ],
)
def test_a_document_of_another_shape_is_refused(document: Any, message: str) -> None:
    assert refusal(document) == message


def test_an_amount_written_as_a_json_number_is_refused_and_not_rounded() -> None:
    text = json.dumps(book()).replace('"0.5"', "0.50000000000000000001")

    assert refusal(read_document(text.encode())) == (
        '$.positions[0].amount: expected an amount as text, such as "0.5", was 0.50000000000000000001'
    )


@pytest.mark.parametrize(
    ("section", "name"),
    [
        ("accounts", "label"),
        ("portfolios", "name"),
        ("positions", "asset"),
        ("orders", "external_id"),
    ],
)
def test_the_same_thing_twice_in_one_document_is_refused(section: str, name: str) -> None:
    document = book()
    document[section] *= 2

    assert refusal(document) == f"$.{section}[1].{name}: is given twice in this document"


def test_an_unacknowledged_order_twice_in_one_document_is_refused() -> None:
    document = book("orders", external_id=None, client_order_id="a-1")
    document["orders"] *= 2

    assert refusal(document) == "$.orders[1].client_order_id: is given twice in this document"


def test_amounts_whose_product_is_too_long_are_refused() -> None:
    many = "9" * 60

    assert refusal(book("orders", price=many, amount=many)).startswith("$: ")


@pytest.mark.parametrize("credential", ["a-lone-secret", ["a-lone-secret"], 5])
def test_a_misplaced_secret_is_not_quoted(credential: Any) -> None:
    assert refusal(book("accounts", credential=credential)) == (
        "$.accounts[0].credential: expected an object"
    )


def test_a_value_is_quoted_in_part_only() -> None:
    message = refusal(book("accounts", market="m" * 50))

    assert message.endswith("was '" + "m" * 50 + "'")
    assert "…" in refusal(book("orders", side="s" * 100))
