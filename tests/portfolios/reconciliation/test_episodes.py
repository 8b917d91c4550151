from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolios.reconciliation.episodes import Episode, Step, next_step

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
