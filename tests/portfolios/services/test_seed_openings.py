"""The reference system's cases of opening and cash: `sync_unallocated` (its tables 2.1 and 2.2, rows F10 to F17)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from portfolios.models import Discrepancy, Incident, Position, SyncRun
from portfolios.services.book import BookError
from tests.desk import KEY, Desk

D = Decimal


def test_f10_an_initial_balance_below_what_is_free_becomes_the_cash(desk: Desk) -> None:
    desk.deposit("EUR", "1000")
    desk.open_portfolio("500")

    desk.sync()

    portfolio = desk.portfolio()
    assert portfolio.initialized
    assert (desk.unallocated(), portfolio.net_size) == (D(500), D(500))
    assert desk.position("EUR").amount == D(500)


def test_f10_an_initial_balance_of_exactly_what_is_free_is_accepted(desk: Desk) -> None:
    desk.deposit("EUR", "1000")
    desk.open_portfolio("1000")

    desk.sync()

    assert desk.unallocated() == D(1000)


def test_f10_an_initial_balance_above_what_is_free_is_refused_in_the_words_of_the_reference(
    desk: Desk,
) -> None:
    desk.deposit("EUR", "400")
    desk.open_portfolio("1000")

    run = desk.sync()

    assert run.status == SyncRun.Status.PARTIAL
    assert Incident.objects.get().message == (
        "The initial balance of the portfolio configuration (1000 EUR) is more than the available balance on the "
        "exchange. Please make sure that the initial balance of the portfolio configuration is less than the "
        "available balance on the exchange 400 EUR."
    )


def test_f10_a_refused_opening_writes_nothing(desk: Desk) -> None:
    desk.deposit("EUR", "400")
    desk.open_portfolio("1000")

    desk.sync()

    assert not desk.portfolio().initialized
    assert not Position.objects.filter(portfolio=desk.portfolio(), amount__in=[D(1000)]).exists()


def test_f10_a_refused_opening_is_made_good_by_a_later_sync(desk: Desk) -> None:
    desk.deposit("EUR", "400")
    desk.open_portfolio("1000")
    desk.sync()
    desk.deposit("EUR", "600")

    desk.sync()

    assert desk.unallocated() == D(1000)


def test_f10_what_own_open_orders_lock_counts_as_cash(desk: Desk) -> None:
    desk.deposit("EUR", "1000")
    desk.open_portfolio("1000")
    desk.buy("100", "1")

    desk.sync()

    assert desk.position("EUR").amount == D(1000)
    assert desk.unallocated() == D(900)


def test_f11_without_an_initial_balance_all_that_is_free_is_the_portfolios(desk: Desk) -> None:
    desk.deposit("EUR", "750")
    desk.open_portfolio()

    desk.sync()

    assert desk.unallocated() == D(750)
    assert desk.portfolio().net_size == D(750)
    assert desk.position("EUR").amount == D(750)


def test_f11_without_an_initial_balance_own_locks_are_added_to_what_is_free(desk: Desk) -> None:
    desk.deposit("EUR", "750")
    desk.open_portfolio()
    desk.buy("50", "1")

    desk.sync()

    assert desk.position("EUR").amount == D(750)


def test_f11_a_currency_the_exchange_does_not_list_is_named(desk: Desk) -> None:
    desk.deposit("BTC", "1")
    desk.open_portfolio()

    desk.sync()

    assert Incident.objects.get().message.startswith(
        "There is no available balance on the exchange for EUR on market binance."
    )


def test_f12_an_absent_currency_with_an_initial_balance_says_how_much_is_needed(
    desk: Desk,
) -> None:
    desk.deposit("BTC", "1")
    desk.open_portfolio("1000")

    desk.sync()

    assert "at least 1000 EUR" in Incident.objects.get().message


def test_f13_a_shortfall_later_is_a_difference_with_what_is_needed_and_what_is_there(
    desk: Desk,
) -> None:
    desk.deposit("EUR", "500")
    desk.open_portfolio("500")
    desk.sync()
    desk.take_away("EUR", "400")

    desk.sync()

    [difference] = desk.differences()
    assert difference.code == Discrepancy.Code.BALANCE_SHORT
    assert (difference.book, difference.exchange, difference.difference) == (
        D(500),
        D(100),
        D(-400),
    )


def test_f13_a_shortfall_leaves_the_books_as_they_are(desk: Desk) -> None:
    desk.deposit("EUR", "500")
    desk.open_portfolio("500")
    desk.sync()
    desk.take_away("EUR", "400")

    desk.sync()

    assert desk.unallocated() == D(500)


def test_f13_a_shortfall_opens_at_the_second_look(desk: Desk) -> None:
    desk.deposit("EUR", "500")
    desk.open_portfolio("500")
    desk.sync()
    desk.take_away("EUR", "400")

    states = []
    for _look in range(2):
        desk.sync()
        states += [difference.state for difference in desk.differences()]

    assert states == ["SUSPECTED", "OPEN"]


def test_f14_a_surplus_is_shown_and_the_run_succeeds(desk: Desk) -> None:
    desk.deposit("EUR", "500")
    desk.open_portfolio("500")
    desk.sync()
    desk.engine.adjust(KEY, "EUR", "100")

    run = desk.sync()

    [difference] = desk.differences()
    assert run.status == SyncRun.Status.SUCCEEDED
    assert (difference.code, difference.difference) == ("BALANCE_SURPLUS", D(100))


def test_f14_a_surplus_at_the_opening_is_unassigned_and_no_difference(desk: Desk) -> None:
    desk.deposit("EUR", "600")
    desk.open_portfolio("500")

    desk.sync()

    assert desk.differences() == []
    assert desk.position("EUR", None).amount == D(100)


def test_f15_a_portfolio_without_cash_needs_none_at_the_exchange(desk: Desk) -> None:
    desk.deposit("EUR", "1")
    desk.open_portfolio("0")

    run = desk.sync()

    assert run.status == SyncRun.Status.SUCCEEDED
    assert desk.unallocated() == D(0)


def test_f16_two_accounts_in_one_currency_do_not_touch_each_other(desk: Desk) -> None:
    desk.deposit("EUR", "1000")
    desk.open_portfolio("1000")
    desk.engine.add_account("second-practice-key", "second-secret")
    desk.engine.deposit("second-practice-key", "EUR", "200")
    other = Desk.__new__(Desk)
    Desk.__init__(
        other,
        desk.server,
        label="other",
        credential={"apiKey": "second-practice-key", "secret": "second-secret"},
    )
    other.open_portfolio("200", name="beta")

    desk.sync()
    other.sync()

    assert (desk.unallocated("alpha"), other.unallocated("beta")) == (D(1000), D(200))


def test_f17_two_portfolios_that_claim_more_than_the_account_holds_are_overcommitted(
    desk: Desk,
) -> None:
    desk.deposit("EUR", "1000")
    desk.open_portfolio("900", name="alpha")
    desk.open_portfolio("900", name="beta")

    desk.sync()

    [difference] = desk.differences()
    assert (difference.code, difference.state) == ("ALLOC_OVERCOMMITTED", "OPEN")
    assert difference.difference == D(-800)


def test_a_portfolio_added_later_takes_its_cash_out_of_what_nobody_claims(desk: Desk) -> None:
    desk.deposit("EUR", "1000")
    desk.open_portfolio("400")
    desk.sync()
    desk.open_portfolio("500", name="beta")

    desk.sync()

    assert desk.differences() == []
    assert desk.position("EUR", None).amount == D(100)


def test_an_opened_portfolio_refuses_another_initial_balance(desk: Desk) -> None:
    desk.deposit("EUR", "1000")
    desk.open_portfolio("500")
    desk.sync()

    with pytest.raises(BookError, match=r"\$\.portfolios\[0\]\.initial_balance: cannot be changed"):
        desk.open_portfolio("600")
