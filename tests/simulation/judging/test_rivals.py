"""Each rule first reproduces what is known of the product that it is told from."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.simulation.judging.rivals import (
    Exit,
    FreeCompare,
    MissingOrder,
    OutOfSync,
    Strikes,
    TwoPercent,
    Unreadable,
)
from tests.simulation.judging.rules import Answer, OrderRead, OrderSaid
from tests.simulation.judging.venue import STARTED_AT, Order

D = Decimal


def read(
    listed: Answer = Answer.OPEN,
    asked: Answer = Answer.OPEN,
    filled: str = "0",
    trades: str | None = "0",
    *,
    is_start: bool = False,
) -> OrderRead:
    told = None if trades is None else D(trades)
    age = timedelta(seconds=5)
    return OrderRead(STARTED_AT, age, listed, asked, D(filled), told, is_start)


def iaf(order: Order) -> FreeCompare:
    rule = FreeCompare(unallocated=D(1000))
    rule.placed(order)
    return rule


def buy(cost: int) -> Order:
    return Order(1, is_buy=True, price=D(1), amount=D(cost))


def test_iaf_books_a_cancel_as_often_as_it_is_reported() -> None:
    order = buy(1000)
    rule = iaf(order)
    order.is_open = False

    rule.reported(order)
    once = rule.unallocated
    rule.reported(order)

    assert (once, rule.unallocated) == (D(1000), D(2000))


def test_iaf_takes_the_cash_of_a_cancelled_order_for_a_deposit_and_then_stops() -> None:
    order = buy(300)
    rule = iaf(order)
    order.is_open = False

    rule.sync_portfolio(D(1000))
    rule.reported(order)

    assert (rule.deposits, rule.unallocated) == ([D(300)], D(1300))
    with pytest.raises(OutOfSync):
        rule.sync_portfolio(D(1000))


def test_iaf_takes_a_billionth_for_nothing() -> None:
    rule = FreeCompare(unallocated=D(1000))

    rule.sync_portfolio(D("1000.000000001"))

    assert rule.deposits == []


def test_iaf_looks_at_no_order_after_one_that_is_not_found() -> None:
    first, second = buy(300), Order(2, is_buy=True, price=D(1), amount=D(200))
    rule = iaf(first)
    rule.placed(second)
    second.is_open = False

    with pytest.raises(Unreadable):
        rule.check_pending_orders({1: Answer.ABSENT, 2: Answer.CANCELED})

    assert rule.unallocated == D(500)


@pytest.mark.parametrize(
    ("wallet", "found", "amount"),
    [
        ("100", Exit.ENOUGH, "100"),
        ("250", Exit.ENOUGH, "100"),
        ("98.1", Exit.ADJUSTED, "98.1"),
        ("98", Exit.REFUSED, "100"),
        ("0", Exit.REFUSED, "100"),
    ],
)
def test_freqtrade_takes_off_what_is_missing_up_to_two_percent(
    wallet: str, found: Exit, amount: str
) -> None:
    rule = TwoPercent(D(100))

    assert rule.check_exit_amount(D(wallet)) is found
    assert rule.amount == D(amount)


@pytest.mark.parametrize(("is_start", "ended"), [(True, True), (False, False)])
def test_freqtrade_takes_an_order_seconds_old_for_cancelled_only_at_its_start(
    is_start: bool, ended: bool
) -> None:
    young = read(Answer.ABSENT, Answer.ABSENT, is_start=is_start)

    assert TwoPercent().see_order(young).ended is ended


def test_hummingbot_loses_six_live_orders_in_an_outage() -> None:
    rules = [Strikes() for _ in range(6)]
    outage = read(Answer.FAILED, Answer.FAILED, trades=None)

    said = [[rule.see_order(outage).ended for rule in rules] for _ in range(4)]

    assert said == [[False] * 6] * 3 + [[True] * 6]


def test_hummingbot_counts_anew_once_an_order_is_read() -> None:
    rule = Strikes()
    outage = read(Answer.FAILED, Answer.FAILED, trades=None)

    said = [rule.see_order(each).ended for each in [outage] * 3 + [read()] + [outage] * 3]

    assert not any(said)


@pytest.mark.parametrize(("trades", "status"), [("0", "REJECTED"), ("0.4", "CANCELED")])
def test_nautilus_ends_an_order_that_five_lists_lack(trades: str, status: str) -> None:
    rule = MissingOrder()
    rule.see_order(read(trades=trades))

    said = [
        rule.see_order(read(Answer.ABSENT, Answer.ABSENT, trades=trades)).ended for _ in range(5)
    ]

    assert said == [False] * 4 + [True]
    assert rule.status == status


def test_nautilus_takes_a_failed_list_and_a_failed_question_for_an_answer() -> None:
    rule = MissingOrder()

    said = [rule.see_order(read(Answer.FAILED, Answer.FAILED, trades=None)) for _ in range(5)]

    assert (said[-1].ended, rule.status) == (True, "REJECTED")


def test_nautilus_keeps_an_order_that_the_last_question_finds() -> None:
    rule = MissingOrder()

    said = [rule.see_order(read(Answer.ABSENT, Answer.OPEN)).ended for _ in range(9)]

    assert not any(said)


def test_nautilus_loses_the_fill_of_a_cancel_that_comes_without_its_trades() -> None:
    rule = MissingOrder()

    for _ in range(5):
        said = rule.see_order(read(Answer.ABSENT, Answer.CANCELED, filled="0.4", trades=None))

    assert said == OrderSaid(ended=True, rings=False, filled=D(0))
