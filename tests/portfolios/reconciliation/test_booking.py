"""Booking differences: however the same facts arrive, the ledger ends where they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import accumulate

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portfolios.amounts import difference, exact_mul, exact_sum
from portfolios.reconciliation.booking import (
    Booked,
    Pending,
    Traded,
    cost_and_gain,
    less,
    pending,
    within,
)
from portfolios.reconciliation.execution import OrderFacts, execution
from portfolios.reconciliation.lots import Change, OpenLots
from providers.reports import FeeReport, FillReport, OrderSide

D = Decimal
ZERO = D(0)
# A loaded machine makes examples slowly; that is no fault of what is tested.
quick = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
positive = st.decimals(min_value=D("0.00000001"), max_value=D(1_000_000), places=8)
sides = st.sampled_from(OrderSide)
ORDER = OrderFacts(base="ADA", quote="EUR", side=OrderSide.BUY, filled=D(0), price=D(2))


def make_fill(amount: Decimal, price: Decimal, fee: Decimal) -> FillReport:
    return FillReport(
        external_id="1",
        order_external_id="7",
        symbol="ADA/EUR",
        side=OrderSide.BUY,
        price=price,
        amount=amount,
        cost=exact_mul(amount, price),
        fees=(FeeReport("BNB", fee), FeeReport("EUR", -fee)),
    )


fills = st.lists(st.builds(make_fill, positive, positive, positive), min_size=1, max_size=6)


@dataclass
class Ledger:
    """The entries of one order, as the database would keep them."""

    order: OrderFacts
    bookings: list[Pending] = field(default_factory=list)

    def book(self, order: OrderFacts, known: Sequence[FillReport]) -> Pending:
        change = pending(order, execution(order, known), self.booked())
        self.bookings.append(change)
        return change

    def booked(self) -> Booked:
        assets = {asset for change in self.bookings for asset in change.fees}
        return Booked(
            base=exact_sum(change.base for change in self.bookings),
            quote=exact_sum(change.quote for change in self.bookings),
            fees={
                asset: exact_sum(change.fees.get(asset, D(0)) for change in self.bookings)
                for asset in assets
            },
        )


def reported(side: OrderSide, so_far: Sequence[FillReport], *, tells_cost: bool) -> OrderFacts:
    cost = exact_sum(fill.cost for fill in so_far)
    return replace(
        ORDER,
        side=side,
        filled=exact_sum(fill.amount for fill in so_far),
        cost=cost if tells_cost else None,
    )


@st.composite
def split_reports(draw: st.DrawFn) -> tuple[OrderSide, list[FillReport], list[tuple[int, int]]]:
    """Give an order's fills and the looks at it: how many have happened, and of how many the details are known."""
    all_fills = draw(fills)
    count = len(all_fills)
    happened = sorted(draw(st.lists(st.integers(1, count), max_size=5)))
    known = accumulate((draw(st.integers(0, seen)) for seen in happened), max)
    return draw(sides), all_fills, [*zip(happened, known, strict=True), (count, count)]


@quick
@given(split_reports(), st.booleans())
def test_booking_in_parts_ends_where_booking_at_once_ends(
    split: tuple[OrderSide, list[FillReport], list[tuple[int, int]]],
    tells_cost: bool,
) -> None:
    side, all_fills, looks = split
    in_parts, at_once = Ledger(ORDER), Ledger(ORDER)

    for happened, known in looks:
        order = reported(side, all_fills[:happened], tells_cost=tells_cost)
        in_parts.book(order, all_fills[:known])
    at_once.book(reported(side, all_fills, tells_cost=tells_cost), all_fills)

    assert non_zero(in_parts.booked()) == non_zero(at_once.booked())


@quick
@given(split_reports())
def test_the_ledger_ends_at_the_exact_sums_of_the_fills(
    split: tuple[OrderSide, list[FillReport], list[tuple[int, int]]],
) -> None:
    side, all_fills, _ = split
    ledger = Ledger(ORDER)

    ledger.book(reported(side, all_fills, tells_cost=True), all_fills)

    booked = ledger.booked()
    in_, out = (booked.base, booked.quote) if side is OrderSide.BUY else (booked.quote, booked.base)
    amount = exact_sum(fill.amount for fill in all_fills)
    cost = exact_sum(fill.cost for fill in all_fills)
    received, given_away = (amount, cost) if side is OrderSide.BUY else (cost, amount)
    # Compared without arithmetic: the default context would round what was kept exact.
    assert (in_, out.copy_negate()) == (received, given_away)
    assert (
        exact_sum((booked.fees or {}).values()) == 0
    )  # a fee in one coin, as much back in the other


@quick
@given(split_reports())
def test_the_same_facts_again_book_nothing(
    split: tuple[OrderSide, list[FillReport], list[tuple[int, int]]],
) -> None:
    side, all_fills, _ = split
    ledger = Ledger(ORDER)
    order = reported(side, all_fills, tells_cost=True)
    ledger.book(order, all_fills)

    assert not ledger.book(order, all_fills)


@quick
@given(fills)
def test_fills_that_come_after_the_totals_correct_them_by_exactly_the_difference(
    all_fills: list[FillReport],
) -> None:
    ledger = Ledger(ORDER)
    order = reported(OrderSide.BUY, all_fills, tells_cost=False)
    ledger.book(order, ())  # at the limit price, for want of a better one
    estimated = exact_mul(D(2), order.filled)

    change = ledger.book(order, all_fills)

    assert change.base == 0
    assert change.quote == difference(estimated, exact_sum(fill.cost for fill in all_fills))


def non_zero(booked: Booked) -> tuple[Decimal, Decimal, dict[str, Decimal]]:
    fees = {asset: amount for asset, amount in (booked.fees or {}).items() if amount}
    return booked.base, booked.quote, fees


@dataclass
class Holding:
    amount: Decimal = ZERO
    cost: Decimal = ZERO
    gain: Decimal = ZERO
    cash: Decimal = ZERO
    history: list[Change] = field(default_factory=list)

    def trade(self, side: OrderSide, amount: Decimal, quote: Decimal) -> None:
        sign = 1 if side is OrderSide.BUY else -1
        change = Pending(base=sign * amount, quote=-sign * quote, fees={})
        cost, gain = cost_and_gain(replace(ORDER, side=side), change, OpenLots(self.history))
        self.history.append(Change(change.base, cost))
        self.amount = exact_sum((self.amount, change.base))
        self.cost = exact_sum((self.cost, cost))
        self.gain = exact_sum((self.gain, gain))
        self.cash = exact_sum((self.cash, change.quote))


trades = st.lists(st.tuples(sides, positive, positive), max_size=12)


@quick
@given(trades, positive)
def test_when_everything_is_sold_no_cost_is_left_and_all_cash_is_gain(
    life: list[tuple[OrderSide, Decimal, Decimal]], proceeds: Decimal
) -> None:
    holding = Holding()
    for side, amount, quote in life:
        wanted = amount if side is OrderSide.BUY else min(amount, holding.amount)
        if wanted:
            holding.trade(side, wanted, quote)
    if holding.amount:
        holding.trade(OrderSide.SELL, holding.amount, proceeds)

    assert (holding.amount, holding.cost) == (D(0), D(0))
    assert holding.gain == holding.cash


@quick
@given(positive, positive, positive)
def test_a_correction_after_everything_was_sold_is_gain(
    amount: Decimal, paid: Decimal, more: Decimal
) -> None:
    holding = Holding()
    holding.trade(OrderSide.BUY, amount, paid)
    holding.trade(OrderSide.SELL, amount, paid)
    holding.trade(OrderSide.BUY, D(0), more)

    assert (holding.cost, holding.gain) == (D(0), -more)


def test_a_sale_of_a_part_takes_its_part_of_the_cost() -> None:
    holding = Holding()
    holding.trade(OrderSide.BUY, D(4), D(40))

    holding.trade(OrderSide.SELL, D(1), D(13))

    assert (holding.cost, holding.gain) == (D(30), D(3))


def test_what_was_never_bought_gains_nothing_until_it_is_bought_back() -> None:
    holding = Holding()

    holding.trade(OrderSide.SELL, D(1), D(13))
    sold = holding.cost, holding.gain
    holding.trade(OrderSide.BUY, D(1), D(10))

    assert sold == (D(-13), D(0))
    assert (holding.cost, holding.gain) == (D(0), D(3))


def test_of_a_sale_of_more_than_is_held_only_what_is_held_is_gained() -> None:
    holding = Holding()
    holding.trade(OrderSide.BUY, D(2), D(20))

    holding.trade(OrderSide.SELL, D(5), D(50))

    assert (holding.cost, holding.gain) == (D(-30), D(0))


def test_of_a_purchase_of_more_than_is_owed_the_cost_is_that_of_what_is_held_then() -> None:
    holding = Holding()
    holding.trade(OrderSide.SELL, D(3), D(30))

    holding.trade(OrderSide.BUY, D(4), D(32))

    assert (holding.cost, holding.gain) == (D(8), D(6))


def test_a_later_price_of_what_is_owed_still_is_no_gain() -> None:
    holding = Holding()
    holding.trade(OrderSide.SELL, D(3), D(30))

    holding.trade(OrderSide.SELL, D(0), D(1))

    assert (holding.cost, holding.gain) == (D(-31), D(0))


def test_of_a_purchase_undone_nothing_is_gained() -> None:
    lots = OpenLots([Change(D(4), D(4)), Change(D(4), D(8))])
    undone = Pending(base=D(-4), quote=D(8), fees={})

    assert cost_and_gain(ORDER, undone, lots, Traded(D(4), D(8))) == (D(-8), D(0))


def test_of_a_sale_undone_its_cost_is_back_and_its_gain_is_none() -> None:
    lots = OpenLots([Change(D(1), D(1))])
    undone = Pending(base=D(2), quote=D(-10), fees={})
    booked = Traded(base=D(-4), cost=D(-4), gain=D(16))

    sale = replace(ORDER, side=OrderSide.SELL)

    assert cost_and_gain(sale, undone, lots, booked) == (D(2), D(-8))


@quick
@given(trades, positive)
def test_when_nothing_is_held_nor_owed_no_cost_is_left_and_all_cash_is_gain(
    life: list[tuple[OrderSide, Decimal, Decimal]], quote: Decimal
) -> None:
    holding = Holding()
    for side, amount, paid in life:
        holding.trade(side, amount, paid)
    if holding.amount:
        side = OrderSide.SELL if holding.amount > 0 else OrderSide.BUY
        holding.trade(side, holding.amount.copy_abs(), quote)

    assert (holding.amount, holding.cost) == (D(0), D(0))
    assert holding.gain == holding.cash


@pytest.mark.parametrize(
    ("due", "booked", "cut"),
    [("5", "3", "3"), ("-5", "-3", "-3"), ("2", "3", "2"), ("2", "-3", "0"), ("2", "0", "0")],
)
def test_a_change_is_cut_to_what_was_booked_of_each_part(due: str, booked: str, cut: str) -> None:
    amount, limit = D(due), D(booked)

    change = within(
        Pending(amount, -amount, {"BNB": amount}), Booked(limit, -limit, {"BNB": limit})
    )

    fees = {"BNB": D(cut)} if D(cut) else {}
    assert change == Pending(D(cut), -D(cut), fees)


def test_what_is_left_of_a_change_goes_below_zero_where_too_much_was_booked() -> None:
    change = less(Pending(D(5), D(-10), {"BNB": D(1)}), Booked(D(7), D(-10), {"EUR": D(2)}))

    assert change == Pending(D(-2), D(0), {"BNB": D(1), "EUR": D(-2)})
