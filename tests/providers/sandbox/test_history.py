"""What is shown may be as it was a while ago."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from providers.sandbox.engine import Engine
from providers.sandbox.history import Lag
from providers.sandbox.state import engine_document, restore_engine
from providers.sandbox.tables import Listing
from providers.sandbox.views import View
from tests.providers.sandbox.exchange import BTC, KEY, make_engine
from tests.providers.sandbox.timeline import START, Timeline

D = Decimal
SECOND = timedelta(seconds=1)


@pytest.fixture
def timeline() -> Timeline:
    return Timeline()


@pytest.fixture
def engine(timeline: Timeline) -> Engine:
    return make_engine(clock=timeline, memory=timedelta(minutes=1))


def held(engine: Engine, asset: str, age: timedelta = timedelta(0)) -> Decimal:
    return View(engine, KEY, age).balances()[asset].total


def test_books_can_be_shown_as_they_were(engine: Engine, timeline: Timeline) -> None:
    for number in range(1, 4):
        timeline.now = START + number * 10 * SECOND
        engine.deposit(KEY, "BNB", "1")

    shown = [held(engine, "BNB", age * SECOND) for age in (0, 9, 10, 19, 20, 29)]

    assert shown == [6, 5, 5, 4, 4, 3]


def test_books_tell_what_they_were_between_two_moments(engine: Engine, timeline: Timeline) -> None:
    for number in range(1, 4):
        timeline.now = START + number * 10 * SECOND
        engine.deposit(KEY, "BNB", "1")

    states = engine.history.between(engine.accounts[KEY], START + 15 * SECOND, START + 20 * SECOND)

    assert [state.balances["BNB"].total for state in states] == [4, 5]


def test_books_that_changed_twice_at_one_moment_were_the_last_of_it(
    engine: Engine, timeline: Timeline
) -> None:
    timeline.now = START + 10 * SECOND
    for _ in range(2):
        engine.deposit(KEY, "BNB", "1")

    states = engine.history.between(engine.accounts[KEY], START + 15 * SECOND, START + 20 * SECOND)

    assert [state.balances["BNB"].total for state in states] == [5]


def test_every_kind_of_change_is_remembered(engine: Engine, timeline: Timeline) -> None:
    order = engine.buy(KEY, BTC, "0.5", "80000")
    timeline.now += 10 * SECOND
    engine.fill_order(order.id, "0.2")
    timeline.now += 10 * SECOND
    engine.cancel_order(order.id)

    seen = [View(engine, KEY, age * SECOND) for age in (0, 5, 15)]

    assert [x.order(order.id).status for x in seen] == ["canceled", "open", "open"]
    assert [x.order(order.id).filled for x in seen] == [D("0.2"), D("0.2"), 0]
    assert [len(x.fills()) for x in seen] == [1, 1, 0]
    assert [len(x.open_orders()) for x in seen] == [0, 1, 1]


def test_an_engine_without_memory_cannot_show_what_was(timeline: Timeline) -> None:
    engine = make_engine(clock=timeline)

    with pytest.raises(ValueError, match="memory"):
        held(engine, "BNB", SECOND)


def test_it_remembers_no_longer_than_told(engine: Engine, timeline: Timeline) -> None:
    for _ in range(200):
        timeline.now += SECOND
        engine.deposit(KEY, "BNB", "1")

    assert held(engine, "BNB", timedelta(minutes=1)) == 143
    with pytest.raises(ValueError, match="memory"):
        held(engine, "BNB", timedelta(seconds=61))


def test_a_change_that_fails_leaves_no_trace(engine: Engine, timeline: Timeline) -> None:
    timeline.now += 10 * SECOND
    before = engine.history.books(engine.accounts[KEY], SECOND)

    with pytest.raises(Exception, match="at least"):
        engine.adjust(KEY, "BNB", "-4")

    timeline.now += 10 * SECOND
    assert engine.history.books(engine.accounts[KEY], SECOND) == before


def test_a_restored_engine_shows_what_is(engine: Engine, timeline: Timeline) -> None:
    document = engine_document(engine)
    timeline.now += SECOND
    engine.deposit(KEY, "BNB", "1")
    restore_engine(engine, document)

    assert [held(engine, "BNB", age * SECOND) for age in (0, 30)] == [3, 3]


# Lags


def test_each_list_has_a_lag_of_its_own(timeline: Timeline) -> None:
    engine = make_engine(clock=timeline)
    engine.set_lag(KEY, Listing.FILLS, Lag(5))
    engine.set_lag(KEY, Listing.BALANCES, Lag(2))
    timeline.now += 10 * SECOND
    engine.fill_order(engine.buy(KEY, BTC, "0.5", "80000").id)

    seen = []
    for _ in range(3):
        view = View(engine, KEY)
        seen.append((len(view.orders()), view.balances()["BTC"].total, len(view.fills())))
        timeline.now += timedelta(seconds=2.5)

    assert seen == [(1, D("2.00000001"), 0), (1, D("2.50000001"), 0), (1, D("2.50000001"), 1)]


def test_a_lag_concerns_one_account_only(timeline: Timeline) -> None:
    engine = make_engine(clock=timeline)
    engine.add_account("practice-key-bob", "practice-secret-of-bob")
    engine.set_lag(KEY, Listing.BALANCES, Lag(5))
    timeline.now += 10 * SECOND
    for key in (KEY, "practice-key-bob"):
        engine.deposit(key, "EUR", "1")

    seen = ["EUR" in View(engine, key).balances() for key in (KEY, "practice-key-bob")]

    assert seen == [False, True]


def test_the_truth_does_not_lag(timeline: Timeline) -> None:
    engine = make_engine(clock=timeline)
    engine.set_lag(KEY, Listing.BALANCES, Lag(5))

    engine.deposit(KEY, "BNB", "1")

    assert engine.balance(KEY, "BNB").total == 4


def test_a_drawn_lag_is_the_same_for_the_same_seed_and_second(timeline: Timeline) -> None:
    def drawn(seed: int) -> list[timedelta]:
        lag = Lag(1, 9, seed)
        return [lag.at(KEY, Listing.FILLS, START + x * SECOND) for x in range(50)]

    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)
    assert SECOND <= min(drawn(3)) < 3 * SECOND
    assert 7 * SECOND < max(drawn(3)) <= 9 * SECOND
