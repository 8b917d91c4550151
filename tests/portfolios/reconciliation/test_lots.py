from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from portfolios.amounts import exact_sum
from portfolios.reconciliation.lots import Change, Closing, Lot, OpenLots, cost_of_sold

D = Decimal
amounts = st.decimals(min_value="0.000001", max_value="1000000", places=8)


def bought(amount: str, cost: str) -> Change:
    return Change(D(amount), D(cost))


def sold(amount: str, cost: str) -> Change:
    return Change(D(f"-{amount}"), D(f"-{cost}"))


def test_what_was_bought_first_is_sold_first() -> None:
    assert cost_of_sold([bought("5", "5"), bought("5", "10")], D(5)) == D(5)


def test_a_sale_may_reach_into_the_next_lot() -> None:
    assert cost_of_sold([bought("5", "5"), bought("5", "10")], D(7)) == D(9)


def test_an_earlier_sale_has_taken_the_oldest() -> None:
    assert cost_of_sold([bought("5", "5"), bought("5", "10"), sold("5", "5")], D(5)) == D(10)


def test_a_fee_in_the_asset_makes_the_rest_dearer_and_no_cost_is_lost() -> None:
    fee = Change(D("-0.5"), D(0), is_trade=False)

    assert cost_of_sold([bought("5", "5"), fee], D("4.5")) == D(5)


def test_a_price_that_comes_later_is_part_of_the_cost() -> None:
    correction = Change(D(0), D("0.25"))

    assert cost_of_sold([bought("5", "5"), correction], D(5)) == D("5.25")


def test_more_than_is_held_costs_what_is_held() -> None:
    assert cost_of_sold([bought("5", "5")], D(6)) == D(5)


def test_what_nothing_was_paid_for_costs_nothing() -> None:
    assert cost_of_sold([], D(1)) == D(0)


def test_what_is_sold_beyond_what_is_held_is_owed_for_what_it_brought() -> None:
    [owed] = OpenLots([bought("5", "10"), Change(D(-8), D(-19))])

    assert owed == Lot(D(-3), D(-9))


def test_what_is_owed_is_bought_back_first_and_the_cost_starts_anew_from_there() -> None:
    [held] = OpenLots([Change(D(-3), D(-9)), Change(D(4), D("11.5"))])

    assert held == Lot(D(1), D("2.5"))


def test_what_was_sold_beyond_first_is_bought_back_first() -> None:
    owed = OpenLots([Change(D(-3), D(-9)), Change(D(-3), D(-12))])

    assert owed.closing(D(4)) == Closing(cost=D(-13), amount=D(4))


def test_a_purchase_closes_nothing_that_is_held() -> None:
    assert OpenLots([bought("5", "5")]).closing(D(3)) == Closing(cost=D(0), amount=D(0))


def test_a_purchase_undone_leaves_the_cost_of_the_others() -> None:
    lots = OpenLots([bought("5", "5"), bought("5", "10"), Change(D(-5), D(-10))])

    assert list(lots) == [Lot(D(5), D(5))]


def test_a_fee_in_the_asset_itself_is_owed_with_the_rest() -> None:
    [owed] = OpenLots([Change(D(-3), D(-9)), Change(D("-0.5"), D(0), is_trade=False)])

    assert owed == Lot(D("-3.5"), D(-9))


@given(st.lists(st.tuples(amounts, amounts), min_size=1, max_size=6), st.lists(amounts, max_size=6))
def test_selling_everything_takes_every_cost_whatever_was_sold_before(
    buys: list[tuple[Decimal, Decimal]], sales: list[Decimal]
) -> None:
    history = [Change(amount, cost) for amount, cost in buys]
    taken = []
    for sale in [*sales, D("1e12")]:
        taken.append(cost_of_sold(history, sale))
        history.append(Change(sale.copy_negate(), taken[-1].copy_negate()))

    assert exact_sum(taken) == exact_sum(cost for _, cost in buys)
