"""What the bars rest on: that the exchange is late, within its bounds, and otherwise exact."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest

from portfolios.amounts import sums_by
from tests.simulation.judging.venue import (
    ASSETS,
    BASE,
    FEE_COIN,
    QUOTE,
    STARTED_AT,
    UNIT,
    Fill,
    Habit,
    Venue,
)

MINUTE = timedelta(minutes=1)
EVERY_FEE = pytest.mark.parametrize("fee_asset", ASSETS)


def opened(rate: float = 0.5, fee_asset: str = FEE_COIN) -> Venue:
    return Venue(Random(1), Habit(rate, fee_asset=fee_asset))  # noqa: S311 - no secret


def lived(venue: Venue, minutes: int) -> list[Fill]:
    """Let time pass; all fills that were listed meanwhile."""
    fills = []
    for _ in range(minutes):
        venue.live(venue.now + MINUTE)
        fills += venue.newly_listed()
    return fills


def moved(fills: list[Fill]) -> dict[str, Decimal]:
    return sums_by(move for fill in fills for move in fill.moves.items())


@EVERY_FEE
def test_what_is_listed_comes_to_what_has_changed(fee_asset: str) -> None:
    venue = opened(fee_asset=fee_asset)
    before = venue.true_totals()

    fills = lived(venue, 9)
    venue.stand_still()
    fills += lived(venue, 1)

    changed = {asset: total - before[asset] for asset, total in venue.true_totals().items()}
    assert {asset: change for asset, change in changed.items() if change} == moved(fills)


def test_as_many_fills_come_as_were_asked_for() -> None:
    fills = lived(opened(rate=0.5), 60)

    assert 1_400 < len(fills) < 2_000


def test_balances_are_behind_now_and_then() -> None:
    venue = opened()
    behind = 0
    for _ in range(60):
        lived(venue, 1)
        behind += venue.balances().totals != venue.true_totals()

    assert 0 < behind < 60


def test_balances_show_all_that_is_older_than_the_bound() -> None:
    venue = Venue(Random(1), Habit(0.5, fee_asset=QUOTE))  # noqa: S311 - no secret
    for count in range(1, 60):
        venue.move(FEE_COIN, Decimal(1))
        held = venue.true_totals()[FEE_COIN]
        venue.live(venue.now + venue.habit.most_lag)

        assert venue.balances().totals[FEE_COIN] == held, count


def test_a_place_that_stands_still_shows_the_truth() -> None:
    venue = opened()
    lived(venue, 5)
    venue.stand_still()
    lived(venue, 1)

    assert venue.balances().totals == venue.true_totals()


def test_of_trades_at_almost_the_same_time_an_older_one_may_not_show() -> None:
    venue = opened(rate=5)
    lived(venue, 1)
    events = [*venue._events]
    last = events[-1].at

    posted = [{id(event) for event in venue._posted(last)} for _ in range(30)]
    hidden = [event for event in events if any(id(event) not in shown for shown in posted)]

    assert hidden
    assert all(last - event.at < timedelta(seconds=1) for event in hidden)


def test_a_fill_is_listed_within_the_bound() -> None:
    venue = opened()

    fills = lived(venue, 10)
    latest = venue.now
    ids = {fill.id for fill in fills}
    venue.live(venue.now + venue.habit.most_lag)
    late = [fill for fill in venue.newly_listed() if fill.at <= latest]

    assert late
    assert all(latest - fill.at < venue.habit.most_lag for fill in late)
    assert not ids & {fill.id for fill in late}


def test_a_missed_fill_is_in_the_balances_and_in_no_list() -> None:
    venue = opened()
    before = venue.true_totals()
    venue.misses_next = True

    fills = lived(venue, 5)
    venue.stand_still()
    fills += lived(venue, 1)

    explained = sums_by([*before.items(), *moved(fills).items(), *venue.unrecorded.items()])
    assert set(venue.unrecorded) == set(ASSETS)
    assert explained == venue.true_totals()


def test_what_moves_without_a_record_is_remembered() -> None:
    venue = opened()

    venue.move(QUOTE, UNIT)
    venue.move(QUOTE, UNIT)

    assert venue.unrecorded == {QUOTE: 2 * UNIT}


def test_free_is_what_no_order_locks() -> None:
    venue = opened()
    lived(venue, 5)
    venue.stand_still()
    lived(venue, 1)

    shown = venue.balances()

    locked = sum((order.lock for order in venue.orders), Decimal(0))
    assert locked > 0
    assert shown.free == shown.totals[QUOTE] - locked


def test_the_exchange_s_clock_may_be_off() -> None:
    habit = Habit(0.5, skew=timedelta(hours=1))
    venue = Venue(Random(1), habit)  # noqa: S311 - no secret

    assert min(fill.at for fill in lived(venue, 5)) > STARTED_AT + timedelta(hours=1)


def test_who_only_buys_holds_more_and_more() -> None:
    venue = Venue(Random(1), Habit(0.5, is_one_sided=True))  # noqa: S311 - no secret

    assert all(fill.moves[BASE] > 0 for fill in lived(venue, 5))


def test_a_bot_of_one_size_trades_that_amount_only() -> None:
    venue = Venue(Random(1), Habit(0.5, has_one_size=True))  # noqa: S311 - no secret

    assert {abs(fill.moves[BASE]) for fill in lived(venue, 5)} == {Decimal("0.01")}
