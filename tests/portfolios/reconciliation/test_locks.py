from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from portfolios.reconciliation.execution import OrderFacts
from portfolios.reconciliation.locks import (
    USUAL_FEE_RATE,
    Lock,
    fee_rate,
    is_unchanged_since,
    judge_used,
    looks_swapped,
    order_lock,
)
from portfolios.reconciliation.verdicts import Verdict
from providers.reports import OrderSide

D = Decimal
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def facts(side: OrderSide = OrderSide.BUY, **values: Any) -> OrderFacts:
    return OrderFacts("ADA", "EUR", side, **{"filled": D(4), "price": D(2)} | values)


def locked(order: OrderFacts, *, is_open: bool = True, is_certain: bool = True) -> Lock:
    return order_lock(order, D(10), is_open=is_open, is_certain=is_certain)


def certain(amount: str) -> Lock:
    return Lock("EUR", D(amount), D(amount), D(amount))


def doubtful(amount: str) -> Lock:
    return Lock("EUR", D(0), D(amount), D(amount))


@pytest.mark.parametrize(
    ("side", "asset", "amount"), [(OrderSide.BUY, "EUR", D(12)), (OrderSide.SELL, "ADA", D(6))]
)
def test_an_order_without_doubt_locks_its_open_rest(
    side: OrderSide, asset: str, amount: Decimal
) -> None:
    assert locked(facts(side)) == Lock(asset, amount, amount, amount)


@pytest.mark.parametrize(
    ("side", "asset", "amount", "rest"),
    [(OrderSide.BUY, "EUR", D(20), D(12)), (OrderSide.SELL, "ADA", D(10), D(6))],
)
def test_a_doubtful_order_may_lock_all_of_it_or_nothing(
    side: OrderSide, asset: str, amount: Decimal, rest: Decimal
) -> None:
    assert locked(facts(side), is_certain=False) == Lock(asset, D(0), amount, rest)


def test_the_lock_of_an_order_that_has_just_ended_may_still_show() -> None:
    assert locked(facts(), is_open=False, is_certain=False) == Lock("EUR", D(0), D(20), D(0))


def test_a_purchase_without_a_price_may_lock_any_amount_while_it_is_open() -> None:
    assert locked(facts(price=None)).high is None
    assert locked(facts(price=None), is_open=False, is_certain=False).high == 0


@pytest.mark.parametrize(
    ("moments", "is_unchanged"),
    [
        ([NOON, None], True),
        ([NOON - timedelta(days=1), NOON + timedelta(milliseconds=1)], False),
        ([None, None], False),
    ],
)
def test_an_order_is_unchanged_if_all_its_known_times_are_old(
    moments: list[datetime | None], is_unchanged: bool
) -> None:
    assert is_unchanged_since(moments, NOON) is is_unchanged


@pytest.mark.parametrize(
    ("used", "locks", "verdict"),
    [
        ("0", [], Verdict.VERIFIED),
        ("0.1", [], Verdict.DIFFERS),
        ("12", [certain("12")], Verdict.VERIFIED),
        ("12.000000000000000001", [certain("12")], Verdict.DIFFERS),
        ("11.999999999999999999", [certain("12")], Verdict.DIFFERS),
        ("30", [certain("12"), certain("18")], Verdict.VERIFIED),
        ("12", [certain("12"), doubtful("20")], Verdict.CONSISTENT),
        ("32", [certain("12"), doubtful("20")], Verdict.CONSISTENT),
        ("33", [certain("12"), doubtful("20")], Verdict.DIFFERS),
        ("-1", [], Verdict.DIFFERS),
    ],
)
def test_used_is_judged_by_what_may_be_locked(
    used: str, locks: list[Lock], verdict: Verdict
) -> None:
    assert judge_used(D(used), locks).verdict is verdict


def test_used_that_is_not_reported_is_not_verifiable_and_says_what_is_expected() -> None:
    judged = judge_used(None, [certain("12")])

    assert (judged.verdict, judged.reason) == (Verdict.NOT_VERIFIABLE, "used not reported")
    assert (judged.low, judged.high) == (D(12), D(12))


def test_an_order_without_a_price_leaves_used_unverifiable() -> None:
    judged = judge_used(D(50), [certain("12"), Lock("EUR", D(0), None, D(0))])

    assert (judged.verdict, judged.reason) == (
        Verdict.NOT_VERIFIABLE,
        "an open order has no price",
    )


def test_less_in_use_than_is_certainly_locked_differs_whatever_else_is_open() -> None:
    judged = judge_used(D(11), [certain("12"), Lock("EUR", D(0), None, D(0))])

    assert judged.verdict is Verdict.DIFFERS


@pytest.mark.parametrize(
    ("used", "verdict"), [("1001", Verdict.CONSISTENT), ("1005.01", Verdict.DIFFERS)]
)
def test_a_lock_may_hold_the_fee_to_come(used: str, verdict: Verdict) -> None:
    assert judge_used(D(used), [certain("1000")], D("0.005")).verdict is verdict


def test_what_a_withdrawal_sets_aside_holds_no_fee_of_an_order() -> None:
    leaving = Lock("EUR", D(0), D(1000), D(0), may_hold_fee=False)

    assert judge_used(D(1001), [leaving], D("0.005")).verdict is Verdict.DIFFERS


def test_the_largest_fee_that_was_taken_is_the_rate() -> None:
    shares = [(D("0.1"), D(100)), (D("0.26"), D(100)), (D("-0.5"), D(100)), (D(1), D(0))]

    assert fee_rate(shares) == D("0.0026")


def test_a_rate_that_does_not_end_is_rounded_up() -> None:
    assert fee_rate([(D(1), D(3))]) == D("0.333333333333333334")


def test_without_any_fee_the_rate_is_more_than_a_market_takes() -> None:
    assert fee_rate([]) == USUAL_FEE_RATE


@pytest.mark.parametrize(("free", "swapped"), [("12", True), ("88", False), (None, False)])
def test_free_that_is_what_should_be_in_use_looks_swapped(free: str | None, swapped: bool) -> None:
    judged = judge_used(D(88), [certain("12")])

    assert looks_swapped(None if free is None else D(free), judged) is swapped


def test_where_nothing_is_locked_nothing_looks_swapped() -> None:
    assert not looks_swapped(D(0), judge_used(D(88), []))
