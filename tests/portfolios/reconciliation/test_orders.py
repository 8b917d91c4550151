"""Joining reports of one order: what counts is what they say, not when they arrive."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import reduce
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolios.reconciliation.orders import (
    Conflict,
    OrderState,
    amendment,
    conflicts,
    is_another,
    merged_order,
)
from providers.reports import FeeReport, OrderReport, OrderSide, OrderStatus, OrderType
from tests.hypothesis_profiles import CASES_OF_A_LAW, Pick, picks

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
quick = settings(max_examples=CASES_OF_A_LAW, deadline=None, database=None)


def make_report(**kwargs: Any) -> OrderReport:
    defaults: dict[str, Any] = {
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
    return OrderReport(**defaults | kwargs)


def joined(reports: list[OrderReport], known: OrderState = BOOKED) -> OrderState:
    return reduce(merged_order, reports, known)


def a_life(pick: Pick) -> list[OrderReport]:
    """Tell one order's life as one exchange tells it: every report is true at its time, some fields never told."""
    tells_times, tells_cost, tells_fees = (pick.random() < 0.5 for _ in range(3))
    filled, life = D(0), []
    for step in range(pick.randint(1, 6)):
        filled += pick.choice((D(0), D(10)))
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
    if pick.random() < 0.5:
        end = pick.choice(ENDS)
        last_time = life[-1].updated_at
        later = last_time + timedelta(seconds=1) if last_time else None
        life.append(replace(life[-1], status=end, raw_status=end.value, updated_at=later))
    return life


@quick
@given(picks)
def test_reports_in_any_order_and_number_give_what_the_newest_alone_gives(pick: Pick) -> None:
    life = a_life(pick)
    copies = [*pick.choices(life, k=pick.randint(0, 10)), life[-1]]
    pick.shuffle(copies)

    assert joined(copies) == joined([life[-1]])


def any_facts(number: int) -> OrderReport:
    """Make one of all the reports that might be told of one order, true or not, each field perhaps untold.

    Few values, so that reports often agree in one thing and contradict each other in another. Without a time, only the
    order of arrival tells which of two terms are newer: they are the book's then.
    """
    pick = Random(number)  # noqa: S311 - no secret
    amounts = [None, *map(Decimal, range(4))]
    times = [NOON + timedelta(seconds=second) for second in range(3)]
    is_timed = pick.random() < 0.7
    fees = [FeeReport(asset, D(pick.randint(-2, 2))) for asset in ("BNB", "EUR", "EUR")]
    return make_report(
        client_order_id=pick.choice(["", "a-1"]),
        type=pick.choice([None, *OrderType]),
        status=pick.choice([None, OrderStatus.OPEN, *ENDS]),
        raw_status=pick.choice(["", "NEW", "FILLED", "refunded"]),
        amount=pick.choice(amounts if is_timed else [None, BOOKED.amount]),
        price=pick.choice(amounts if is_timed else [None, BOOKED.price]),
        filled=pick.choice(amounts),
        average=pick.choice(amounts),
        cost=pick.choice(amounts),
        fees=tuple(pick.sample(fees, pick.randint(0, 2))),
        created_at=pick.choice([None, *times]),
        updated_at=pick.choice(times) if is_timed else None,
    )


def any_book(number: int) -> OrderState:
    pick = Random(number)  # noqa: S311 - no secret
    return replace(
        BOOKED,
        status=pick.choice(list(OrderStatus)),
        price=pick.choice([None, BOOKED.price]),
        filled=D(pick.randint(0, 3)),
        cost=pick.choice([None, D(1), D(2)]),
        type=pick.choice([None, *OrderType]),
    )


# Out of a pool, thousands of cases are a matter of seconds.
REPORTS = [any_facts(number) for number in range(3000)]
BOOKS = [any_book(number) for number in range(300)]


def some_reports(pick: Pick, most: int = 8) -> list[OrderReport]:
    return pick.choices(REPORTS, k=pick.randint(1, most))


def shuffled_and_doubled(told: list[OrderReport], pick: Pick) -> list[OrderReport]:
    more = [*told, *told[:2]]
    pick.shuffle(more)
    return more


@quick
@given(picks)
def test_any_reports_in_any_order_and_number_give_one_state(pick: Pick) -> None:
    book, told = pick.choice(BOOKS), some_reports(pick, 5)

    assert joined(shuffled_and_doubled(told, pick), book) == joined(told, book)


@quick
@given(picks)
def test_replaying_all_reports_changes_nothing(pick: Pick) -> None:
    told = some_reports(pick, 5)
    state = joined(told, pick.choice(BOOKS))

    assert joined(shuffled_and_doubled(told, pick), state) == state


def test_a_report_that_tells_nothing_changes_nothing() -> None:
    nothing = OrderReport("", "ADA/EUR", None, None, None, None, None)

    assert [merged_order(book, nothing) for book in BOOKS] == BOOKS


@quick
@given(picks)
def test_no_report_contradicts_the_state_that_it_has_just_made(pick: Pick) -> None:
    book, report = pick.choice(BOOKS), pick.choice(REPORTS)
    state = merged_order(replace(book, status=OrderStatus.OPEN, filled=D(0)), report)

    assert conflicts(state, report) == ()


@quick
@given(picks)
def test_filled_never_falls_whatever_is_reported(pick: Pick) -> None:
    state = BOOKED
    for report in some_reports(pick):
        following = merged_order(state, report)
        assert following.filled == max(state.filled, report.filled or D(0))
        state = following


@quick
@given(picks)
def test_an_order_that_has_ended_does_not_open_again(pick: Pick) -> None:
    state = BOOKED
    for report in some_reports(pick):
        following = merged_order(state, report)
        assert following.status.is_terminal >= state.status.is_terminal
        state = following


@quick
@given(picks)
def test_a_report_that_comes_twice_changes_nothing_the_second_time(pick: Pick) -> None:
    *earlier, report = some_reports(pick, 6)
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


def test_an_amount_of_zero_is_not_told() -> None:
    terms = joined([make_report(), make_report(amount=D(0), price=D(3))])

    assert (terms.amount, terms.price) == (make_report().amount, make_report().price)


def test_a_triggered_order_stays_a_stop_and_is_as_old_as_its_book_says() -> None:
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


def test_of_two_costs_of_one_amount_the_larger_counts_in_any_order() -> None:
    # ccxt multiplies a rounded average: 31.99... where 32 was paid.
    derived = make_report(filled=D(10), cost=D("31.999999999999999998"))
    told = make_report(filled=D(10), cost=D(32))

    assert joined([derived, told]).cost == joined([told, derived]).cost == D(32)


def test_fees_of_several_assets_add_up_as_they_are_told() -> None:
    first = make_report(filled=D(10), fees=(FeeReport("BNB", D(1)),))
    later = make_report(filled=D(20), fees=(FeeReport("EUR", D(2)), FeeReport("BNB", D(1))))

    state = joined([first, later, make_report(filled=D(20))])

    assert state.fees == (FeeReport("BNB", D(1)), FeeReport("EUR", D(2)))


def test_a_rebate_that_grew_is_the_larger_one() -> None:
    reports = [make_report(fees=(FeeReport("BNB", D(fee)),)) for fee in (-1, -2)]

    assert joined(reports).fees == joined(reports[::-1]).fees == (FeeReport("BNB", D(-2)),)


def at(second: int, **told: Any) -> OrderReport:
    return make_report(updated_at=NOON + timedelta(seconds=second), **told)


# O06
def test_an_order_that_is_seen_again_is_open_as_before() -> None:
    state = joined([make_report(filled=D(30))])

    assert merged_order(state, make_report(filled=D(30))) == state


# O10
def test_a_filled_order_that_a_stale_list_still_shows_open_stays_filled() -> None:
    filled = joined([make_report(status=OrderStatus.CLOSED, raw_status="FILLED", filled=D(100))])

    assert merged_order(filled, make_report(filled=D(40))) == filled


# O17
@pytest.mark.parametrize("is_timed", [True, False])
def test_an_amended_price_is_followed_up_and_down(is_timed: bool) -> None:
    state = BOOKED
    for second, price in enumerate((D(2), D(3), D("1.5"))):
        report = at(second, price=price) if is_timed else make_report(price=price)
        before, state = state, merged_order(state, report)
        assert (state.price, amendment(before, state)) == (price, price != D(2))


# O18
@pytest.mark.parametrize("is_timed", [True, False])
def test_an_amount_that_the_exchange_lowered_is_followed(is_timed: bool) -> None:
    before = joined([at(0) if is_timed else make_report()])

    after = merged_order(before, at(1, amount=D(80)) if is_timed else make_report(amount=D(80)))

    assert (after.amount, amendment(before, after)) == (D(80), True)
    assert conflicts(before, at(1, amount=D(80))) == ()


def test_terms_of_an_older_copy_are_not_taken() -> None:
    amended = joined([at(5, amount=D(80), price=D(3))])

    after = merged_order(amended, at(4))

    assert (after.amount, after.price, amendment(amended, after)) == (D(80), D(3), False)


@pytest.mark.parametrize("shown", [{"filled": D(40)}, {"status": OrderStatus.CANCELED}])
def test_an_older_copy_without_a_time_is_known_by_what_came_after_it(shown: dict[str, Any]) -> None:
    newer = make_report(amount=D(80), **shown)

    assert joined([newer, make_report()]).amount == D(80)


def test_terms_that_are_told_of_one_moment_are_the_same_in_any_order() -> None:
    reports = [at(1, price=D(3)), at(1, price=D(4))]

    assert joined(reports).price == joined(reports[::-1]).price == D(4)


def test_a_report_without_a_time_does_not_replace_terms_that_have_one() -> None:
    assert joined([at(1, price=D(3)), make_report(price=D(4))]).price == D(3)


def test_the_terms_of_an_end_are_the_newest_although_it_is_told_without_a_time() -> None:
    end = make_report(status=OrderStatus.CLOSED, raw_status="FILLED", price=D(4))
    reports = [at(1, price=D(3)), end]

    assert joined(reports).price == joined(reports[::-1]).price == D(4)


@pytest.mark.parametrize("told", [{}, {"filled": D(40)}, {"status": OrderStatus.CANCELED}])
def test_what_leaves_the_terms_alone_is_no_amendment(told: dict[str, Any]) -> None:
    before = joined([at(0)])

    assert not amendment(before, merged_order(before, at(1, **told)))


def test_a_price_told_for_the_first_time_is_no_amendment() -> None:
    before = replace(BOOKED, price=None)

    after = merged_order(before, make_report())

    assert (after.price, amendment(before, after)) == (D(2), False)


# O19
def test_one_report_of_less_filled_changes_nothing_and_is_named() -> None:
    known = joined([make_report(filled=D(30))])
    less = make_report(filled=D(20))

    assert merged_order(known, less) == known
    assert conflicts(known, less) == (Conflict.FILL_AHEAD,)


def test_less_filled_in_an_older_copy_is_no_conflict() -> None:
    known = joined([at(2, filled=D(30))])

    assert conflicts(known, at(1, filled=D(20))) == ()


# O20
def test_a_rejection_that_is_told_as_a_cancellation_too_is_named() -> None:
    rejected = joined([make_report(status=OrderStatus.REJECTED)])
    canceled = make_report(status=OrderStatus.CANCELED)

    assert conflicts(rejected, canceled) == (Conflict.STATE,)
    assert merged_order(rejected, canceled).status == OrderStatus.CANCELED


# O21
def test_an_order_that_filled_while_it_was_being_cancelled_is_filled() -> None:
    pending_cancel = make_report(raw_status="PENDING_CANCEL", filled=D(30))
    filled = make_report(status=OrderStatus.CLOSED, raw_status="FILLED", filled=D(100))

    state = joined([pending_cancel, filled])

    assert (state.status, state.filled) == (OrderStatus.CLOSED, D(100))
    assert conflicts(joined([pending_cancel]), filled) == ()


# O22
def test_all_filled_without_a_word_stays_open_and_filled() -> None:
    state = joined([make_report(status=None, raw_status="", filled=D(100))], opened())

    assert (state.status, state.filled) == (OrderStatus.OPEN, state.amount)


def opened() -> OrderState:
    return joined([make_report()])


# O24
@pytest.mark.parametrize("order", [1, -1])
def test_of_two_copies_in_one_list_the_one_that_went_further_is_kept(order: int) -> None:
    copies = [make_report(filled=D(10), cost=D(20)), make_report(filled=D(40), cost=D(81))]

    state = joined(copies[::order])

    assert (state.filled, state.cost) == (D(40), D(81))


def ended(status: OrderStatus, filled: int = 30) -> OrderState:
    return joined([make_report(status=status, filled=D(filled))])


@pytest.mark.parametrize(
    ("known", "told", "filled", "found"),
    [
        ("closed", "canceled", 30, ()),
        ("closed", "canceled", None, ()),
        ("closed", "canceled", 40, (Conflict.STATE,)),
        ("closed", "canceled", 20, (Conflict.STATE, Conflict.FILL_AHEAD)),
        ("canceled", "closed", 30, (Conflict.STATE,)),
        ("canceled", "expired", 30, (Conflict.STATE,)),
        ("canceled", "canceled", 30, ()),
        ("canceled", "canceled", 40, ()),
        ("canceled", "open", 30, (Conflict.REGRESSION,)),
        ("canceled", "open", 40, (Conflict.REGRESSION,)),
        ("canceled", None, 30, ()),
        ("lapsed", "open", 30, (Conflict.RESURRECTED,)),
        ("lapsed", "canceled", 30, (Conflict.RESURRECTED,)),
        ("lapsed", None, 30, ()),
        ("open", "canceled", 30, ()),
        ("created", "rejected", 30, ()),
    ],
)
def test_ends_that_cannot_both_hold_are_named(
    known: str, told: str | None, filled: int | None, found: tuple[Conflict, ...]
) -> None:
    state = replace(ended(OrderStatus.CLOSED), status=OrderStatus(known))
    report = make_report(
        status=None if told is None else OrderStatus(told),
        filled=None if filled is None else D(filled),
    )

    assert conflicts(state, report) == found


def test_an_older_copy_of_an_open_order_is_no_regression() -> None:
    known = joined([at(2, status=OrderStatus.CANCELED)])

    assert conflicts(known, at(1)) == ()
    assert conflicts(known, at(3)) == (Conflict.REGRESSION,)


@pytest.mark.parametrize(
    ("hours", "told", "is_later"),
    [
        (25, {"status": OrderStatus.OPEN}, True),
        (25, {"status": OrderStatus.CLOSED, "amount": D(7)}, True),
        (25, {"status": OrderStatus.CLOSED}, False),
        (25, {"status": OrderStatus.CLOSED, "amount": D(0)}, False),
        (24, {"status": OrderStatus.OPEN}, False),
        (None, {"status": OrderStatus.OPEN}, False),
    ],
)
def test_an_order_made_a_day_after_the_end_of_one_with_its_id_is_another(
    hours: int | None, told: dict[str, Any], *, is_later: bool
) -> None:
    known = replace(ended(OrderStatus.CLOSED), created_at=NOON, updated_at=NOON)
    made = None if hours is None else NOON + timedelta(hours=hours)

    assert is_another(known, make_report(created_at=made, **told)) is is_later
    assert not is_another(replace(known, status=OrderStatus.OPEN), make_report(created_at=made))


def test_a_filled_order_stays_filled_when_it_is_called_cancelled() -> None:
    assert (
        merged_order(ended(OrderStatus.CLOSED), make_report(status=OrderStatus.CANCELED)).status
        == OrderStatus.CLOSED
    )


# O09
def test_a_lapsed_order_keeps_what_it_had_filled_until_the_exchange_shows_it() -> None:
    lapsed = replace(opened(), status=OrderStatus.LAPSED, filled=D(30))

    assert joined([make_report(filled=D(30))], lapsed).status == OrderStatus.OPEN
    assert joined([make_report(status=None, filled=None)], lapsed) == lapsed
