"""The ladder: an order is only gone when it was looked for everywhere, three times, long enough after it was sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolios.reconciliation.absence import (
    Absence,
    Conclusion,
    Look,
    conclusion,
    looks_at,
    may_lapse,
    next_absence,
)
from providers.reports import Leg, LegError, LegKind, LegStatus, OrderReport, OrderStatus

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
GRACE, LAG = 30 * SECOND, 60 * SECOND
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NONE, MISSING, EXPIRED = Conclusion
quick = settings(deadline=None, database=None)


def make_leg(kind: LegKind, subject: str = "1", **kwargs: Any) -> Leg:
    defaults: dict[str, Any] = {"status": LegStatus.OBSERVED, "complete": True}
    return Leg(
        kind=kind,
        requested_at=NOON,
        responded_at=NOON + SECOND,
        subject=subject,
        **defaults | kwargs,
    )


def failed(kind: LegKind, category: str = "transport", subject: str = "1") -> Leg:
    error = LegError(category, "SomeError", "")
    return make_leg(kind, subject, status=LegStatus.FAILED, complete=False, error=error)


def unsupported(kind: LegKind) -> Leg:
    return make_leg(kind, status=LegStatus.UNSUPPORTED, complete=False)


OPEN = make_leg(LegKind.OPEN_ORDERS, "")
TRIGGERS = make_leg(LegKind.TRIGGER_ORDERS, "")
DENIED = failed(LegKind.ORDER, "not_found")
ENDED = make_leg(LegKind.ENDED_ORDERS)
FILLS = make_leg(LegKind.FILLS)
ALL = (OPEN, DENIED, ENDED, FILLS)


def look(*legs: Leg, **kwargs: Any) -> Look | None:
    defaults = {"is_trigger": False, "triggers_apart": False, "is_plausible": True}
    return looks_at("1", legs, **defaults | kwargs)


def shown(kind: LegKind, external_id: str = "1", **kwargs: Any) -> Leg:
    status = OrderStatus.OPEN
    row = OrderReport(external_id, "ADA/EUR", None, None, status, None, None, **kwargs)
    return make_leg(kind, rows=(row,))


def is_whole(*legs: Leg, **kwargs: Any) -> bool:
    seen = look(*legs, **kwargs)
    assert seen is not None
    assert seen.is_denied
    return seen.is_whole


def instead(leg: Leg) -> tuple[Leg, ...]:
    return tuple(leg if leg.kind is other.kind else other for other in ALL)


def test_an_order_that_was_looked_for_everywhere_is_denied_by_a_whole_look() -> None:
    assert look(*ALL) == Look(is_denied=True, is_whole=True, looked_at=NOON + SECOND)


# X03
@pytest.mark.parametrize("category", ["transport", "rate", "nonce", "auth", "parse", "maintenance"])
def test_an_answer_that_failed_says_nothing_of_the_order(category: str) -> None:
    assert look(*instead(failed(LegKind.ORDER, category))) is None


# X01
def test_legs_that_all_failed_say_nothing_of_the_order() -> None:
    assert look(*(failed(leg.kind) for leg in ALL)) is None


def test_an_order_that_was_not_asked_for_is_not_missed() -> None:
    assert look(OPEN, ENDED, FILLS) is None
    assert look(replace(DENIED, subject="2"), OPEN, ENDED, FILLS) is None


@pytest.mark.parametrize(
    "leg",
    [
        failed(LegKind.OPEN_ORDERS),
        failed(LegKind.ENDED_ORDERS),
        failed(LegKind.FILLS),
        replace(OPEN, complete=False),
        replace(ENDED, complete=False),
        replace(FILLS, complete=False),
        replace(ENDED, status=LegStatus.SKIPPED),
        unsupported(LegKind.OPEN_ORDERS),
    ],
)
def test_a_look_that_left_a_place_out_is_not_whole(leg: Leg) -> None:
    assert not is_whole(*instead(leg))


@pytest.mark.parametrize("left_out", [OPEN, ENDED, FILLS])
def test_a_place_of_which_there_is_no_leg_was_left_out(left_out: Leg) -> None:
    assert not is_whole(*(leg for leg in ALL if leg is not left_out))


# X07
@pytest.mark.parametrize("kind", [LegKind.ENDED_ORDERS, LegKind.FILLS])
def test_a_place_that_the_market_does_not_have_is_not_missed(kind: LegKind) -> None:
    assert is_whole(*instead(unsupported(kind)))


# X07
def test_where_no_order_can_be_asked_for_the_list_of_the_ended_ones_denies_it() -> None:
    assert is_whole(*instead(unsupported(LegKind.ORDER)))


# X07
@pytest.mark.parametrize(
    "ended",
    [
        unsupported(LegKind.ENDED_ORDERS),
        failed(LegKind.ENDED_ORDERS),
        replace(ENDED, complete=False),
    ],
)
def test_where_no_order_can_be_asked_for_only_a_complete_list_denies_it(ended: Leg) -> None:
    assert look(OPEN, unsupported(LegKind.ORDER), ended, FILLS) is None


@pytest.mark.parametrize(("listed", "expected"), [("ADA/EUR", False), ("BTC/USDT", True)])
def test_of_lists_by_symbol_only_that_of_the_orders_own_matters(
    listed: str, expected: bool
) -> None:
    broken = failed(LegKind.OPEN_ORDERS, subject=listed)

    assert is_whole(*ALL, broken, symbol="ADA/EUR") is expected
    assert not is_whole(*ALL[1:], failed(LegKind.OPEN_ORDERS, subject=""), symbol="ADA/EUR")


def test_lists_that_are_not_believed_prove_nothing() -> None:
    assert not is_whole(*ALL, is_plausible=False)


@pytest.mark.parametrize(
    ("legs", "expected"),
    [
        ((), False),
        ((TRIGGERS,), True),
        ((replace(TRIGGERS, complete=False),), False),
        ((failed(LegKind.TRIGGER_ORDERS),), False),
    ],
)
def test_an_order_that_waits_for_a_price_is_looked_for_in_the_list_of_those(
    legs: tuple[Leg, ...], expected: bool
) -> None:
    assert is_whole(*ALL, *legs, is_trigger=True, triggers_apart=True) is expected
    assert is_whole(*ALL, *legs, is_trigger=True, triggers_apart=False)
    assert is_whole(*ALL, *legs, is_trigger=False, triggers_apart=True)


@pytest.mark.parametrize(
    "leg",
    [
        shown(LegKind.OPEN_ORDERS),
        shown(LegKind.TRIGGER_ORDERS),
        shown(LegKind.ORDER),
        shown(LegKind.ENDED_ORDERS),
        shown(LegKind.OPEN_ORDERS, "99", client_order_id="1"),
    ],
)
def test_an_order_that_is_shown_anywhere_is_not_denied(leg: Leg) -> None:
    seen = look(*instead(leg), leg)

    assert seen is not None
    assert not seen.is_denied


def at(seconds: float, *, denied: bool = True, whole: bool = True) -> Look:
    return Look(denied, whole, NOON + seconds * SECOND)


def absence(*looks: Look, grace: timedelta = GRACE) -> Absence:
    return reduce(lambda known, seen: next_absence(known, seen, grace), looks, Absence())


# O05
def test_the_first_whole_look_is_the_first_strike() -> None:
    assert absence(at(0)) == Absence(1, NOON, NOON)


# O07
def test_a_young_order_gets_no_strike_however_often_it_is_looked_for() -> None:
    counted = Absence()
    for seconds in range(6):
        counted = next_absence(counted, at(seconds), GRACE, age=seconds * SECOND)

    assert counted == Absence()


def test_an_order_as_old_as_grace_gets_its_strike() -> None:
    assert next_absence(Absence(), at(0), GRACE, age=GRACE).strikes == 1


def test_looks_closer_than_grace_count_once() -> None:
    assert absence(*map(at, range(30))).strikes == 1


def test_looks_a_grace_apart_count_each() -> None:
    assert absence(at(0), at(30), at(60)) == Absence(3, NOON + 2 * GRACE, NOON)


def test_a_look_that_is_not_whole_is_no_strike_but_tells_since_when_it_is_missing() -> None:
    assert absence(at(0, whole=False), at(30)) == Absence(1, NOON + GRACE, NOON)


def test_what_a_clock_was_set_forward_by_has_not_passed() -> None:
    first = next_absence(Absence(), at(0), GRACE)

    assert next_absence(first, at(3605), GRACE, was_set=HOUR).strikes == 1
    assert next_absence(first, at(3630), GRACE, was_set=HOUR).strikes == 2


def test_a_clock_that_was_set_back_lengthens_the_grace_by_nothing() -> None:
    first = next_absence(Absence(), at(0), GRACE)

    assert next_absence(first, at(-3570), GRACE, was_set=-HOUR).strikes == 2


def test_where_another_hosts_clock_is_behind_the_grace_begins_anew() -> None:
    behind = next_absence(next_absence(Absence(), at(0), GRACE), at(-3600), GRACE)

    assert behind == Absence(1, NOON - HOUR, NOON)
    assert next_absence(behind, at(-3570), GRACE).strikes == 2


def test_how_old_an_order_is_is_told_by_the_clock_that_dated_it() -> None:
    seen = look(OPEN, replace(DENIED, clock_offset=-60.0), ENDED, FILLS)

    assert seen is not None
    assert seen.since(NOON) == seen.looked_at - NOON - 60 * SECOND


# O06
def test_an_order_that_is_seen_again_starts_anew() -> None:
    assert absence(at(0), at(30), at(60, denied=False)) == Absence()
    assert absence(at(0), at(30), at(60, denied=False), at(90)).strikes == 1


@quick
@given(st.lists(st.builds(at, st.integers(0, 300), whole=st.booleans()), max_size=12))
def test_strikes_are_never_more_than_graces_that_have_passed(looks: list[Look]) -> None:
    in_time = sorted(looks, key=lambda seen: seen.looked_at)
    whole = [seen for seen in in_time if seen.is_whole]

    strikes = absence(*in_time).strikes

    passed = (whole[-1].looked_at - whole[0].looked_at) // GRACE + 1 if whole else 0
    assert bool(whole) <= strikes <= passed


PROVED = Absence(3, NOON + 2 * GRACE, NOON)


def concluded(known: Absence = PROVED, **kwargs: Any) -> Conclusion:
    defaults: dict[str, Any] = {
        "last_known_at": NOON - HOUR,
        "now": NOON + 2 * GRACE,
        "age": HOUR,
        "grace": GRACE,
        "lag": LAG,
        "retention": None,
    }
    return conclusion(known, **defaults | kwargs)


# O08
def test_three_strikes_conclude_that_the_exchange_does_not_have_it() -> None:
    assert concluded() is MISSING


@pytest.mark.parametrize("strikes", [0, 1, 2])
def test_less_than_three_strikes_conclude_nothing(strikes: int) -> None:
    assert concluded(replace(PROVED, strikes=strikes)) is NONE


@pytest.mark.parametrize(
    ("age", "grace", "lag", "expected"),
    [
        (120, 30, 60, NONE),
        (121, 30, 60, MISSING),
        (200, 200, 60, NONE),
        (201, 200, 60, MISSING),
    ],
)
def test_nothing_is_concluded_of_an_order_younger_than_grace_and_twice_the_lag(
    age: int, grace: int, lag: int, expected: Conclusion
) -> None:
    found = concluded(age=age * SECOND, grace=grace * SECOND, lag=lag * SECOND)

    assert found is expected


# O12
def test_where_nobody_knows_the_retention_an_old_order_is_missing() -> None:
    assert concluded(last_known_at=NOON - 6 * DAY, age=6 * DAY) is MISSING


@pytest.mark.parametrize(
    ("last_known", "expected"),
    [(3 * HOUR, EXPIRED), (2 * HOUR + SECOND, EXPIRED), (2 * HOUR, MISSING), (HOUR, MISSING)],
)
def test_what_ended_before_the_exchanges_memory_begins_has_been_forgotten(
    last_known: timedelta, expected: Conclusion
) -> None:
    found = concluded(last_known_at=NOON - last_known, age=DAY, retention=2 * HOUR)

    assert found is expected


def test_the_retention_counts_to_the_first_look_not_to_the_last() -> None:
    found = concluded(now=NOON + 3 * HOUR, last_known_at=NOON - HOUR, retention=2 * HOUR)

    assert found is MISSING


# O08, O09
@pytest.mark.parametrize("reached", [MISSING, EXPIRED])
@pytest.mark.parametrize("has_coverage", [True, False])
@pytest.mark.parametrize("is_lock_gone", [True, False])
def test_an_order_may_lapse_only_with_its_fills_read_and_its_lock_gone(
    reached: Conclusion, has_coverage: bool, is_lock_gone: bool
) -> None:
    may = may_lapse(reached, has_fill_coverage=has_coverage, is_lock_gone=is_lock_gone)

    assert may is (has_coverage and is_lock_gone)


def test_an_order_of_which_nothing_is_concluded_may_not_lapse() -> None:
    assert not may_lapse(NONE, has_fill_coverage=True, is_lock_gone=True)
