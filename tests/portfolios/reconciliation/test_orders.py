"""Joining reports of one order: what counts is what they say, not when they arrive."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolios.reconciliation.orders import OrderState, merged_order
from providers.reports import FeeReport, OrderReport, OrderSide, OrderStatus, OrderType

D = Decimal
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
BOOKED = OrderState(
    status=OrderStatus.CREATED,
    amount=D(100),
    filled=D(0),
    client_order_id="a-1",
    price=D(2),
)
ENDS = [
    OrderStatus.CLOSED,
    OrderStatus.CANCELED,
    OrderStatus.EXPIRED,
    OrderStatus.REJECTED,
]
quick = settings(deadline=None, database=None)


def make_report(**kwargs: object) -> OrderReport:
    defaults: dict[str, object] = {
        "external_id": "1",
        "client_order_id": "a-1",
        "symbol": "ADA/EUR",
        "side": OrderSide.BUY,
        "type": OrderType.LIMIT,
        "status": OrderStatus.OPEN,
        "raw_status": "NEW",
        "amount": D(100),
        "filled": D(0),
        "price": D(2),
    }
    return OrderReport(**(defaults | kwargs))  # type: ignore[arg-type] # a test names what matters


def joined(reports: list[OrderReport], known: OrderState = BOOKED) -> OrderState:
    return reduce(merged_order, reports, known)


@st.composite
def histories(draw: st.DrawFn) -> list[OrderReport]:
    """Tell one order's life as one exchange tells it: every report is true at its time, some fields never told."""
    tells_times, tells_cost, tells_fees = draw(st.tuples(*[st.booleans()] * 3))
    is_filled = draw(st.lists(st.booleans(), min_size=1, max_size=6))
    filled, life = D(0), []
    for step, fills_more in enumerate(is_filled):
        filled += D(10) if fills_more else D(0)
        # Only its time tells an amended order from what it was before.
        amount = D(100 + step) if tells_times else D(100)
        life.append(
            make_report(
                amount=amount,
                filled=filled,
                cost=filled * 2 if tells_cost else None,
                fees=(FeeReport("BNB", filled / 1000),) if tells_fees else (),
                updated_at=NOON + timedelta(seconds=step) if tells_times else None,
                created_at=NOON,
            )
        )
    if draw(st.booleans()):
        end = draw(st.sampled_from(ENDS))
        last_time = life[-1].updated_at
        later = last_time + timedelta(seconds=1) if last_time else None
        life.append(replace(life[-1], status=end, raw_status=end.value, updated_at=later))
    return life


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[OrderReport], list[OrderReport]]:
    """Pair a life with copies of its reports, doubled and in any order, the newest among them."""
    life = draw(histories())
    copies = draw(st.lists(st.sampled_from(life), max_size=10))
    return life, draw(st.permutations([*copies, life[-1]]))


@quick
@given(arrivals())
def test_reports_in_any_order_and_number_give_what_the_newest_alone_gives(
    pair: tuple[list[OrderReport], list[OrderReport]],
) -> None:
    life, arrived = pair

    assert joined(arrived) == joined([life[-1]])


amounts = st.decimals(min_value=0, max_value=1000, places=2)
any_report = st.builds(
    make_report,
    status=st.none() | st.sampled_from([OrderStatus.OPEN, *ENDS]),
    amount=st.none() | amounts,
    filled=st.none() | amounts,
    price=st.none() | amounts,
    average=st.none() | amounts,
    cost=st.none() | amounts,
    fees=st.just(()) | st.builds(lambda x: (FeeReport("BNB", x),), amounts),
    updated_at=st.none() | st.integers(0, 5).map(lambda s: NOON + timedelta(seconds=s)),
)


@quick
@given(st.lists(any_report, max_size=8))
def test_filled_never_falls_whatever_is_reported(reports: list[OrderReport]) -> None:
    state = BOOKED
    for report in reports:
        following = merged_order(state, report)
        assert following.filled == max(state.filled, report.filled or D(0))
        state = following


@quick
@given(st.lists(any_report, max_size=8))
def test_an_order_that_has_ended_does_not_open_again(reports: list[OrderReport]) -> None:
    state = BOOKED
    for report in reports:
        following = merged_order(state, report)
        assert following.status.is_terminal >= state.status.is_terminal
        state = following


@quick
@given(st.lists(any_report, max_size=5), any_report)
def test_a_report_that_comes_twice_changes_nothing_the_second_time(
    earlier: list[OrderReport], report: OrderReport
) -> None:
    once = merged_order(joined(earlier), report)

    assert merged_order(once, report) == once


@quick
@given(st.permutations(ENDS))
def test_ends_that_contradict_each_other_give_the_same_end_in_any_order(
    ends: list[OrderStatus],
) -> None:
    assert joined([make_report(status=end) for end in ends]).status == OrderStatus.CLOSED


def test_a_word_that_is_not_known_leaves_the_status() -> None:
    state = joined([make_report(), make_report(status=None, raw_status="refunded")])

    assert (state.status, state.raw_status) == (OrderStatus.OPEN, "NEW")


def test_what_is_filled_counts_even_under_a_word_that_is_not_known() -> None:
    assert joined([make_report(status=None, filled=D(30))]).filled == D(30)


@pytest.mark.parametrize("missing", ["amount", "price", "filled", "cost", "average", "type"])
def test_what_is_not_reported_leaves_the_books_as_they_are(missing: str) -> None:
    told = {"filled": D(40), "cost": D(80), "average": D(2)}

    state = joined([make_report(**told), make_report(**told | {missing: None})])

    assert getattr(state, missing) == getattr(make_report(**told), missing)


def test_type_and_creation_time_of_the_book_are_kept() -> None:
    known = replace(BOOKED, type=OrderType.STOP, created_at=NOON)

    state = joined([make_report(created_at=NOON + timedelta(days=1))], known)

    assert (state.type, state.created_at) == (OrderType.STOP, NOON)


def test_the_cost_of_less_is_forgotten_when_more_is_filled_and_no_cost_is_told() -> None:
    state = joined([make_report(filled=D(10), cost=D(20)), make_report(filled=D(30))])

    assert (state.filled, state.cost) == (D(30), None)


def test_a_late_fill_counts_after_the_end_which_stays() -> None:
    state = joined(
        [
            make_report(status=OrderStatus.CANCELED, filled=D(30), cost=D(60)),
            make_report(status=OrderStatus.OPEN, filled=D(50), cost=D(100)),
        ]
    )

    assert (state.status, state.filled, state.cost) == (OrderStatus.CANCELED, D(50), D(100))


def test_what_the_exchange_says_outweighs_what_was_concluded_here() -> None:
    lapsed = replace(BOOKED, status=OrderStatus.LAPSED)

    assert joined([make_report()], lapsed).status == OrderStatus.OPEN


def test_an_older_copy_does_not_bring_back_what_was_corrected_since() -> None:
    corrected = make_report(filled=D(10), cost=D(19), updated_at=NOON + timedelta(seconds=1))
    older = make_report(filled=D(10), cost=D(20), updated_at=NOON)

    assert joined([corrected, older]).cost == D(19)
