from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolios.amounts import exact_sum
from portfolios.reconciliation.verdicts import (
    STALE,
    TIMING,
    Effect,
    Interval,
    Judgement,
    Verdict,
    Window,
    expected_interval,
    explained,
    judge,
    not_verifiable,
    quantum_of,
    tolerance,
)

D = Decimal
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
LAG = 60 * SECOND
WINDOW = Window(NOON - SECOND, NOON + SECOND)


def fill(seconds: float, amount: str | int, stream: str = "fills") -> Effect:
    return Effect(NOON + seconds * SECOND, D(amount), stream)


def undated(amount: str | int, until: float | None = None) -> Effect:
    return Effect(None, D(amount), "fills", None if until is None else NOON + until * SECOND)


def interval(*effects: Effect, expected: int = 100, lag: timedelta = LAG) -> Interval:
    return expected_interval(D(expected), effects, WINDOW, lag)


def bounds(*effects: Effect, expected: int = 100) -> tuple[Decimal, Decimal]:
    found = interval(*effects, expected=expected)
    return found.low, found.high


def between(low: int, high: int) -> tuple[Decimal, Decimal]:
    return D(low), D(high)


def test_without_trades_a_read_can_show_one_amount_only() -> None:
    assert interval() == Interval.of(D(100))


@pytest.mark.parametrize(
    ("seconds", "low", "high"),
    [
        (-3600, 100, 100),
        (-61, 100, 100),
        (-60.999, 93, 100),
        (0, 93, 100),
        (1, 93, 100),
        (1.001, 93, 93),
        (3600, 93, 93),
    ],
)
def test_a_trade_is_uncertain_from_the_lag_before_the_request_until_the_answer(
    seconds: float, low: int, high: int
) -> None:
    assert bounds(fill(seconds, 7)) == between(low, high)


def test_trades_show_in_the_order_of_their_times() -> None:
    assert bounds(fill(-30, 5), fill(-20, -3), fill(-10, 4)) == between(94, 100)
    assert bounds(fill(-30, -3), fill(-20, 5), fill(-10, -2)) == between(97, 102)


@pytest.mark.parametrize(("gap", "low", "high"), [(0, 98, 105), (0.999, 98, 105), (1, 100, 105)])
def test_trades_less_than_a_second_apart_may_show_in_either_order(
    gap: float, low: int, high: int
) -> None:
    assert bounds(fill(-30, 5), fill(-30 + gap, -2), expected=103) == between(low, high)


def test_trades_of_different_streams_may_show_in_any_order() -> None:
    assert bounds(fill(-30, 5), fill(-20, -2, "flows"), expected=103) == between(98, 105)


def test_a_later_trade_does_not_let_one_be_missing_that_is_a_second_older() -> None:
    burst = [fill(-30, 1), fill(-29.4, 1), fill(-28.8, -9)]

    assert bounds(*burst, expected=93) == between(92, 102)


@pytest.mark.parametrize(
    ("until", "low", "high", "point"),
    [(-61, 100, 100, 100), (-30, 93, 100, 100), (30, 93, 100, 93), (None, 93, 100, 100)],
)
def test_what_happened_nobody_knows_when_may_be_in_the_read_or_not(
    until: float | None, low: int, high: int, point: int
) -> None:
    assert interval(undated(7, until)) == Interval(D(low), D(high), D(point))


@pytest.mark.parametrize(("seconds", "point"), [(-0.5, 100), (0, 100), (0.5, 93), (2, 93)])
def test_the_likeliest_is_all_that_happened_up_to_the_middle_of_the_call(
    seconds: float, point: int
) -> None:
    assert interval(fill(seconds, 7)).point == point


def test_an_exchange_that_tells_the_moment_of_its_balance_leaves_nothing_open() -> None:
    moment = Window(NOON, NOON)
    effects = [fill(-0.001, 5), fill(0, 7), fill(0.001, 11)]

    found = expected_interval(D(100), effects, moment, timedelta(0))

    assert found == Interval.of(D(89))


def test_no_digit_is_lost() -> None:
    effects = [Effect(NOON, D("0.000000000000000001"), "fills")]
    booked = D("123456789012345678.000000000000000001")

    found = expected_interval(booked, effects, WINDOW, LAG)

    assert (found.low, found.high) == (D("123456789012345678"), booked)


def some_effect(drawn: tuple[int, int, str]) -> Effect:
    milliseconds, amount, stream = drawn
    time = NOON + timedelta(milliseconds=milliseconds)
    if stream in ("some day", "by then"):
        return Effect(None, D(amount), "fills", time if stream == "by then" else None)
    return Effect(time, D(amount), stream)


def effects_of(*streams: str) -> st.SearchStrategy[list[Effect]]:
    # Far apart, and in bursts.
    times = st.integers(-90_000, 5_000) | st.integers(-3_000, 2_000)
    drawn = st.tuples(times, st.integers(-20, 20), st.sampled_from(streams))
    return st.lists(drawn, max_size=8).map(lambda rows: [some_effect(row) for row in rows])


histories = effects_of("fills", "fills", "flows", "by then", "some day")
seeds = st.integers(0, 2**32)


def shown(effects: Sequence[Effect], lag: timedelta, seed: int) -> list[Decimal]:
    """Read what an exchange shows that posts each stream late, and each effect a little later still."""
    chance = Random(seed)  # noqa: S311 - no secret
    moment = WINDOW.low + chance.random() * (WINDOW.high - WINDOW.low)
    jitter = min(lag, 0.999 * SECOND)
    late = {stream: chance.random() * (lag - jitter) for stream in ("fills", "flows")}
    amounts = []
    for effect in effects:
        if effect.at is not None:
            is_shown = effect.at + late[effect.stream] + chance.random() * jitter <= moment
        else:
            is_old = effect.until is not None and effect.until <= WINDOW.low - lag
            is_shown = is_old or chance.random() < 0.5
        amounts += [effect.amount] if is_shown else []
    return amounts


@given(histories, st.integers(0, 60), st.integers(0, 60), seeds)
def test_what_the_exchange_shows_lies_inside_whatever_the_lag_and_the_order(
    effects: list[Effect], lag: int, slack: int, seed: int
) -> None:
    total = exact_sum([D(1000), *shown(effects, lag * SECOND, seed)])
    booked = exact_sum([D(1000), *(effect.amount for effect in effects)])

    found = expected_interval(booked, effects, WINDOW, (lag + slack) * SECOND)

    assert found.low <= total <= found.high


@given(histories, st.integers(0, 60), st.integers(0, 60))
def test_a_longer_lag_never_makes_the_interval_narrower(
    effects: list[Effect], lag: int, more: int
) -> None:
    narrow = expected_interval(D(0), effects, WINDOW, lag * SECOND)
    wide = expected_interval(D(0), effects, WINDOW, (lag + more) * SECOND)

    assert wide.low <= narrow.low <= narrow.point <= narrow.high <= wide.high
    assert wide.point == narrow.point


@given(histories, seeds)
def test_the_order_in_which_effects_are_given_changes_nothing(
    effects: list[Effect], seed: int
) -> None:
    at_once = [replace(e, at=e.at and e.at.replace(second=0, microsecond=0)) for e in effects]
    mixed = Random(seed).sample(at_once, len(at_once))  # noqa: S311 - no secret

    assert interval(*mixed) == interval(*at_once)


def possible_totals(effects: Sequence[Effect]) -> Iterator[Decimal]:
    """Think of every set of uncertain fills that leaves out none a second older than one it holds."""
    low = WINDOW.low - LAG
    uncertain = [e for e in effects if e.at is not None and low < e.at <= WINDOW.high]
    always = [e for e in effects if e.at is not None and e.at <= low]
    for shown in product((True, False), repeat=len(uncertain)):
        states = list(zip(uncertain, shown, strict=True))
        if not any(
            is_shown and not is_other and one.at - other.at >= SECOND  # type: ignore[operator]
            for one, is_shown in states
            for other, is_other in states
        ):
            yield exact_sum(e.amount for e in [*always, *(e for e, is_in in states if is_in)])


@given(effects_of("fills").map(lambda effects: effects[:6]))
def test_both_ends_are_reached_by_an_order_that_may_happen(effects: list[Effect]) -> None:
    found = expected_interval(exact_sum(e.amount for e in effects), effects, WINDOW, LAG)

    totals = list(possible_totals(effects))

    assert (found.low, found.high) == (min(totals), max(totals))


def judged(total: str | None, low: str, high: str, tau: str = "0", **kwargs: bool) -> Judgement:
    point = D(high)
    settled = {"is_settled": True} | kwargs
    return judge(D(total) if total else None, Interval(D(low), D(high), point), D(tau), **settled)


@pytest.mark.parametrize(
    ("total", "low", "high", "tau", "verdict"),
    [
        ("10", "10", "10", "0", Verdict.VERIFIED),
        ("10", "10.000000000000000001", "10.000000000000000001", "0", Verdict.DIFFERS),
        ("10", "9", "10", "0", Verdict.CONSISTENT),
        ("10", "9", "11", "0", Verdict.CONSISTENT),
        ("10", "10", "11", "0", Verdict.CONSISTENT),
        ("10", "11", "12", "0", Verdict.DIFFERS),
        ("10", "8", "9", "0", Verdict.DIFFERS),
        ("10", "9", "11", "1", Verdict.VERIFIED),
        ("10", "9", "11.1", "1", Verdict.CONSISTENT),
        ("10", "8.9", "11", "1", Verdict.CONSISTENT),
        ("10", "11", "12", "1", Verdict.CONSISTENT),
        ("10", "11.1", "12", "1", Verdict.DIFFERS),
        ("10", "8", "8.9", "1", Verdict.DIFFERS),
        ("-2", "-2", "-2", "0", Verdict.VERIFIED),
    ],
)
def test_the_verdict_says_how_the_residual_lies_to_zero(
    total: str, low: str, high: str, tau: str, verdict: Verdict
) -> None:
    assert judged(total, low, high, tau).verdict is verdict


def test_the_residual_is_what_the_exchange_shows_beyond_what_the_books_expect() -> None:
    assert judged("10", "11", "13") == Judgement(Verdict.DIFFERS, D(-3), D(-1), D(-3))


@pytest.mark.parametrize("total", ["10", "99"])
def test_a_read_that_is_not_settled_shows_its_interval_and_gives_no_verdict(total: str) -> None:
    found = judged(total, "9", "10", is_settled=False)

    assert found.verdict is Verdict.PROVISIONAL
    assert (found.low, found.high) == (D(total) - 10, D(total) - 9)
    assert found.reason


@pytest.mark.parametrize("is_settled", [True, False])
def test_a_total_that_is_not_reported_is_not_judged_as_zero(is_settled: bool) -> None:
    found = judged(None, "10", "10", is_settled=is_settled)

    assert found == not_verifiable("total not reported")


def differing(residual: str | int) -> Judgement:
    return Judgement(Verdict.DIFFERS, D(residual), D(residual), D(residual))


HISTORY = (
    fill(-1000, 50),
    fill(-800, 3),
    fill(-200, -8, "flows"),
    fill(-100, 4),
    fill(-40, 10),
    fill(-30, 20),
    fill(-29.5, 40),
    fill(0.5, 100),
    fill(100, 1000),
)


def reason(residual: str | int, *effects: Effect, lag: timedelta = LAG, tau: int = 0) -> str:
    return explained(differing(residual), effects or HISTORY, WINDOW, lag, D(tau)).reason


@pytest.mark.parametrize("residual", [-20, -40, -60, -70, 0, 100])
def test_a_residual_that_a_read_of_another_moment_leaves_may_be_that_moment(residual: int) -> None:
    assert reason(residual) == TIMING


@pytest.mark.parametrize("residual", [-74, -66, -69, 8])
def test_a_residual_that_only_an_older_balance_leaves_may_be_a_stale_read(residual: int) -> None:
    assert reason(residual) == STALE


@pytest.mark.parametrize("residual", [-10, -30, -50, 20, -116, -119, -127, 1000, -61, "-60.01"])
def test_a_residual_that_no_moment_leaves_speaks_against_the_books(residual: str | int) -> None:
    assert reason(residual) == ""


def test_a_residual_of_computed_amounts_is_explained_within_the_tolerance() -> None:
    assert reason(-61, tau=1) == TIMING
    assert reason(-62, tau=1) == ""


@pytest.mark.parametrize(("residual", "excuse"), [(-7, TIMING), (7, ""), (0, TIMING)])
def test_what_nobody_knows_the_time_of_may_be_missing_from_the_read(
    residual: int, excuse: str
) -> None:
    assert reason(residual, undated(7)) == excuse


def test_streams_may_be_late_each_in_its_own_way() -> None:
    effects = [fill(-30, 5), fill(-20, 3), fill(-25, 100, "flows")]

    assert reason(-103, *effects) == TIMING
    assert reason(-105, *effects) == ""


def test_a_burst_of_too_many_to_look_through_is_not_held_against_the_books() -> None:
    burst = [fill(-30, 2**n) for n in range(14)]

    assert reason("0.5", *burst) == TIMING


def test_what_may_have_been_in_the_baseline_is_not_held_against_the_books() -> None:
    judgement = differing(-7)

    assert explained(judgement, [], WINDOW, LAG, D(0), [D(-7)]).reason == TIMING
    assert explained(judgement, [], WINDOW, LAG, D(0), [D(7)]).reason == ""


@given(effects_of("fills", "flows", "by then"), st.integers(0, 60), seeds)
def test_what_the_exchange_shows_within_the_lag_is_always_explained(
    effects: list[Effect], lag: int, seed: int
) -> None:
    total = exact_sum([D(1000), *shown(effects, lag * SECOND, seed)])
    booked = exact_sum([D(1000), *(effect.amount for effect in effects)])
    expected = expected_interval(booked, effects, WINDOW, lag * SECOND)

    found = judge(total, expected, D(0), is_settled=True)

    if found.verdict is Verdict.CONSISTENT:
        assert explained(found, effects, WINDOW, lag * SECOND, D(0)).reason == TIMING


@given(effects_of("fills").map(lambda effects: effects[:6]), st.integers(-80, 80))
def test_only_an_order_that_may_happen_explains_a_residual(
    effects: list[Effect], residual: int
) -> None:
    by_middle = exact_sum(e.amount for e in effects if e.at is not None and e.at <= NOON)

    may_happen = by_middle + residual in set(possible_totals(effects))

    assert (reason(residual, *effects or [fill(500, 1)]) == TIMING) is may_happen


@pytest.mark.parametrize("verdict", [Verdict.VERIFIED, Verdict.PROVISIONAL])
def test_only_what_may_differ_is_explained(verdict: Verdict) -> None:
    judgement = replace(differing(-20), verdict=verdict)

    assert explained(judgement, HISTORY, WINDOW, LAG, D(0)) == judgement


@pytest.mark.parametrize(
    ("quantum", "derived", "expected"),
    [
        ("0.01", 0, "0"),
        ("0.01", 3, "0.03"),
        ("0.01", 50, "0.5"),
        ("0.01", 51, "0.5"),
        (None, 3, "0"),
    ],
)
def test_the_tolerance_counts_units_of_the_exchange_for_what_was_computed(
    quantum: str | None, derived: int, expected: str
) -> None:
    assert tolerance(None if quantum is None else D(quantum), derived) == D(expected)


@pytest.mark.parametrize(
    ("values", "quantum"),
    [
        (["1.5", "2.125", "7"], "0.001"),
        (["-0.00000001"], "0.00000001"),
        (["1E-18"], "0.000000000000000001"),
        (["0.00"], "0.01"),
        (["2", "1E+3", "0"], None),
        ([], None),
        (["NaN", "0.1"], "0.1"),
    ],
)
def test_the_smallest_unit_is_learned_from_decimals_alone(
    values: list[str], quantum: str | None
) -> None:
    assert quantum_of(D(value) for value in values) == (None if quantum is None else D(quantum))
