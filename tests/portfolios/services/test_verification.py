"""The proof of the books: clean ones pass, and every kind of damage is found and named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django.plugin import DjangoDbBlocker

from portfolios.models import (
    Discrepancy,
    ExchangeAccount,
    Fill,
    Flow,
    LedgerEntry,
    Order,
    Portfolio,
    Position,
)
from portfolios.reconciliation.verification import Check
from portfolios.services.book import import_book
from portfolios.services.journal import append_entries
from portfolios.services.ledger import book_fill, book_flow, take_back_fill
from portfolios.services.verification import Verification, verify_books
from providers.reports import FeeReport, FlowKind, FlowStatus, OrderSide, OrderStatus
from tests.builders import make_account, make_discrepancy, make_fill, make_flow, make_order
from tests.portfolios.services.reads import (
    balances,
    fills_leg,
    look,
    make_books,
    make_fill_report,
    make_order_report,
    note_order,
    open_orders,
    order_leg,
)

D = Decimal
Cause = LedgerEntry.Cause
OWNER = "alpha books"


@pytest.fixture(scope="module")
def written(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[ExchangeAccount]:
    """Write the books once: whatever a test does to them is undone when it ends."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield write_books()
        transaction.set_rollback(True)


@pytest.fixture
def books(written: ExchangeAccount, db: None) -> ExchangeAccount:
    return ExchangeAccount.objects.get(pk=written.pk)


def write_books() -> ExchangeAccount:
    """Write books with a buy, a sale half filled, a claimed order, and a portfolio opened after the baseline."""
    account = make_books(positions={"ADA": "5"})
    note_order(account, external_id="1")
    whole = balances(EUR="100", ADA="5", BNB="1", DOT="3")
    look(account, whole, open_orders(make_order_report()))
    fee = FeeReport("BNB", D("0.01"))
    look(
        account,
        whole,
        order_leg(make_order_report(filled=D(10), status=OrderStatus.CLOSED)),
        fills_leg(make_fill_report("10", "2", fees=(fee,))),
    )
    note_order(account, external_id="2", side="sell", amount="8", price="3")
    sale = make_order_report("2", side=OrderSide.SELL, amount=D(8), filled=D(7), price=D(3))
    look(account, whole, open_orders(sale, make_order_report("3")))
    look(account, whole, open_orders(sale, make_order_report("3", filled=D(4), cost=D(8))))
    note_order(account, external_id="3")
    import_book(
        {
            "portfolios": [{"name": "later", "account": "books", "trading_symbol": "EUR"}],
            "positions": [{"portfolio": "later", "asset": "DOT", "amount": "2", "cost": "7"}],
        }
    )
    return account


def damage(table: type[Position | Order | Portfolio], change: str, where: str) -> None:
    """Write what no code of ours writes."""
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table._meta.db_table} SET {change} WHERE {where}")  # noqa: S608 - a test's own words
        assert cursor.rowcount > 0


def position(asset: str, owner: str | None = OWNER) -> Position:
    return Position.objects.get(asset=asset, portfolio__name=owner)


def slip_in(account: ExchangeAccount, owner: str | None = OWNER, **values: Any) -> None:
    """Book an entry that nothing explains, so that positions and gains agree with it."""
    portfolio = Portfolio.objects.filter(name=owner).first()
    defaults: dict[str, Any] = {"asset": "ADA", "amount": D(1), "cause": Cause.BASELINE}
    entry = LedgerEntry(account=account, portfolio=portfolio, key="slipped in")
    for name, value in (defaults | values).items():
        setattr(entry, name, value)
    append_entries([entry])


def named(done: Verification) -> tuple[Any, ...]:
    found = done.difference
    assert found is not None
    where = (done.account, done.portfolio, found.asset, found.order)
    return (found.check, *where, found.stored, found.recomputed)


def test_clean_books_agree(books: ExchangeAccount) -> None:
    done = verify_books()

    assert done.difference is None
    entries, positions = LedgerEntry.objects.count(), Position.objects.count()
    assert (done.accounts, done.orders, done.fills) == (1, 3, 1)
    assert (done.entries, done.positions) == (entries, positions)


@pytest.mark.parametrize(
    ("column", "check", "recomputed"),
    [("amount", Check.POSITION, D("12")), ("cost", Check.COST, D("24"))],
)
def test_a_position_that_its_entries_do_not_make_up_is_found(
    books: ExchangeAccount, column: str, check: Check, recomputed: Decimal
) -> None:
    damage(Position, f"{column} = '7.000000000000000001'", f"id = {position('ADA').pk}")

    stored = D("7.000000000000000001")
    assert named(verify_books()) == (check, "books", OWNER, "ADA", "", stored, recomputed)


def test_a_position_of_the_unassigned_part_is_found_too(books: ExchangeAccount) -> None:
    damage(Position, "amount = '9'", f"id = {position('DOT', None).pk}")

    expected = (Check.POSITION, "books", None, "DOT", "", D(9), D(1))
    assert named(verify_books()) == expected


def test_a_missing_position_is_found(books: ExchangeAccount) -> None:
    position("DOT", "later").delete()

    expected = (Check.POSITION, "books", "later", "DOT", "", None, D(2))
    assert named(verify_books()) == expected


@pytest.mark.parametrize(
    ("change", "asset", "stored", "recomputed"),
    [
        ("filled = '7.5'", "ADA", D(-7), D("-7.5")),
        ("cost = '20'", "EUR", D(21), D(20)),
        ("""fees = '[{"asset": "BNB", "amount": "0.5"}]'""", "BNB", D(0), D("-0.5")),
        ("side = 'buy'", "ADA", D(-7), D(7)),
    ],
)
def test_an_order_that_says_something_else_than_its_entries_is_found(
    books: ExchangeAccount, change: str, asset: str, stored: Decimal, recomputed: Decimal
) -> None:
    damage(Order, change, "external_id = '2'")

    expected = (Check.ORDER, "books", OWNER, asset, "2", stored, recomputed)
    assert named(verify_books()) == expected


def test_an_order_whose_entries_belong_to_another_portfolio_is_found(
    books: ExchangeAccount,
) -> None:
    later = Portfolio.objects.get(name="later")
    damage(Order, f"portfolio_id = {later.pk}", "external_id = '1'")

    assert named(verify_books())[:5] == (Check.ENTRY, "books", OWNER, "ADA", "1")


def test_a_fill_that_was_not_booked_is_found(books: ExchangeAccount) -> None:
    order = Order.objects.get(external_id="2")
    make_fill(order, amount=D(8), cost=D(24))

    expected = (Check.ORDER, "books", OWNER, "ADA", "2", D(-7), D(-8))
    assert named(verify_books()) == expected


@pytest.mark.parametrize("cause", [Cause.EXECUTION, Cause.FEE])
def test_a_trade_without_an_order_is_found(books: ExchangeAccount, cause: str) -> None:
    slip_in(books, cause=cause)

    expected = (Check.ENTRY, "books", OWNER, "ADA", "", D(1), None)
    assert named(verify_books()) == expected


def test_an_entry_that_no_booking_of_its_order_wrote_is_found(books: ExchangeAccount) -> None:
    slip_in(books, order=Order.objects.get(external_id="1"), cause=Cause.FEE)

    expected = (Check.ENTRY, "books", OWNER, "ADA", "1", D(1), None)
    assert named(verify_books()) == expected


def test_a_claim_that_was_taken_twice_out_of_the_unassigned_part_is_found(
    books: ExchangeAccount,
) -> None:
    order = Order.objects.get(external_id="3")
    key = f"claim:order:{order.pk}:{order.portfolio_id}:0:fee:BNB"
    slip_in(books, None, asset="BNB", order=order, cause=Cause.FEE, key=key)

    expected = (Check.CLAIM, "books", None, "BNB", "3", D(1), None)
    assert named(verify_books()) == expected


def test_a_fill_of_another_side_than_its_order_is_found(books: ExchangeAccount) -> None:
    order = Order.objects.get(external_id="3")
    make_fill(order, side=OrderSide.SELL, amount=D(4), cost=D(8))

    expected = (Check.FILL, "books", OWNER, "ADA", "3", D(4), None)
    assert named(verify_books()) == expected


def test_a_fill_of_another_account_than_its_order_is_found(books: ExchangeAccount) -> None:
    order = Order.objects.get(external_id="3")
    # The books of the account that is checked first do not know it.
    other = make_account(label="another")
    make_fill(order, account=other, external_id="astray", amount=D(4), cost=D(8))
    Order.objects.filter(pk=order.pk).update(filled=D(8), cost=D(16))

    found = verify_books(["another"]).difference

    assert found is not None
    assert (found.check, found.fill, found.stored) == (Check.PLACE, "astray", D(4))


def test_a_movement_of_another_account_than_its_entries_is_found(books: ExchangeAccount) -> None:
    flow = make_flow(books, asset="EUR", amount=D(5), kind=FlowKind.DEPOSIT, external_id="astray")
    book_flow(flow, None)
    Flow.objects.update(account=make_account(label="z another"))

    found = verify_books().difference

    assert found is not None
    assert (found.check, found.flow, found.stored) == (Check.PLACE, "astray", D(5))


@pytest.mark.skipif(connection.vendor != "sqlite", reason="a server lets nobody break a reference")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("table", "named"),
    [("order", "order_id"), ("flow", "flow_id"), ("exchangeaccount", "account_id")],
)
def test_a_row_that_is_gone_is_missed_by_those_that_name_it(table: str, named: str) -> None:
    account = write_books()
    book_flow(make_flow(account, asset="EUR", amount=D(5), kind=FlowKind.DEPOSIT), None)
    with connection.constraint_checks_disabled(), connection.cursor() as cursor:
        cursor.execute("PRAGMA foreign_keys = OFF")
        cursor.execute(f"DELETE FROM portfolios_{table}")  # noqa: S608 - a test's own words

    found = verify_books().difference

    with connection.cursor() as cursor:
        cursor.execute("PRAGMA foreign_keys = ON")
    assert found is not None
    assert found.check is Check.REFERENCE
    assert named in found.why


@pytest.mark.skipif(connection.vendor != "sqlite", reason="a server stores numbers only")
@pytest.mark.parametrize(
    ("table", "change", "order"),
    [
        (Order, "status = 'banana'", "1"),
        (Order, "side = 'banana'", "1"),
        (Position, "amount = 'abc'", ""),
    ],
)
def test_what_is_no_value_is_told_with_the_account_and_the_order(
    books: ExchangeAccount, table: type[Order | Position], change: str, order: str
) -> None:
    damage(table, change, "external_id = '1'" if table is Order else "asset = 'ADA'")

    done = verify_books()

    assert done.difference is not None
    assert (done.difference.check, done.account) == (Check.UNREADABLE, "books")
    assert done.difference.order == order
    assert done.difference.why


def test_fees_that_the_fills_of_an_order_do_not_make_up_are_found(books: ExchangeAccount) -> None:
    damage(Order, """fees = '[{"asset": "BNB", "amount": "0.02"}]'""", "external_id = '1'")

    expected = (Check.FEES, "books", OWNER, "BNB", "1", D("0.02"), D("0.01"))
    assert named(verify_books()) == expected


def overfilled(account: ExchangeAccount) -> Order:
    note_order(account, external_id="4")
    fill = make_fill_report("11", "2", order="4", external_id="f-4")
    ended = make_order_report("4", filled=D(10), status=OrderStatus.CLOSED)
    look(account, order_leg(ended), fills_leg(fill))
    damage(Order, "filled = '10'", "external_id = '4'")
    # What flags it is not of that order then; a difference itself is never deleted.
    Discrepancy.objects.filter(order__external_id="4").update(order=None)
    return Order.objects.get(external_id="4")


def test_more_fills_than_an_ended_order_has_filled_are_found(books: ExchangeAccount) -> None:
    overfilled(books)

    expected = (Check.OVERFILL, "books", OWNER, "ADA", "4", D(10), D(11))
    assert named(verify_books()) == expected


def test_more_fills_than_an_ended_order_has_filled_are_right_once_they_are_flagged(
    books: ExchangeAccount,
) -> None:
    make_discrepancy(books, order=overfilled(books))

    assert verify_books().difference is None


def test_fills_of_an_open_order_that_were_read_after_it_are_no_difference(
    books: ExchangeAccount,
) -> None:
    note_order(books, external_id="4")
    fill = make_fill_report("4", "2", order="4", external_id="f-4")
    look(books, open_orders(make_order_report("4", filled=D(3))), fills_leg(fill))

    assert verify_books().difference is None


def make_loose_fill(account: ExchangeAccount, seconds: int) -> Fill:
    """Store a fill so long after the baseline whose order nobody knows."""
    assert account.baseline_at is not None
    return Fill.objects.create(
        account=account,
        order_external_id="9",
        external_id="f-9",
        symbol="ADA/EUR",
        side=OrderSide.SELL,
        price=D(2),
        amount=D(3),
        cost=D(6),
        fees=[{"asset": "BNB", "amount": "0.01"}],
        executed_at=account.baseline_at + timedelta(seconds=seconds),
    )


@pytest.fixture
def loose(books: ExchangeAccount) -> Fill:
    fill = make_loose_fill(books, seconds=1)
    book_fill(fill, None)
    return fill


def join(fill: Fill) -> None:
    """Let the order of the fill be known and book it."""
    note_order(fill.account, external_id="9", side="sell", amount="3", price="2")
    Fill.objects.filter(pk=fill.pk).update(order=Order.objects.get(external_id="9"))
    fee = FeeReport("BNB", D("0.01"))
    sold = make_order_report(
        "9", side=OrderSide.SELL, amount=D(3), filled=D(3), cost=D(6), fees=(fee,)
    )
    look(fill.account, order_leg(replace(sold, status=OrderStatus.CLOSED)))


def test_a_fill_without_an_order_is_booked_as_it_is(loose: Fill) -> None:
    done = verify_books()

    assert (done.difference, done.fills) == (None, 2)


def test_a_fill_without_an_order_that_was_not_booked_is_found(books: ExchangeAccount) -> None:
    make_loose_fill(books, seconds=1)

    expected = (Check.LOOSE_FILL, "books", None, "ADA", "", None, D(-3))
    assert named(verify_books()) == expected


def test_a_fill_of_the_time_before_the_baseline_is_not_to_be_booked(books: ExchangeAccount) -> None:
    make_loose_fill(books, seconds=0)

    assert verify_books().difference is None


def test_an_entry_that_its_loose_fill_does_not_explain_is_found(loose: Fill) -> None:
    slip_in(loose.account, None, fill=loose, cause=Cause.FEE, key=f"fill:{loose.pk}:fee:EUR")

    done = verify_books()

    assert named(done) == (Check.ENTRY, "books", None, "ADA", "", D(1), None)
    assert done.difference is not None
    assert done.difference.fill == "f-9"


def test_a_fill_that_joined_its_order_and_was_taken_back_agrees(loose: Fill) -> None:
    take_back_fill(loose, None)
    join(loose)

    assert verify_books().difference is None


def test_a_fill_that_joined_its_order_and_was_not_taken_back_is_found(loose: Fill) -> None:
    join(loose)

    expected = (Check.ATTACHED_FILL, "books", None, "ADA", "", None, D(3))
    assert named(verify_books()) == expected


@pytest.mark.parametrize("status", FlowStatus)
@pytest.mark.parametrize("in_baseline", [True, False])
@pytest.mark.parametrize("kind", FlowKind)
def test_a_flow_that_was_booked_agrees(
    books: ExchangeAccount, kind: FlowKind, status: FlowStatus, in_baseline: bool
) -> None:
    flow = make_flow(
        books, asset="EUR", amount=D(-5), kind=kind, status=status, in_baseline=in_baseline
    )
    book_flow(flow, None)

    done = verify_books()

    assert (done.difference, done.flows) == (None, 1)


def test_a_withdrawal_that_was_booked_and_failed_agrees_once_it_is_booked_back(
    books: ExchangeAccount,
) -> None:
    flow = make_flow(
        books,
        kind=FlowKind.WITHDRAWAL,
        asset="EUR",
        amount=D(-5),
        fees=[{"asset": "BNB", "amount": "0.1"}],
        status=FlowStatus.PENDING,
    )
    book_flow(flow, None)
    Flow.objects.update(status=FlowStatus.FAILED)
    flow.refresh_from_db()

    found = named(verify_books())
    book_flow(flow, None)

    assert found == (Check.FLOW, "books", None, "BNB", "", D("-0.1"), D(0))
    assert verify_books().difference is None


def test_a_flow_that_was_not_booked_is_found(books: ExchangeAccount) -> None:
    make_flow(books, asset="EUR", amount=D(5), external_id="d-1")

    done = verify_books()

    assert named(done) == (Check.FLOW, "books", None, "EUR", "", None, D(5))
    assert done.difference is not None
    assert done.difference.flow == "d-1"


def test_a_flow_that_a_portfolio_was_given_is_found(books: ExchangeAccount) -> None:
    flow = make_flow(books, asset="EUR", amount=D(5), kind=FlowKind.DEPOSIT)
    key = f"flow:{flow.pk}:0:deposit:EUR"
    slip_in(books, asset="EUR", amount=D(5), flow=flow, cause=Cause.DEPOSIT, key=key)

    expected = (Check.ENTRY, "books", OWNER, "EUR", "", D(5), None)
    assert named(verify_books()) == expected


@pytest.mark.parametrize("cause", [Cause.DEPOSIT, Cause.REWARD])
def test_a_movement_without_the_exchanges_record_is_found(
    books: ExchangeAccount, cause: str
) -> None:
    slip_in(books, None, cause=cause)

    assert named(verify_books()) == (Check.ENTRY, "books", None, "ADA", "", D(1), None)


def test_what_is_reserved_and_not_locked_is_found(books: ExchangeAccount) -> None:
    damage(Position, "reserved = '2'", f"id = {position('ADA').pk}")

    expected = (Check.RESERVED, "books", OWNER, "ADA", "", D(2), D(1))
    assert named(verify_books()) == expected


def test_a_lock_that_no_position_reserves_is_found(books: ExchangeAccount) -> None:
    make_order(books, symbol="XRP/JPY", price=D(2), amount=D(3))

    expected = (Check.RESERVED, "books", None, "JPY", "", None, D(6))
    assert named(verify_books()) == expected


def test_a_realised_gain_that_the_entries_do_not_make_up_is_found(books: ExchangeAccount) -> None:
    damage(Portfolio, "realized_gain = '1'", f"name = '{OWNER}'")

    gain = named(verify_books())
    assert gain[:6] == (Check.REALIZED_GAIN, "books", OWNER, "", "", D(1))


def test_a_gain_of_what_nobody_claims_is_found(books: ExchangeAccount) -> None:
    slip_in(books, None, gain=D(1))

    found = verify_books().difference

    assert found is not None
    assert (found.check, found.stored, found.recomputed) == (Check.REALIZED_GAIN, D(0), D(1))


def test_a_gain_that_the_cash_does_not_make_up_is_found(books: ExchangeAccount) -> None:
    order = Order.objects.get(external_id="2")
    key = f"order:{order.pk}:{order.portfolio_id}:9:execution:ADA"
    slip_in(books, order=order, amount=D(0), gain=D(5), cause=Cause.EXECUTION, key=key)

    expected = (Check.GAIN, "books", OWNER, "ADA", "2", D(5), D(0))
    assert named(verify_books()) == expected


def test_a_cost_that_replaying_the_lots_does_not_give_is_found(books: ExchangeAccount) -> None:
    order = Order.objects.get(external_id="2")
    key = f"order:{order.pk}:{order.portfolio_id}:9:execution:ADA"
    entry: dict[str, Any] = {"amount": D(0), "cost": D(-5), "gain": D(-5)}
    slip_in(books, order=order, cause=Cause.EXECUTION, key=key, **entry)

    expected = (Check.SALE, "books", OWNER, "ADA", "2", D(-5), D(0))
    assert named(verify_books()) == expected


def test_a_second_opening_of_one_asset_is_found(books: ExchangeAccount) -> None:
    slip_in(books, cause=Cause.OPENING, key="opening again")

    expected = (Check.OPENING, "books", OWNER, "ADA", "", D(1), None)
    assert named(verify_books()) == expected


def test_an_opening_that_was_not_taken_out_of_the_unassigned_part_is_found(
    books: ExchangeAccount,
) -> None:
    later = Portfolio.objects.get(name="later")
    key = f"opening:{later.pk}:BNB"
    slip_in(books, "later", asset="BNB", cause=Cause.OPENING, key=key)

    expected = (Check.OPENING_OPPOSITE, "books", "later", "BNB", "", None, D(-1))
    assert named(verify_books()) == expected


def test_what_a_backtest_is_opened_with_comes_from_nobody(books: ExchangeAccount) -> None:
    row = {"name": "past", "account": "books", "trading_symbol": "EUR", "mode": "backtest"}
    held = {"portfolio": "past", "asset": "BTC", "amount": "2"}
    import_book({"portfolios": [row], "positions": [held]})

    assert verify_books().difference is None


def test_a_portfolio_opened_without_cash_has_no_opening_of_it(books: ExchangeAccount) -> None:
    row = {"name": "empty", "account": "books", "trading_symbol": "EUR", "initial_balance": "0"}
    import_book({"portfolios": [row]})
    look(books, balances(EUR="100", ADA="5", BNB="1", DOT="3"))

    assert Portfolio.objects.get(name="empty").initialized
    assert verify_books().difference is None


def test_an_opening_cash_that_was_not_booked_is_found(books: ExchangeAccount) -> None:
    damage(Portfolio, "opening_cash = '99'", f"name = '{OWNER}'")

    expected = (Check.NET_SIZE, "books", OWNER, "EUR", "", D(99), D(120))
    assert named(verify_books()) == expected


def test_a_portfolio_that_was_moved_to_another_account_is_found(books: ExchangeAccount) -> None:
    other = make_account(label="other")
    damage(Portfolio, f"account_id = {other.pk}", "name = 'later'")

    expected = (Check.TOTAL, "books", None, "DOT", "", D(1), D(3))
    assert named(verify_books()) == expected


def test_only_the_named_accounts_are_verified(books: ExchangeAccount) -> None:
    make_account(label="other")
    damage(Position, "amount = '7'", f"id = {position('ADA').pk}")

    done = verify_books(["other"])

    assert (done.difference, done.accounts) == (None, 1)


def test_nothing_is_written(books: ExchangeAccount) -> None:
    with CaptureQueriesContext(connection) as queries:
        verify_books()

    words = {" ".join(query["sql"].split()[:2]).upper() for query in queries}
    reading = ("SELECT ", "DECLARE ", "PRAGMA FOREIGN_KEY_CHECK", "SET CONSTRAINTS")
    assert [word for word in words if not word.startswith(reading)] == []
