"""Verdicts over whole accounts: every asset is compared, and what was not read is not judged (rows F13, F14, F48)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from portfolios.models import AssetBalance, Discrepancy, ExchangeAccount, Portfolio
from portfolios.models.choices import Verdict
from portfolios.services.effects import expected_totals
from providers.reports import BalanceReport, Leg, LegKind, OrderStatus
from tests.builders import make_portfolio, make_position
from tests.kept import kept
from tests.portfolios.services.reads import (
    balances,
    failed,
    fills_leg,
    look,
    make_books,
    make_fill_report,
    make_order_report,
    note_order,
    open_orders,
    order_leg,
    skipped,
    unsupported,
)

D = Decimal
State = Discrepancy.State
pytestmark = pytest.mark.django_db


@kept
def account() -> ExchangeAccount:
    """Return an account whose books and exchange agree on 1000 EUR and 2 BTC."""
    account = make_books(positions={"BTC": "2"})
    look(account, open_orders(), balances(EUR="1000", BTC="2"))
    return account


def rows(account: ExchangeAccount) -> dict[str, AssetBalance]:
    return {row.asset: row for row in account.balances.all()}


def live(account: ExchangeAccount) -> list[Discrepancy]:
    return list(account.discrepancies.filter(state__in=Discrepancy.LIVE).order_by("key"))


def test_what_agrees_is_verified(account: ExchangeAccount) -> None:
    look(account, open_orders(), balances(EUR="1000", BTC="2"))

    assert {row.verdict for row in account.balances.all()} == {Verdict.VERIFIED}
    assert account.verified_at is not None


def test_f48_every_asset_of_balance_or_books_is_listed(account: ExchangeAccount) -> None:
    look(account, open_orders(), balances(EUR="1000", DOGE="3"))

    assert {
        asset: (row.expected, row.total, row.residual) for asset, row in rows(account).items()
    } == {
        "BTC": (D(2), D(0), D(-2)),
        "DOGE": (D(0), D(3), D(3)),
        "EUR": (D(1000), D(1000), D(0)),
    }


def test_f48_free_used_and_total_are_shown_as_reported(account: ExchangeAccount) -> None:
    locked = BalanceReport("EUR", free=D(100), used=D(900), total=D(1000))

    look(account, open_orders(), balances(EUR=locked, BTC="2"))

    row = rows(account)["EUR"]
    assert (row.free, row.used, row.total) == (D(100), D(900), D(1000))


def test_f48_the_total_is_compared_and_not_what_is_free(account: ExchangeAccount) -> None:
    locked = BalanceReport("EUR", free=D(100), used=D(900), total=D(1000))

    look(account, open_orders(), balances(EUR=locked, BTC="2"))

    assert rows(account)["EUR"].verdict == Verdict.VERIFIED


def test_f48_an_unknown_coin_is_a_surplus_and_stays_a_new_asset(account: ExchangeAccount) -> None:
    for _look in range(3):
        look(account, open_orders(), balances(EUR="1000", BTC="2", DOGE="3"))

    [found] = live(account)
    assert (found.code, found.asset, found.difference) == ("BALANCE_SURPLUS", "DOGE", D(3))
    assert (found.cause, found.times_seen, found.state) == ("new asset", 3, State.OPEN)


def test_a_coin_that_agreed_before_is_not_new_when_it_comes_back(account: ExchangeAccount) -> None:
    look(account, open_orders(), balances(EUR="1000", BTC="2", DOGE="3"))
    look(account, open_orders(), balances(EUR="1000", BTC="2"))

    look(account, open_orders(), balances(EUR="1000", BTC="2", DOGE="3"))

    assert [found.cause for found in live(account)] == ["unexplained"]


def test_f48_a_position_that_is_not_at_the_exchange_any_more_has_vanished(
    account: ExchangeAccount,
) -> None:
    look(account, open_orders(), balances(EUR="1000"))

    [found] = live(account)
    assert (found.code, found.asset, found.book, found.exchange) == (
        "BALANCE_SHORT",
        "BTC",
        D(2),
        D(0),
    )
    assert found.cause == "vanished"


def test_f48_a_position_that_never_was_at_the_exchange_is_claimed_without_being_there() -> None:
    account = make_books(positions={"GHOST": "5"})

    look(account, open_orders(), balances(EUR="1000"))

    [found] = live(account)
    assert (found.code, found.asset, found.difference) == ("ALLOC_OVERCOMMITTED", "GHOST", D(-5))
    assert "GHOST" in rows(account)


@pytest.mark.parametrize(
    "unread",
    [
        [failed(LegKind.BALANCES)],
        [failed(LegKind.BALANCES, "parse")],
        [skipped(LegKind.BALANCES)],
        [unsupported(LegKind.BALANCES)],
        [],
    ],
)
def test_balances_that_were_not_read_resolve_nothing(
    account: ExchangeAccount, unread: list[Leg]
) -> None:
    look(account, open_orders(), balances(EUR="1000", BTC="1"))
    verified_at = account.verified_at

    look(account, open_orders(), *unread)

    [found] = live(account)
    assert (found.state, found.times_seen) == (State.SUSPECTED, 1)
    assert account.verified_at == verified_at


def test_balances_that_were_not_read_keep_their_numbers_and_say_so(
    account: ExchangeAccount,
) -> None:
    look(account, open_orders(), failed(LegKind.BALANCES))

    row = rows(account)["BTC"]
    assert (row.verdict, row.reason) == (Verdict.NOT_VERIFIABLE, "balances were not read")
    assert (row.total, row.expected) == (D(2), D(2))


def test_an_asset_that_an_incomplete_read_does_not_list_is_not_taken_as_gone(
    account: ExchangeAccount,
) -> None:
    look(account, open_orders(), balances(EUR="1000", complete=False))

    assert live(account) == []
    assert rows(account)["BTC"].verdict == Verdict.NOT_VERIFIABLE
    assert rows(account)["EUR"].verdict == Verdict.VERIFIED


def test_an_asset_that_an_incomplete_read_lists_is_judged(account: ExchangeAccount) -> None:
    look(account, open_orders(), balances(EUR="900", complete=False))

    assert [found.asset for found in live(account)] == ["EUR"]


def test_a_total_that_is_not_reported_is_not_taken_as_zero(account: ExchangeAccount) -> None:
    verified_at = account.verified_at

    look(account, open_orders(), balances("BTC", EUR="1000"))

    row = rows(account)["BTC"]
    assert (row.total, row.residual, row.verdict) == (None, None, Verdict.NOT_VERIFIABLE)
    assert live(account) == []
    assert account.verified_at == verified_at


def test_a_difference_is_resolved_when_both_agree_again(account: ExchangeAccount) -> None:
    look(account, open_orders(), balances(EUR="1000", BTC="1"))
    look(account, open_orders(), balances(EUR="1000", BTC="2"))

    assert live(account) == []
    assert Discrepancy.objects.get().state == State.RESOLVED


def test_without_a_baseline_everything_is_listed_and_nothing_judged() -> None:
    account = make_books(positions={"BTC": "2"})

    look(account, failed(LegKind.OPEN_ORDERS), balances(EUR="1000", BTC="7"))

    row = rows(account)["BTC"]
    assert (row.total, row.residual, row.verdict) == (D(7), None, Verdict.NOT_VERIFIABLE)
    assert row.reason == "the account has no baseline yet"
    assert (live(account), account.verified_at) == ([], None)


def test_the_first_whole_read_is_the_baseline() -> None:
    account = make_books(positions={"BTC": "2"})
    look(account, failed(LegKind.OPEN_ORDERS), balances(EUR="1000", BTC="7"))

    look(account, open_orders(), balances(EUR="1000", BTC="7"))

    assert account.baseline_at is not None
    assert account.positions.get(portfolio=None, asset="BTC").amount == D(5)
    assert {row.verdict for row in account.balances.all()} == {Verdict.VERIFIED}


@pytest.mark.parametrize(
    ("leg", "is_baseline"),
    [
        (failed(LegKind.ORDER, subject="1"), False),
        (failed(LegKind.ORDER, "not_found", subject="1"), True),
        (failed(LegKind.FILLS, subject="1"), False),
        (unsupported(LegKind.FILLS, subject="1"), True),
        (skipped(LegKind.FILLS, subject="1"), True),
    ],
)
def test_what_could_still_have_to_be_booked_keeps_the_baseline_waiting(
    leg: Leg, is_baseline: bool
) -> None:
    account = make_books()
    note_order(account)

    look(account, open_orders(), leg, balances(EUR="1000"))

    assert (account.baseline_at is not None) == is_baseline


def test_what_an_order_moves_before_the_baseline_is_part_of_it() -> None:
    account = make_books()
    note_order(account)
    report = make_order_report(filled=D(4))
    cash = BalanceReport("EUR", free=D(980), used=D(12), total=D(992))

    look(
        account,
        open_orders(report),
        fills_leg(make_fill_report("4", "2")),
        balances(EUR=cash, ADA="4"),
    )
    look(account, open_orders(report), balances(EUR=cash, ADA="4"))

    assert live(account) == []
    assert account.positions.get(asset="ADA", portfolio__isnull=False).amount == D(4)


def test_an_order_that_ended_between_two_looks_explains_what_moved(
    account: ExchangeAccount,
) -> None:
    note_order(account)
    look(account, open_orders(make_order_report()), balances(EUR="1000", BTC="2"))

    look(
        account,
        open_orders(),
        order_leg(make_order_report(filled=D(10), status=OrderStatus.CLOSED, cost=D(19))),
        balances(EUR="981", BTC="2", ADA="10"),
    )

    assert [found for found in live(account) if found.asset] == []


def test_a_backtest_holds_nothing_at_the_exchange(account: ExchangeAccount) -> None:
    make_position(make_portfolio(account, mode=Portfolio.Mode.BACKTEST), asset="BTC", amount=D(70))

    assert expected_totals(account) == {"BTC": D(2), "EUR": D(1000)}


def test_a_debt_is_kept_with_its_sign() -> None:
    account = make_books()
    look(account, open_orders(), balances(EUR="1000", USDT="-50"))

    look(account, open_orders(), balances(EUR="1000", USDT="-60"))

    found = {(x.code, x.asset, x.difference) for x in live(account) if x.wallet}
    assert ("BALANCE_SHORT", "USDT", D(-10)) in found


def test_another_wallet_is_compared_with_what_it_held_at_its_baseline() -> None:
    account = make_books(positions={"BTC": "2"})
    account.wallets = ["spot", "funding"]
    account.save()
    spot = balances(EUR="1000", BTC="2")
    look(account, open_orders(), spot, replace(balances(BTC="7"), subject="funding"))

    look(account, open_orders(), spot, replace(balances(BTC="6"), subject="funding"))

    [found] = live(account)
    assert (found.wallet, found.asset, found.book, found.difference) == (
        "funding",
        "BTC",
        D(7),
        D(-1),
    )
