from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portfolios.models import ExchangeAccount, LedgerEntry, Order, Portfolio, Position
from portfolios.services.book import BookError, ImportResult, import_book
from tests.desk import Desk

pytestmark = pytest.mark.django_db

D = Decimal
ACCOUNT = {"label": "main", "market": "binance"}
PORTFOLIO = {"name": "alpha", "account": "main", "trading_symbol": "USDT"}
POSITION = {"portfolio": "alpha", "asset": "BTC", "amount": "0.5", "cost": "30000"}
ORDER = {
    "portfolio": "alpha",
    "external_id": "123",
    "symbol": "BTC/USDT",
    "side": "buy",
    "price": "50000",
    "amount": "0.01",
}
BOOK = {
    "accounts": [ACCOUNT],
    "portfolios": [PORTFOLIO],
    "positions": [POSITION],
    "orders": [ORDER],
}


def account(**change: Any) -> ImportResult:
    return import_book({"accounts": [ACCOUNT | change]})


def portfolio(**change: Any) -> ImportResult:
    return import_book({"portfolios": [PORTFOLIO | change]})


def position(**change: Any) -> ImportResult:
    return import_book({"positions": [POSITION | change]})


def order(**change: Any) -> ImportResult:
    return import_book({"orders": [ORDER | change]})


def test_an_equal_import_changes_nothing() -> None:
    import_book(BOOK)
    before = _everything()

    assert import_book(BOOK) == ImportResult(created=0, updated=0, unchanged=4)
    assert _everything() == before


def _everything() -> list[Any]:
    models = (ExchangeAccount, Portfolio, Position, Order, LedgerEntry)
    return [list(model.objects.order_by("pk").values()) for model in models]


def test_an_empty_book_is_a_book() -> None:
    assert import_book({}) == ImportResult()


# --- accounts


def test_an_account_has_the_defaults_of_the_document() -> None:
    account()

    stored = ExchangeAccount.objects.get()
    assert (stored.wallets, stored.interval_seconds, stored.endpoint) == (["spot"], 300, "")
    assert (stored.sandbox, stored.paused) == (False, False)
    assert (stored.lag_seconds, stored.grace_seconds) == (None, None)


@pytest.mark.parametrize("market", ["binance", "BINANCE", " Binance "])
def test_f04_a_market_is_one_in_every_spelling(market: str) -> None:
    account()

    assert account(market=market).unchanged == 1


def test_f58_the_test_network_is_used_where_there_is_one() -> None:
    account(sandbox=True)

    assert ExchangeAccount.objects.get().sandbox


def test_an_endpoint_is_stored_in_one_spelling() -> None:
    account(endpoint="http://127.0.0.1:9000/")

    assert ExchangeAccount.objects.get().endpoint == "http://127.0.0.1:9000"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"market": "kraken"},
            "market: cannot be changed: binance is stored, kraken was given",
        ),
        (
            {"endpoint": "http://127.0.0.1:9001"},
            "endpoint: cannot be changed: nothing is stored, http://127.0.0.1:9001 was given",
        ),
        ({"sandbox": True}, "sandbox: cannot be changed: False is stored, True was given"),
    ],
)
def test_what_an_account_is_cannot_be_changed(change: dict[str, Any], message: str) -> None:
    account()

    with pytest.raises(BookError) as refused:
        account(**change)

    assert str(refused.value) == f"$.accounts[0].{message}"


def test_how_an_account_is_synced_can_be_changed() -> None:
    account()

    assert account(interval_seconds=60, paused=True, lag_seconds=2).updated == 1
    stored = ExchangeAccount.objects.get()
    assert (stored.interval_seconds, stored.paused, stored.lag_seconds) == (60, True, 2)


def test_what_a_document_does_not_name_stays() -> None:
    account(interval_seconds=60, paused=True, endpoint="http://127.0.0.1:9000")

    assert account().unchanged == 1
    assert ExchangeAccount.objects.get().paused


def test_a_shorter_interval_counts_at_once() -> None:
    account(interval_seconds=86_400)
    tomorrow = timezone.now() + timedelta(days=1)
    ExchangeAccount.objects.update(next_sync_at=tomorrow)

    account(interval_seconds=60)

    next_sync_at = ExchangeAccount.objects.get().next_sync_at
    assert next_sync_at is not None
    assert next_sync_at < timezone.now() + timedelta(seconds=61)


def test_an_import_leaves_the_lease_of_a_running_sync_alone() -> None:
    account()
    lease = timezone.now() + timedelta(seconds=30)
    with CaptureQueriesContext(connection) as queries:
        ExchangeAccount.objects.update(lease_fence=7, lease_expires_at=lease)
        account(interval_seconds=60)

    updates = [query["sql"] for query in queries if query["sql"].startswith("UPDATE")]
    assert all("lease" not in sql for sql in updates[1:])
    assert ExchangeAccount.objects.get().lease_expires_at == lease


def test_an_import_locks_the_accounts_before_it_writes() -> None:
    import_book(BOOK)
    with CaptureQueriesContext(connection) as queries:
        import_book(BOOK)

    first = next(query["sql"] for query in queries if query["sql"].startswith("SELECT"))
    assert 'FROM "portfolios_exchangeaccount"' in first
    assert ("FOR UPDATE" in first) == (connection.vendor == "postgresql")


# --- portfolios


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"account": "other"}, "account: cannot be changed: main is stored, other was given"),
        (
            {"trading_symbol": "EUR"},
            "trading_symbol: cannot be changed: USDT is stored, EUR was given",
        ),
    ],
)
def test_what_a_portfolio_is_cannot_be_changed(change: dict[str, Any], message: str) -> None:
    import_book({"accounts": [ACCOUNT, ACCOUNT | {"label": "other"}]})
    portfolio()

    with pytest.raises(BookError) as refused:
        portfolio(**change)

    assert str(refused.value) == f"$.portfolios[0].{message}"


def test_an_initial_balance_may_be_mended_until_the_opening() -> None:
    account()
    portfolio(initial_balance="1000")

    assert portfolio(initial_balance="900").updated == 1
    assert Portfolio.objects.get().initial_balance == D(900)


def test_f43_a_portfolio_can_be_made_a_backtest() -> None:
    account()
    portfolio()

    assert portfolio(mode="backtest").updated == 1


# --- positions


@pytest.fixture
def books() -> None:
    import_book({"accounts": [ACCOUNT], "portfolios": [PORTFOLIO]})


@pytest.mark.parametrize("amount", ["12345678901234.567890123456789", "0.000000000000001", "1E-18"])
def test_f54_an_amount_is_stored_to_the_digit(books: None, amount: str) -> None:
    position(amount=amount)

    assert Position.objects.get().amount == D(amount)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"amount": "0.6"}, "amount: cannot be changed: 0.5 is stored, 0.6 was given"),
        ({"cost": "1"}, "cost: cannot be changed: 30000 is stored, 1 was given"),
    ],
)
def test_a_position_cannot_be_changed(books: None, change: dict[str, Any], message: str) -> None:
    position()

    with pytest.raises(BookError) as refused:
        position(**change)

    assert str(refused.value) == f"$.positions[0].{message}"


def test_the_same_amount_in_another_spelling_is_no_change(books: None) -> None:
    position()

    assert position(amount="0.500", cost="3e4").unchanged == 1


def test_a_position_of_nothing_is_imported_once(books: None) -> None:
    nothing = {"amount": "0", "cost": "0"}

    assert [position(**nothing).created, position(**nothing).unchanged] == [1, 1]


def test_a_position_may_follow_the_order_that_sells_it(books: None) -> None:
    order(side="sell", amount="0.1")

    position()

    held = Position.objects.get(asset="BTC")
    assert (held.amount, held.reserved) == (D("0.5"), D("0.1"))


def test_the_opening_of_a_position_may_be_imported_again_after_it_has_moved(desk: Desk) -> None:
    desk.deposit("EUR", "1000")
    desk.open_portfolio("1000")
    desk.hold("ADA", "50", "50")
    bought = desk.buy("100", "1")
    desk.engine.fill_order(bought.id)
    desk.sync()

    row = {"portfolio": "alpha", "asset": "ADA", "amount": "50", "cost": "50"}
    assert import_book({"positions": [row]}).unchanged == 1
    assert desk.position("ADA").amount == D(150)


# --- orders


@pytest.mark.parametrize(
    "external_id",
    ["000123", "123456789012345678901234", "0b9e6b5e-3c1b-4f0e-9d8e-0f5c1d2a3b4c"],
)
def test_f33_an_exchange_id_is_text_and_stays_as_it_is(books: None, external_id: str) -> None:
    order(external_id=external_id)

    assert Order.objects.get().external_id == external_id


def test_f33_one_exchange_id_on_two_accounts_is_two_orders(books: None) -> None:
    import_book(
        {
            "accounts": [{"label": "second", "market": "binance"}],
            "portfolios": [PORTFOLIO | {"name": "beta", "account": "second"}],
        }
    )
    order()

    assert order(portfolio="beta").created == 1


def test_an_order_of_one_portfolio_is_not_given_to_another(books: None) -> None:
    import_book({"portfolios": [PORTFOLIO | {"name": "beta"}]})
    order()

    with pytest.raises(BookError, match=r"^\$\.orders\[0\]\.portfolio: the order belongs to alpha"):
        order(portfolio="beta")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"symbol": "ETH/USDT"}, "symbol: cannot be changed: BTC/USDT is stored, ETH/USDT"),
        ({"side": "sell"}, "side: cannot be changed: buy is stored, sell was given"),
        ({"price": "1"}, "price: cannot be changed: 50000 is stored, 1 was given"),
        ({"amount": "2"}, "amount: cannot be changed: 0.01 is stored, 2 was given"),
        ({"status": "closed"}, "status: cannot be changed: open is stored, closed was given"),
    ],
)
def test_an_order_cannot_be_changed(books: None, change: dict[str, Any], message: str) -> None:
    order()

    with pytest.raises(BookError) as refused:
        order(**change)

    assert str(refused.value).startswith(f"$.orders[0].{message}")


def test_f55_a_time_without_an_offset_is_utc(books: None) -> None:
    order(created_at="2026-11-22T08:00:00")

    assert order(created_at="2026-11-22T08:00:00Z").unchanged == 1


def test_f55_one_moment_in_another_time_zone_is_no_change(books: None) -> None:
    order(created_at="2026-11-22T08:00:00Z")

    assert order(created_at="2026-11-22T16:00:00+08:00").unchanged == 1


def test_an_order_locks_its_cash_at_once(books: None) -> None:
    order()

    assert Position.objects.get(asset="USDT").reserved == D(500)


def test_an_order_without_the_exchanges_id_waits_to_be_acknowledged(books: None) -> None:
    order(external_id=None, client_order_id="a-1")

    assert Order.objects.get().status == "created"


def test_the_exchanges_id_of_a_waiting_order_may_be_told_later(books: None) -> None:
    order(external_id=None, client_order_id="a-1")

    assert order(external_id="123", client_order_id="a-1").updated == 1
    stored = Order.objects.get()
    assert (stored.external_id, stored.status) == ("123", "open")


def test_a_waiting_order_may_be_imported_again_after_the_exchanges_id_was_told(
    books: None,
) -> None:
    order(external_id=None, client_order_id="a-1")
    order(external_id="123", client_order_id="a-1")

    assert order(external_id=None, client_order_id="a-1").unchanged == 1


def test_the_id_of_another_open_order_is_refused(books: None) -> None:
    order(client_order_id="a-1")

    with pytest.raises(BookError, match="client_order_id: belongs to another open order, 123"):
        order(external_id="124", client_order_id="a-1")


def test_an_id_of_ones_own_may_be_used_again_when_its_order_has_ended(books: None) -> None:
    order(client_order_id="a-1", status="canceled")

    assert order(external_id="124", client_order_id="a-1").created == 1


def test_an_order_seen_at_the_exchange_can_be_claimed(desk: Desk) -> None:
    desk.deposit("EUR", "1000")
    desk.open_portfolio("900")
    desk.sync()
    seen = desk.engine.buy("practice-key", "ADA/EUR", "100", "1")
    desk.sync()
    assert desk.order(seen).portfolio is None

    desk.note(seen.id, "buy", "100", "1", "ADA/EUR")

    claimed = desk.order(seen)
    assert (claimed.portfolio, claimed.external) == (desk.portfolio(), False)


def test_a_claimed_order_moves_what_it_filled_out_of_what_nobody_claims(desk: Desk) -> None:
    desk.deposit("EUR", "1000")
    desk.open_portfolio("900")
    desk.sync()
    seen = desk.engine.buy("practice-key", "ADA/EUR", "100", "1")
    desk.engine.fill_order(seen.id, "40")
    desk.sync()

    desk.note(seen.id, "buy", "100", "1", "ADA/EUR")

    assert desk.position("ADA").amount == D(40)
    assert desk.position("ADA", None).amount == D(0)
    assert desk.position("EUR").amount == D(860)


def test_a_claim_that_contradicts_the_exchange_is_refused(desk: Desk) -> None:
    desk.deposit("EUR", "1000")
    desk.open_portfolio("900")
    seen = desk.engine.buy("practice-key", "ADA/EUR", "100", "1")
    desk.sync()

    with pytest.raises(BookError, match="side: cannot be changed: buy is stored, sell was given"):
        desk.note(seen.id, "sell", "100", "1", "ADA/EUR")


def test_only_fills_beyond_those_of_the_book_are_booked(desk: Desk) -> None:
    desk.deposit("EUR", "1000")
    desk.open_portfolio("960")
    placed = desk.engine.buy("practice-key", "ADA/EUR", "100", "1")
    desk.engine.fill_order(placed.id, "40")
    desk.note(placed.id, "buy", "100", "1", "ADA/EUR", filled="40")
    desk.engine.fill_order(placed.id)

    desk.sync()

    assert desk.position("ADA").amount == D(60)


def test_thousands_of_orders_take_few_queries(
    books: None, django_assert_max_num_queries: Any
) -> None:
    orders = [ORDER | {"external_id": f"{number:04}"} for number in range(1000)]

    with django_assert_max_num_queries(60):
        import_book({"orders": orders})
    with django_assert_max_num_queries(60):
        assert import_book({"orders": orders}).unchanged == 1000
