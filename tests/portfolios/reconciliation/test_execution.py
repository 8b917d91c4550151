"""What an order has moved, whatever of it is told by fills and whatever by its own totals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolios.amounts import exact_mul, exact_sum
from portfolios.reconciliation.execution import (
    Execution,
    OrderFacts,
    execution,
    lock,
    moved_before,
    opening_cost,
)
from providers.reports import FeeReport, FillReport, OrderSide

D = Decimal
quick = settings(deadline=None, database=None)
positive = st.decimals(min_value=D("0.00000001"), max_value=D(1_000_000), places=8)


def make_fill(amount: str | Decimal, price: str | Decimal, fee: str = "") -> FillReport:
    return FillReport(
        external_id="1",
        order_external_id="7",
        symbol="ADA/EUR",
        side=OrderSide.BUY,
        price=D(price),
        amount=D(amount),
        cost=exact_mul(D(amount), D(price)),
        fees=(FeeReport("BNB", D(fee)),) if fee else (),
    )


def facts(filled: str | Decimal, **kwargs: Decimal | tuple[FeeReport, ...] | None) -> OrderFacts:
    order = OrderFacts(base="ADA", quote="EUR", side=OrderSide.BUY, filled=D(filled))
    return replace(order, **kwargs)  # type: ignore[arg-type] # a test names what matters


fills = st.lists(st.builds(make_fill, positive, positive), min_size=1, max_size=8)


@quick
@given(fills)
def test_fills_that_are_all_known_are_summed_exactly(known: Sequence[FillReport]) -> None:
    filled = exact_sum(fill.amount for fill in known)

    moved = execution(facts(filled), known)

    assert (moved.base, moved.unpriced) == (filled, D(0))
    assert moved.quote == exact_sum(fill.cost for fill in known)


@quick
@given(fills, st.integers(0, 8))
def test_the_part_without_fills_takes_what_the_order_cost_beyond_them(
    all_fills: Sequence[FillReport], known: int
) -> None:
    cost = exact_sum(fill.cost for fill in all_fills)
    order = facts(exact_sum(fill.amount for fill in all_fills), cost=cost)

    moved = execution(order, all_fills[-known:] if known else ())

    assert (moved.base, moved.quote) == (order.filled, cost)


@quick
@given(positive, st.sampled_from([None, D(0)]))
def test_without_any_price_nothing_is_booked_never_at_a_cost_of_zero(
    filled: Decimal, nothing: Decimal | None
) -> None:
    moved = execution(facts(filled, price=nothing, average=nothing, cost=nothing), ())

    assert (moved.base, moved.quote, moved.unpriced) == (D(0), D(0), filled)


@pytest.mark.parametrize(
    ("known", "quote"),
    [
        ({"cost": D(90), "average": D(8), "price": D(10)}, "90"),
        ({"average": D(8), "price": D(10)}, "80"),
        ({"price": D(10)}, "100"),
    ],
)
def test_a_price_is_taken_from_cost_then_average_then_limit(
    known: dict[str, Decimal], quote: str
) -> None:
    assert execution(facts("10", **known), ()).quote == D(quote)


def test_what_was_filled_before_the_books_took_over_is_not_counted() -> None:
    order = facts("10", cost=D(100), opening_filled=D(4), opening_cost=D(40))

    moved = execution(order, ())

    assert (moved.base, moved.quote) == (D(6), D(60))


def test_of_fills_the_newest_are_beyond_the_opening() -> None:
    known = [make_fill("4", "10", "0.4"), make_fill("6", "11", "0.6")]

    moved = execution(facts("10", opening_filled=D(7)), known)

    assert (moved.base, moved.quote) == (D(3), D(33))
    assert moved.fees == {"BNB": D("0.3")}


def test_fills_that_tell_more_than_the_order_count() -> None:
    assert execution(facts("3", price=D(10)), [make_fill("5", "10")]).base == D(5)


def test_fees_of_the_order_are_taken_while_its_fills_tell_none() -> None:
    order = facts("5", price=D(10), fees=(FeeReport("BNB", D("0.01")),))

    assert execution(order, [make_fill("5", "10")]).fees == {"BNB": D("0.01")}


def test_fees_of_the_fills_replace_those_of_the_order() -> None:
    order = facts("5", price=D(10), fees=(FeeReport("BNB", D("0.01")),))

    assert execution(order, [make_fill("5", "10", "0.02")]).fees == {"BNB": D("0.02")}


def test_a_rebate_keeps_its_sign() -> None:
    assert execution(facts("5"), [make_fill("5", "10", "-0.02")]).fees == {"BNB": D("-0.02")}


def test_a_buy_locks_quote_at_its_price_and_a_sale_what_it_sells() -> None:
    order = facts("0", price=D("0.3"))

    assert lock(order, D(10)) == ("EUR", D(3))
    assert lock(replace(order, side=OrderSide.SELL), D(10)) == ("ADA", D(10))


def test_an_opening_is_priced_at_the_average_before_the_limit() -> None:
    assert opening_cost(D(4), average=D(9), price=D(10)) == D(36)
    assert opening_cost(D(4), average=None, price=D(10)) == D(40)


def test_a_part_for_which_the_order_costs_nothing_more_is_booked_at_its_limit() -> None:
    order = facts("10", cost=D(60), price=D(9))

    moved = execution(order, [make_fill("6", "10")])

    assert (moved.base, moved.quote) == (D(10), D(96))


BASELINE = datetime(2026, 1, 1, tzinfo=UTC)
_HOUR = timedelta(hours=1)
_TIMED = (
    replace(make_fill("2", "1", "0.1"), executed_at=BASELINE - _HOUR),
    replace(make_fill("3", "2", "0.2"), executed_at=BASELINE + _HOUR),
    replace(make_fill("5", "3", "0.3"), executed_at=BASELINE + 2 * _HOUR),
)


@pytest.mark.parametrize(
    ("opening", "moved"),
    [
        ("0", Execution(D(2), D(2), {"BNB": D("0.1")})),
        ("2", Execution()),
        ("5", Execution(D(-3), D(-6), {"BNB": D("-0.2")})),
        ("10", Execution(D(-8), D(-21), {"BNB": D("-0.5")})),
    ],
)
def test_what_an_opening_counts_of_after_the_baseline_had_not_moved_before_it(
    opening: str, moved: Execution
) -> None:
    assert moved_before(facts("10", opening_filled=D(opening)), _TIMED, BASELINE) == moved


def test_what_an_opening_counts_and_no_fill_tells_had_moved_before() -> None:
    order = facts("10", opening_filled=D(2), price=D(1))

    assert moved_before(order, _TIMED[1:], BASELINE) == Execution()


def test_of_an_order_created_later_nothing_had_moved_before_though_no_fill_is_told() -> None:
    fee = FeeReport("EUR", D("0.1"))
    order = facts("4", opening_filled=D(4), opening_cost=D(8), cost=D("7.6"), fees=(fee,))

    moved = moved_before(order, [], BASELINE, BASELINE + timedelta(seconds=1))

    assert moved == Execution(D(-4), D("-7.6"), {"EUR": D("-0.1")})


@pytest.mark.parametrize(("fills", "moved"), [((), D(10)), (_TIMED[:1], D(10)), (_TIMED[:2], D(2))])
def test_of_an_order_that_had_ended_all_had_moved_before_unless_a_fill_says_otherwise(
    fills: tuple[FillReport, ...], moved: Decimal
) -> None:
    assert moved_before(facts("10", price=D(1)), fills, BASELINE, ended_at=BASELINE).base == moved
