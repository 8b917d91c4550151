"""No sum ever rounds, and none depends on its order: amounts of 36 digits under a context that would refuse to round.

The truth is told by fractions, which know no context. Where the code under test used the thread's own context for a
calculation, that would raise: it has room for nine digits and traps what is not exact.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from functools import reduce
from itertools import pairwise
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings

from portfolios.amounts import amount, difference, exact_mul, exact_sum, plain
from portfolios.reconciliation.booking import Booked, Pending, cost_and_gain, pending
from portfolios.reconciliation.execution import (
    OrderFacts,
    execution,
    fees_by_asset,
    lock,
    opening_cost,
)
from portfolios.reconciliation.lots import Change, OpenLots, cost_of_sold
from providers.reports import FeeReport, FillReport, OrderSide
from tests.hypothesis_profiles import CASES_OF_A_LAW, Pick, picks

D = Decimal
T = TypeVar("T")
# The context is set once for all cases of a test: nothing that is tested may change it.
quick = settings(
    max_examples=CASES_OF_A_LAW,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
MOST = 10**36 - 1
# Where mistakes would be: one unit, the largest amount, and around the places at which a context would round.
EDGES = (1, 9, 10, 10**9 - 1, 10**9, 10**18 - 1, 10**18, 10**27, 10**28 + 1, MOST - 1, MOST)
ORDER = OrderFacts(base="ADA", quote="EUR", side=OrderSide.BUY, filled=D(0))


@pytest.fixture(autouse=True)
def context_without_room() -> Iterator[None]:
    traps = [decimal.Inexact, decimal.InvalidOperation, decimal.FloatOperation]
    with decimal.localcontext(decimal.Context(prec=9, traps=traps)):
        yield


def positive(pick: Pick) -> Decimal:
    units = (
        pick.choice(EDGES)
        if pick.random() < 0.2
        else pick.randint(1, 10 ** pick.randint(1, 36) - 1)
    )
    return D(f"{units}e-18")


def signed(pick: Pick) -> Decimal:
    value = positive(pick)
    return pick.choice((value, value, value.copy_negate(), value.copy_negate(), D(0)))


def several(make: Callable[[Pick], T], pick: Pick, least: int, most: int) -> list[T]:
    return [make(pick) for _ in range(pick.randint(least, most))]


def some_fee(pick: Pick) -> FeeReport:
    return FeeReport(pick.choice(("ADA", "EUR", "BNB")), signed(pick))


def some_fill(pick: Pick) -> FillReport:
    charged = tuple(several(some_fee, pick, 0, 2))
    moved, cost = positive(pick), positive(pick)
    return FillReport("1", "7", "ADA/EUR", OrderSide.BUY, D(1), moved, cost, charged)


def some_fills(pick: Pick) -> list[FillReport]:
    return several(some_fill, pick, 1, 4)


def orders_of(values: Sequence[T]) -> list[Sequence[T]]:
    """Other orders of the same values: from the end, and with the two halves exchanged."""
    middle = len(values) // 2
    return [values[::-1], [*values[middle:], *values[:middle]]]


def total(values: Sequence[Decimal]) -> Fraction:
    return sum(map(Fraction, values), Fraction(0))


def fee_totals(charged: Sequence[FeeReport]) -> dict[str, Fraction]:
    sums: dict[str, Fraction] = {}
    for fee in charged:
        sums[fee.asset] = sums.get(fee.asset, Fraction(0)) + Fraction(fee.amount)
    return sums


def test_the_context_would_refuse_a_sum_of_its_own() -> None:
    with pytest.raises(decimal.Inexact):
        D("1234567890.1") + D("0.1")


@quick
@given(picks)
def test_a_sum_is_exact_in_any_order(pick: Pick) -> None:
    values = several(signed, pick, 0, 8)
    known = exact_sum(values)

    assert Fraction(known) == total(values)
    assert [plain(exact_sum(x)) for x in orders_of(values)] == [plain(known)] * 2
    assert plain(reduce(difference, values, known)) == "0"


@quick
@given(picks)
def test_a_product_is_exact_and_fits_into_the_database(pick: Pick) -> None:
    a, b = positive(pick), positive(pick)
    product = exact_mul(a, b)

    assert Fraction(product) == Fraction(a) * Fraction(b)
    assert amount(product) == product
    assert lock(replace(ORDER, price=a), b) == ("EUR", product)
    assert opening_cost(a, average=None, price=b) == product


@quick
@given(picks)
def test_what_fills_moved_and_cost_is_exact_in_any_order(pick: Pick) -> None:
    known = some_fills(pick)
    order = replace(ORDER, filled=exact_sum(fill.amount for fill in known))

    moved = execution(order, known)

    assert Fraction(moved.base) == total([fill.amount for fill in known])
    assert Fraction(moved.quote) == total([fill.cost for fill in known])
    charged = [fee for fill in known for fee in fill.fees]
    assert {asset: Fraction(fee) for asset, fee in moved.fees.items()} == fee_totals(charged)
    for other in orders_of(known):
        assert execution(order, other) == moved


@quick
@given(picks)
def test_bookings_in_any_parts_add_up_to_the_fills(pick: Pick) -> None:
    known, side = some_fills(pick), pick.choice(list(OrderSide))
    parts = sorted(pick.choices(range(5), k=pick.randint(0, 3)))
    booked: list[Pending] = []
    for part in [*parts, len(known)]:
        so_far = known[:part]
        order = replace(ORDER, side=side, filled=exact_sum(fill.amount for fill in so_far))
        change = pending(order, execution(order, so_far), sums(booked))
        booked.append(change)

    sign = 1 if side is OrderSide.BUY else -1
    assert total([change.base for change in booked]) == sign * total([x.amount for x in known])
    assert total([change.quote for change in booked]) == -sign * total([x.cost for x in known])
    charged = [FeeReport(asset, fee) for change in booked for asset, fee in change.fees.items()]
    expected = fee_totals([fee for fill in known for fee in fill.fees])
    assert non_zero(fee_totals(charged)) == non_zero({x: -fee for x, fee in expected.items()})


def sums(booked: Sequence[Pending]) -> Booked:
    charged = (FeeReport(asset, fee) for change in booked for asset, fee in change.fees.items())
    return Booked(
        base=exact_sum(change.base for change in booked),
        quote=exact_sum(change.quote for change in booked),
        fees=fees_by_asset(charged),
    )


def non_zero(totals: dict[str, Fraction]) -> dict[str, Fraction]:
    return {asset: value for asset, value in totals.items() if value}


@quick
@given(picks)
def test_the_part_that_only_the_order_tells_costs_exactly_the_rest(pick: Pick) -> None:
    known, more, told = some_fills(pick), positive(pick), pick.randint(0, 4)
    cost = exact_sum([*(fill.cost for fill in known), more])
    filled = exact_sum([*(fill.amount for fill in known), more])
    order = replace(ORDER, filled=filled, cost=cost)

    moved = execution(order, known[:told])

    assert (Fraction(moved.base), Fraction(moved.quote)) == (Fraction(filled), Fraction(cost))


@quick
@given(picks)
def test_what_is_sold_in_parts_takes_the_whole_cost_to_the_last_digit(pick: Pick) -> None:
    """Parts of a lot are rounded, and the rest stays with the lot."""
    buys = [(positive(pick), positive(pick)) for _ in range(pick.randint(1, 3))]
    cuts = several(positive, pick, 0, 3)
    history = [Change(bought, cost) for bought, cost in buys]
    held = exact_sum(bought for bought, _cost in buys)
    marks = sorted({D(0), *(cut for cut in cuts if cut < held), held})
    taken = []
    for start, end in pairwise(marks):
        sold = difference(end, start)
        taken.append(cost_of_sold(history, sold))
        history.append(Change(sold.copy_negate(), taken[-1].copy_negate()))

    assert total(taken) == total([cost for _bought, cost in buys])
    assert list(OpenLots(history)) == []


@quick
@given(picks)
def test_cost_and_gain_are_what_changed_hands(pick: Pick) -> None:
    before = [Change(signed(pick), signed(pick)) for _ in range(pick.randint(0, 3))]
    order = replace(ORDER, side=pick.choice(list(OrderSide)))
    change = Pending(base=signed(pick), quote=signed(pick), fees={})

    cost, gain = cost_and_gain(order, change, OpenLots(before))

    assert Fraction(gain) - Fraction(cost) == Fraction(change.quote)
