from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolios.amounts import exact_sum
from portfolios.reconciliation.episodes import (
    REPEATED,
    BalanceEpisode,
    Episode,
    Look,
    Step,
    Turn,
    next_step,
    next_turn,
)
from portfolios.reconciliation.verdicts import (
    STALE,
    TIMING,
    Effect,
    Interval,
    Judgement,
    Window,
    expected_interval,
    explained,
    judge,
    not_verifiable,
)

D = Decimal
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SETTLE = timedelta(seconds=90)
SUSPECTED = Episode(is_suspected=True, difference=D(-5), first_seen=NOON)
quick = settings(deadline=None, database=None)
looks = st.lists(st.tuples(st.integers(1, 200), st.sampled_from([D(-5), D(7)])), max_size=12)


@pytest.mark.parametrize(
    ("difference", "seconds", "step"),
    [
        (D(-5), 89, Step.STAY),
        (D(-5), 90, Step.OPEN),
        (D("-5.00"), 90, Step.OPEN),
        (D(-6), 900, Step.RESTART),
        (None, 900, Step.RESTART),
    ],
)
def test_a_suspicion_opens_when_the_same_is_found_after_a_while(
    difference: Decimal | None, seconds: int, step: Step
) -> None:
    assert next_step(SUSPECTED, difference, NOON + timedelta(seconds=seconds), SETTLE) is step


@pytest.mark.parametrize("difference", [D(-5), D(5), None])
def test_an_open_one_stays_open_whatever_its_size(difference: Decimal | None) -> None:
    opened = Episode(is_suspected=False, difference=D(-5), first_seen=NOON)

    assert next_step(opened, difference, NOON + timedelta(days=1), SETTLE) is Step.STAY


@quick
@given(looks)
def test_whatever_opens_was_the_same_for_as_long_as_it_takes(
    history: list[tuple[int, Decimal]],
) -> None:
    episode, now, same_since = SUSPECTED, NOON, NOON
    for seconds, difference in history:
        now += timedelta(seconds=seconds)
        step = next_step(episode, difference, now, SETTLE)
        if step is Step.RESTART:
            episode, same_since = Episode(True, difference, now), now  # noqa: FBT003 - its first field
        assert (step is Step.OPEN) == (now - same_since >= SETTLE)


SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
GRACE = timedelta(seconds=30)
ZERO = D(0)


def look(seconds: float, low: str | int, high: str | int | None = None, reason: str = "") -> Look:
    residual = Interval(D(low), D(low if high is None else high), D(low))
    judged = judge(ZERO, -residual, ZERO, is_settled=True)
    return Look(NOON + seconds * SECOND, replace(judged, residual=D(low), reason=reason))


def followed(*looks: Look, tolerance: Decimal = ZERO) -> list[Turn]:
    turns: list[Turn] = []
    for n in range(len(looks)):
        before = turns[-1].episode if turns else None
        turns.append(next_turn(before, looks[: n + 1], grace=GRACE, tolerance=tolerance))
    return turns


def steps(*looks: Look, tolerance: Decimal = ZERO) -> list[Step]:
    return [turn.step for turn in followed(*looks, tolerance=tolerance)]


def last(*looks: Look, tolerance: Decimal = ZERO) -> BalanceEpisode:
    episode = followed(*looks, tolerance=tolerance)[-1].episode
    assert episode is not None
    return episode


def test_the_first_look_that_differs_is_a_suspicion() -> None:
    (turn,) = followed(look(0, -5, -3))

    assert turn == Turn(Step.BEGIN, BalanceEpisode(False, D(-5), D(-3), NOON))  # noqa: FBT003 - its first field


# B02
@pytest.mark.parametrize(("seconds", "step"), [(29, Step.STAY), (30, Step.OPEN)])
def test_a_second_look_that_differs_a_grace_later_opens_it(seconds: int, step: Step) -> None:
    assert steps(look(0, -25), look(seconds, -25)) == [Step.BEGIN, step]


def test_what_two_looks_leave_of_the_difference_is_what_both_allow() -> None:
    opened = last(look(0, -7, -4), look(30, -5, -2))
    narrowed = last(look(0, -7, -4), look(30, -5, -2), look(60, "-4.5", -3))

    assert (opened.low, opened.high, opened.is_open) == (D(-5), D(-4), True)
    assert (narrowed.low, narrowed.high, narrowed.first_seen) == (D("-4.5"), D(-4), NOON)
    assert opened.confidence == ""


def test_looks_that_cannot_be_of_the_same_difference_are_two_episodes() -> None:
    again = last(look(0, -7, -6), look(60, -5, -4))

    assert steps(look(0, -7, -6), look(60, -5, -4)) == [Step.BEGIN, Step.RESTART]
    assert (again.is_open, again.low, again.high) == (False, D(-5), D(-4))
    assert again.first_seen == NOON + MINUTE


def test_an_open_one_of_another_size_is_a_new_suspicion() -> None:
    history = [look(0, -5), look(60, -5), look(120, -8)]

    assert steps(*history) == [Step.BEGIN, Step.OPEN, Step.RESTART]
    assert not last(*history).is_open


def test_an_open_one_that_is_seen_again_stays_open() -> None:
    assert steps(look(0, -5), look(60, -5), look(120, -5))[-1] is Step.STAY
    assert last(look(0, -5), look(60, -5), look(120, -5)).is_open


def test_differences_within_the_tolerance_are_the_same_one() -> None:
    history = [look(0, -5), look(60, "-5.1")]

    assert steps(*history, tolerance=D("0.1")) == [Step.BEGIN, Step.OPEN]
    assert steps(*history, tolerance=D("0.09")) == [Step.BEGIN, Step.RESTART]


def test_small_steps_within_the_tolerance_do_not_add_up_unseen() -> None:
    history = [look(0, -5), look(60, "-5.1"), look(120, "-5.2")]

    assert steps(*history, tolerance=D("0.1"))[-1] is Step.RESTART


def test_a_look_that_agrees_resolves() -> None:
    assert followed(look(0, -5), look(60, 0))[-1] == Turn(Step.RESOLVE, None)
    assert followed(look(0, -5), look(60, -5), look(120, 0))[-1] == Turn(Step.RESOLVE, None)
    assert followed(look(0, 0)) == [Turn(Step.STAY, None)]


PERHAPS = look(60, -9, 1)
UNREAD = Look(NOON + MINUTE, not_verifiable("unread"))
PROVISIONAL = Look(NOON + MINUTE, judge(ZERO, Interval.of(D(5)), ZERO, is_settled=False))


@pytest.mark.parametrize("nothing", [PERHAPS, UNREAD, PROVISIONAL])
def test_what_could_not_be_told_neither_opens_nor_resolves(nothing: Look) -> None:
    suspected = followed(look(0, -5))[-1].episode
    opened = followed(look(0, -5), look(30, -5))[-1].episode

    for episode in (None, suspected, opened):
        turn = next_turn(episode, [nothing], grace=GRACE, tolerance=ZERO)
        assert turn == Turn(Step.STAY, episode)


def hidden(*looks: tuple[int, int, str] | None) -> list[Look]:
    """Give looks a minute apart that fit the books perhaps; None is one that could not be judged."""
    return [
        Look(NOON + n * MINUTE, not_verifiable("unread"))
        if drawn is None
        else look(60 * n, drawn[0], drawn[1], drawn[2])
        for n, drawn in enumerate(looks)
    ]


ODD, EXCUSED = (-5, 2, ""), (-5, 2, TIMING)


@pytest.mark.parametrize(
    ("looks", "is_opened"),
    [
        ([ODD] * 3, False),
        ([ODD] * 4, True),
        ([ODD, EXCUSED, ODD, ODD, EXCUSED, ODD], True),
        ([ODD, EXCUSED, ODD, ODD, EXCUSED, EXCUSED, ODD], False),
        ([ODD, None, ODD, None, None, ODD, None, ODD], True),
        ([EXCUSED] * 12, False),
        ([ODD, ODD, ODD, (0, 0, ""), ODD], False),
        ([ODD, (1, 3, ""), ODD, (-9, -6, ""), ODD], False),
        ([(-5, 2, ""), (-9, 1, ""), (-4, 8, ""), (-3, 1, "")], True),
        ([(3, 5, ""), ODD, ODD, ODD], False),
        ([(3, 5, ""), ODD, ODD, ODD, ODD], True),
    ],
)
def test_what_no_moment_explains_in_four_of_six_looks_opens(
    looks: list[tuple[int, int, str] | None], is_opened: bool
) -> None:
    episode = followed(*hidden(*looks))[-1].episode

    assert (episode is not None and episode.is_open) is is_opened


def test_a_look_that_its_moment_explains_opens_nothing_whatever_was_before() -> None:
    turn = next_turn(None, hidden(ODD, ODD, ODD, ODD, EXCUSED), grace=GRACE, tolerance=ZERO)

    assert turn == Turn(Step.STAY, None)


def test_what_opens_by_repetition_says_so_and_keeps_what_all_allow() -> None:
    opened = last(*hidden((-5, 2, ""), (-9, 1, ""), (-4, 8, ""), (-3, 1, "")))

    assert opened.confidence == REPEATED
    assert (opened.low, opened.high, opened.first_seen) == (D(-3), D(1), NOON)


def test_a_suspicion_opens_by_repetition_too() -> None:
    history = [look(0, -5, -4), *hidden(None, ODD, ODD, ODD)[1:]]

    assert steps(*history)[-1] is Step.OPEN
    assert (last(*history).low, last(*history).high) == (D(-5), D(-4))


def test_four_looks_within_one_grace_are_no_repetition() -> None:
    at_once = [look(n * 9, -5, 2) for n in range(4)]

    assert steps(*at_once)[-1] is Step.STAY


def test_an_asset_that_differs_more_at_every_look_opens_by_the_fourth() -> None:
    growing = [look(60 * n, -5 - n) for n in range(4)]

    assert steps(*growing) == [Step.BEGIN, Step.RESTART, Step.RESTART, Step.RESTART]
    assert [turn.episode and turn.episode.is_open for turn in followed(*growing)] == [
        False,
        False,
        False,
        True,
    ]
    assert last(*growing).low == -8


def test_what_swings_from_one_side_to_the_other_does_not_open() -> None:
    swinging = [look(60 * n, (-5 - n) * (-1) ** n) for n in range(8)]

    assert not any(turn.episode and turn.episode.is_open for turn in followed(*swinging))


@pytest.mark.parametrize(("minutes", "step"), [(1, Step.STAY), (14, Step.STAY), (15, Step.OPEN)])
def test_what_may_be_an_old_balance_is_held_for_a_quarter_of_an_hour(
    minutes: int, step: Step
) -> None:
    stale = [look(60 * n, -5, reason=STALE) for n in range(minutes + 1)]

    assert steps(*stale)[-1] is step


def test_an_exchange_that_stands_still_while_trade_goes_on_is_held_as_long() -> None:
    stale = [look(60 * n, -5 - n, reason=STALE) for n in range(16)]

    is_open = [turn.episode is not None and turn.episode.is_open for turn in followed(*stale)]

    assert is_open == [False] * 15 + [True]


def test_an_exchange_that_has_caught_up_may_be_late_anew() -> None:
    late = look(0, -5, reason=STALE)
    again = look(15 * 60, -5, reason=STALE)

    assert steps(late, look(60, -5, 0, TIMING), again)[-1] is Step.STAY


def test_what_is_not_an_old_balance_any_more_opens() -> None:
    assert steps(look(0, -5, reason=STALE), look(60, -5))[-1] is Step.OPEN


LAG = 60 * SECOND
RATES = (0.003, 0.02, 0.1, 0.5)


def fills_of(chance: Random, rate: float, seconds: float, *, is_equal: bool) -> Iterator[Effect]:
    at = chance.expovariate(rate)
    while at < seconds:
        amount = D(5) if is_equal else D(chance.randint(1, 10**6)).scaleb(-4)
        signed = amount if chance.random() < 0.7 else amount.copy_negate()
        yield Effect(NOON + at * SECOND, signed, "fills")
        at += chance.expovariate(rate)


def read(chance: Random, fills: Sequence[Effect], asked: datetime, missed: Decimal) -> Judgement:
    """Judge a read of an exchange that shows each fill up to `LAG` late; `missed` is what the books do not know."""
    window = Window(asked, asked + 0.3 * SECOND)
    seen_at = asked + chance.random() * 0.3 * SECOND - chance.random() * (LAG - SECOND)
    shown = (e.amount for e in fills if e.at and e.at + chance.random() * SECOND <= seen_at)
    total, booked = exact_sum([missed, *shown]), exact_sum(e.amount for e in fills)
    judged = judge(total, expected_interval(booked, fills, window, LAG), ZERO, is_settled=True)
    return explained(judged, fills, window, LAG, ZERO)


def runs(seed: int, rate: float, count: int, missed: Decimal = ZERO) -> list[Turn]:
    chance = Random(seed)  # noqa: S311 - no secret
    fills = list(fills_of(chance, rate, 120 + 60 * count, is_equal=seed % 2 == 1))
    looks = []
    for n in range(count):
        asked = NOON + (120 + 60 * n) * SECOND
        looks.append(Look(asked, read(chance, fills, asked, missed)))
    return followed(*looks)


# B19
@pytest.mark.parametrize("rate", RATES)
def test_books_that_are_right_are_never_suspected_in_two_thousand_runs(rate: float) -> None:
    turns = [turn for seed in range(50) for turn in runs(seed, rate, count=10)]

    assert len(turns) * len(RATES) == 2_000
    assert not [turn for turn in turns if turn.episode]


@pytest.mark.parametrize("rate", RATES)
def test_one_missed_fill_of_a_size_of_its_own_opens_by_the_sixth_look(rate: float) -> None:
    found = [runs(seed, rate, count=6, missed=D("3.1415"))[-1].episode for seed in range(0, 100, 2)]

    assert sum(episode is not None and episode.is_open for episode in found) >= 0.96 * len(found)


@pytest.mark.parametrize("rate", RATES)
def test_a_fault_wider_than_the_interval_opens_at_the_second_look(rate: float) -> None:
    for seed in range(0, 60, 2):
        first, second = runs(seed, rate, count=2, missed=D("-98765.4321"))
        assert (first.step, second.step) == (Step.BEGIN, Step.OPEN)
