"""Histories of one order that the books hold open, and what each rule makes of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from random import Random
from typing import Final

from tests.simulation.judging.rules import Answer, OrderRead, OrderSaid, Rule
from tests.simulation.judging.tally import Fault, Tally, Told
from tests.simulation.judging.trials import RULES, WITHIN
from tests.simulation.judging.venue import STARTED_AT

ZERO = Decimal(0)
_INTERVAL: Final = timedelta(seconds=300)
_RUNS: Final = 10


class Fate(StrEnum):
    """`YOUNG` is not known to every part of the exchange yet at the first run, `LOST` never again after some runs."""

    OUTAGE = "outage"
    YOUNG = "young"
    CANCELED = "canceled"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class OrderHistory:
    """One order.

    Attributes
    ----------
    turns_at : int
        The run from which on its fate shows.
    filled : Decimal
        What is filled of it, truly and all the time.
    """

    fate: Fate
    turns_at: int
    lasts: int
    filled: Decimal
    is_restarted: bool

    @classmethod
    def drawn(cls, seed: int, fate: Fate) -> OrderHistory:
        chance = Random(f"order {seed} {fate}")  # noqa: S311 - a script, not a secret
        turns_at = 0 if fate is Fate.YOUNG else chance.randint(1, 3)
        filled = chance.choice((ZERO, Decimal(chance.randint(1, 99)).scaleb(-2)))
        return cls(fate, turns_at, chance.randint(1, 7), filled, chance.random() < 0.5)

    def reads(self) -> Iterator[OrderRead]:
        first_age = timedelta(seconds=5 if self.fate is Fate.YOUNG else 3_600)
        for run in range(_RUNS):
            listed, asked, trades = self._answers(run - self.turns_at)
            yield OrderRead(
                at=STARTED_AT + run * _INTERVAL,
                age=first_age + run * _INTERVAL,
                listed=listed,
                asked=asked,
                filled=self.filled,
                trades=trades,
                is_start=self.is_restarted and run == self.turns_at,
            )

    def _answers(self, since: int) -> tuple[Answer, Answer, Decimal | None]:
        """Tell what list, order and fills say `since` runs after its fate began to show."""
        usual = Answer.OPEN, Answer.OPEN, self.filled
        if since < 0:
            return usual
        if self.fate is Fate.OUTAGE:
            return (Answer.FAILED, Answer.FAILED, None) if since < self.lasts else usual
        if self.fate is Fate.YOUNG:
            return (Answer.ABSENT, Answer.ABSENT, ZERO) if since == 0 else usual
        if self.fate is Fate.CANCELED:
            # Filled on and cancelled between two runs, and its fills are listed late.
            return Answer.ABSENT, Answer.CANCELED, self.filled if since else None
        return Answer.ABSENT, Answer.ABSENT, self.filled


def order_trial(history: OrderHistory, rule: Rule) -> Tally:
    """Show `rule` the order until it holds it as ended."""
    tally, told = Tally(), None
    is_lost = history.fate is Fate.LOST
    for run, read in enumerate(history.reads()):
        said = rule.see_order(read)
        looks = run - history.turns_at + 1
        if is_lost and looks > 0:
            if (said.rings or said.ended) and told is None and looks <= WITHIN:
                told = looks
        else:
            tally.clean_looks += 1
            tally.false_alarms += said.rings
        tally.wrong_actions += said.ended and _is_wrong(history, read, said)
        if said.ended:
            break
    if is_lost:
        tally.told[Fault.LOST_ORDER] = [Told(told, told)]
    return tally


def _is_wrong(history: OrderHistory, read: OrderRead, said: OrderSaid) -> bool:
    has_ended = history.fate is Fate.LOST or read.asked is Answer.CANCELED
    return not has_ended or said.filled != history.filled


def order_trials(count: int, names: Iterable[str] = RULES) -> dict[str, Tally]:
    """Play `count` orders of each fate for each rule."""
    tallies = {name: Tally() for name in names}
    for fate in Fate:
        for seed in range(count):
            history = OrderHistory.drawn(seed, fate)
            for name, tally in tallies.items():
                tally.add(order_trial(history, RULES[name]()))
    return tallies
