from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from portfolios.models import Discrepancy, ExchangeAccount, Incident, Order, Portfolio, Position
from portfolios.services.integrity import (
    Rebuilt,
    UnreadableAmount,
    check_integrity,
    first_break,
    rebuild_positions,
)
from portfolios.services.verification import verify_books
from providers.reports import OrderStatus
from tests.builders import NOON, make_discrepancy, make_fill, make_order, make_run
from tests.kept import kept
from tests.portfolios.services.reads import make_books

D = Decimal
pytestmark = pytest.mark.django_db


@kept
def account() -> ExchangeAccount:
    """Open books that hold 0.3 ADA for 1."""
    return make_books("main", positions={"ADA": "0.3"})


def edit(statement: str) -> None:
    """Change what is stored behind the back of everything."""
    with connection.cursor() as cursor:
        cursor.execute(statement)


def move_ada() -> None:
    edit("UPDATE portfolios_position SET amount = '0.300000000000000001' WHERE asset = 'ADA'")


def make_filled_order(account: ExchangeAccount, fills: str, filled: str) -> Order:
    order = make_order(
        account.portfolios.get(), external_id="7", status=OrderStatus.CLOSED, filled=D(filled)
    )
    make_fill(order, amount=D(fills))
    return order


def test_books_that_add_up_are_whole(account: ExchangeAccount) -> None:
    assert first_break(account) is None
    assert check_integrity(account, make_run(account))


@pytest.mark.parametrize("column", ["amount", "cost"])
def test_a_position_that_is_not_the_sum_of_its_entries_is_named_in_its_numbers(
    account: ExchangeAccount, column: str
) -> None:
    edit(f"UPDATE portfolios_position SET {column} = '7' WHERE asset = 'ADA'")  # noqa: S608

    found = first_break(account)
    assert found is not None
    should_be = {"amount": "0.3", "cost": "1"}[column]
    assert found.message.endswith(f"ADA of alpha main: 7 stored, {should_be} recomputed")


def test_a_position_that_is_gone_is_found(account: ExchangeAccount) -> None:
    edit("DELETE FROM portfolios_position WHERE asset = 'ADA'")

    found = first_break(account)
    assert found is not None
    assert "nothing stored, 0.3 recomputed" in found.message


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL stores numbers only")
@pytest.mark.parametrize("is_thorough", [False, True])
@pytest.mark.parametrize(
    "table", ["portfolios_position SET amount", "portfolios_position SET reserved"]
)
def test_what_is_no_number_is_found(
    account: ExchangeAccount, table: str, is_thorough: bool
) -> None:
    edit(f"UPDATE {table} = 'lots'")

    if is_thorough or "amount" in table:
        assert first_break(account, is_thorough=is_thorough) is not None
    else:
        assert first_break(account) is None  # a sync writes it anew


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL stores numbers only")
def test_a_position_that_is_no_number_is_offered_to_be_rebuilt(account: ExchangeAccount) -> None:
    edit("UPDATE portfolios_position SET amount = 'NaN' WHERE asset = 'ADA'")

    check_integrity(account, make_run(account))

    cause = Discrepancy.objects.get().cause
    assert "rebuild_positions" in cause
    assert "ADA: 'NaN' is stored as an amount, and is none" in cause


def test_an_ended_order_with_more_fills_than_is_filled_is_found(account: ExchangeAccount) -> None:
    make_filled_order(account, fills="0.01", filled="0.008")

    found = first_break(account)
    assert found is not None
    assert found.message == "filled of order 7: 0.008 stored, 0.01 recomputed"


def test_fills_ahead_of_their_order_that_are_told_of_are_no_break(
    account: ExchangeAccount,
) -> None:
    order = make_filled_order(account, fills="0.01", filled="0.008")
    make_discrepancy(account, order=order)

    assert first_break(account) is None


def test_fills_of_an_open_order_may_be_read_before_it(account: ExchangeAccount) -> None:
    make_filled_order(account, fills="0.01", filled="0")
    Order.objects.update(status=OrderStatus.OPEN)

    assert first_break(account) is None


def test_more_filled_than_fills_may_be_all_that_an_exchange_tells(
    account: ExchangeAccount,
) -> None:
    make_filled_order(account, fills="0.01", filled="0.02")

    assert first_break(account) is None


def test_a_break_makes_the_account_read_only_and_says_why(account: ExchangeAccount) -> None:
    move_ada()
    run = make_run(account)

    assert not check_integrity(account, run)

    account.refresh_from_db()
    said = "position ADA of alpha main: 0.300000000000000001 stored, 0.3 recomputed"
    assert account.read_only_because == said
    assert Incident.objects.get().message == said


def test_a_break_is_an_open_critical_discrepancy_with_a_remedy(account: ExchangeAccount) -> None:
    move_ada()
    check_integrity(account, make_run(account))

    found = Discrepancy.objects.get()
    assert (found.code, found.severity, found.state) == ("LOCAL_INTEGRITY", "critical", "OPEN")
    assert (found.asset, found.portfolio) == ("ADA", account.portfolios.get())
    assert found.book == D("0.300000000000000001")
    assert found.cause.startswith("Run manage.py rebuild_positions --account main. position ADA")


def test_a_break_that_stays_is_one_incident(account: ExchangeAccount) -> None:
    move_ada()
    check_integrity(account, make_run(account))
    check_integrity(account, make_run(account))

    assert Incident.objects.get().count == 1


def test_found_whole_again_the_account_is_read_only_no_more(account: ExchangeAccount) -> None:
    move_ada()
    check_integrity(account, make_run(account))
    Position.objects.filter(asset="ADA").update(amount="0.3")

    assert check_integrity(account, make_run(account))

    account.refresh_from_db()
    assert account.read_only_because == ""
    assert Discrepancy.objects.get().state == "RESOLVED"


def make_only_a_whole_check_see_it() -> None:
    """Store a gain that no entry made."""
    Portfolio.objects.update(realized_gain="5")


def test_the_first_run_of_a_day_checks_everything(account: ExchangeAccount) -> None:
    make_only_a_whole_check_see_it()
    for hours, is_whole in ((0, True), (11, True), (12, False)):
        run = make_run(account)
        run.queued_at = NOON + timedelta(hours=hours)
        run.save()

        assert check_integrity(account, run) is is_whole


def test_a_read_only_account_is_not_freed_by_a_cheap_check(account: ExchangeAccount) -> None:
    make_only_a_whole_check_see_it()

    assert not check_integrity(account, None)
    assert not check_integrity(account, make_run(account))


def test_a_reserve_that_a_sync_writes_anew_is_no_break(account: ExchangeAccount) -> None:
    Position.objects.filter(asset="ADA").update(reserved="3")

    assert verify_books(["main"]).difference is not None
    assert check_integrity(account, None)


def test_the_cheap_check_takes_three_queries(
    account: ExchangeAccount, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    make_filled_order(account, fills="0.01", filled="0.01")

    with django_assert_num_queries(3):
        first_break(account)


def test_positions_are_rebuilt_from_the_ledger_exactly(account: ExchangeAccount) -> None:
    move_ada()
    edit("DELETE FROM portfolios_position WHERE asset = 'EUR'")

    assert rebuild_positions(account) == [
        Rebuilt("amount ADA of alpha main", "0.300000000000000001", D("0.3"))
    ]
    assert first_break(account, is_thorough=False) is None


def test_a_position_that_is_gone_is_rebuilt(account: ExchangeAccount) -> None:
    edit("DELETE FROM portfolios_position WHERE asset = 'ADA'")

    rebuild_positions(account)

    position = Position.objects.get(asset="ADA")
    assert (position.amount, position.cost) == (D("0.3"), D(1))


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL stores numbers only")
def test_positions_that_cannot_be_read_are_rebuilt(account: ExchangeAccount) -> None:
    edit("UPDATE portfolios_position SET amount = 'lots', reserved = 'many'")

    rebuild_positions(account)

    position = Position.objects.get(asset="ADA")
    assert (position.amount, position.reserved) == (D("0.3"), D(0))


def test_a_gain_is_rebuilt_from_the_ledger(account: ExchangeAccount) -> None:
    make_only_a_whole_check_see_it()

    assert rebuild_positions(account) == [Rebuilt("gain of alpha main", "5", D(0))]
    assert Portfolio.objects.get().realized_gain == 0


def test_what_an_ended_order_has_filled_is_rebuilt_from_its_fills(
    account: ExchangeAccount,
) -> None:
    order = make_filled_order(account, fills="0.01", filled="0.008")

    rebuild_positions(account)

    order.refresh_from_db()
    assert order.filled == D("0.01")


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL stores numbers only")
def test_nothing_is_rebuilt_from_a_ledger_that_cannot_be_read(account: ExchangeAccount) -> None:
    edit(
        "INSERT INTO portfolios_ledgerentry (account_id, asset, amount, cost, gain, cause, key, booked_at)"
        " SELECT id, 'ADA', 'lots', '0', '0', 'reward', 'x', '2026-11-22' FROM portfolios_exchangeaccount"
    )
    move_ada()

    with pytest.raises(UnreadableAmount, match="'lots' is stored as an amount"):
        rebuild_positions(account)
    assert Position.objects.get(asset="ADA").amount == D("0.300000000000000001")
