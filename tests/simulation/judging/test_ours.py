from __future__ import annotations

from datetime import timedelta

from portfolios.services import cursors
from tests.simulation.judging import ours
from tests.simulation.judging.trials import OURS, Trial
from tests.simulation.judging.venue import QUOTE, UNIT


def test_it_judges_by_the_product_s_own_bounds() -> None:
    assert ours.CLOCK_ERROR == cursors.CLOCK_ERROR


def test_a_read_is_judged_once_the_lists_are_a_lag_newer() -> None:
    trial = Trial(1, 0.02)
    rule = ours.PosSync(lag=timedelta(hours=1))
    trial.rules[OURS] = rule
    trial.run(5)

    assert rule.looks == {}


def test_what_is_gone_stays_told_until_it_is_back() -> None:
    trial = Trial(1, 0.02)
    trial.run(4)
    trial.venue.stand_still()
    trial.run(3)
    rule = trial.rules[OURS]
    assert isinstance(rule, ours.PosSync)
    trial.venue.move(QUOTE, -UNIT)
    trial.run(4)
    rings = rule.rings()
    trial.venue.move(QUOTE, UNIT)
    trial.run(3)

    assert (rings, rule.rings()) == ({QUOTE}, set())
