"""Histories of one account with at most one fault, and what each rule says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Final

from tests.simulation.judging.ours import PosSync, width
from tests.simulation.judging.rivals import FreeCompare, MissingOrder, Strikes, TwoPercent
from tests.simulation.judging.rules import Look, Rule, Run, Said
from tests.simulation.judging.tally import Fault, Tally, Told
from tests.simulation.judging.venue import (
    BASE,
    FEE_COIN,
    QUOTE,
    UNIT,
    Habit,
    Venue,
)

ZERO = Decimal(0)
OURS: Final = "PosSync"
RULES: Final[Mapping[str, Callable[[], Rule]]] = {
    "IAF free-compare": FreeCompare,
    "freqtrade 2 %": TwoPercent,
    "hummingbot strikes": Strikes,
    "nautilus missing order": MissingOrder,
    OURS: PosSync,
}
# Fills a second of the accounts that are traded.
RATES: Final = (0.003, 0.02, 0.1, 0.5)
# Judged looks within which a fault is to be told.
WITHIN: Final = 6
# Seconds from a fault to the next read: more than any lag, so that the read shows it.
_UNTIL_IT_SHOWS: Final = 45
# Runs after which even a rule that judges late has judged six reads.
_MOST_RUNS: Final = 30
# About what one fill moves.
_SIZE: Final = {BASE: Decimal("0.02"), QUOTE: Decimal(1_000), FEE_COIN: Decimal("0.002")}


class Trial:
    """One account that all `rules` look at.

    Parameters
    ----------
    rate : float
        Fills a second.
    """

    def __init__(self, seed: int, rate: float, rules: Iterable[str] = (OURS,)) -> None:
        self._rng = Random(f"trial {seed} {rate}")  # noqa: S311 - a script, not a secret
        habit = Habit(
            rate,
            fee_asset=self._rng.choice((BASE, QUOTE, FEE_COIN)),
            is_one_sided=self._rng.random() < 0.3,
            has_one_size=Random(f"size {seed} {rate}").random() < 0.3,  # noqa: S311 - as above
            skew=timedelta(seconds=self._rng.uniform(-4.5, 4.5)),
        )
        self.venue = Venue(Random(f"venue {seed} {rate}"), habit)  # noqa: S311 - as above
        self.rules = {name: RULES[name]() for name in rules}
        self.tallies = {name: Tally() for name in self.rules}
        self._interval = self._rng.choice((35, 60, 120, 300))
        self._struck_at: datetime | None = None
        self._known: dict[str, set[str]] = {name: set() for name in self.rules}
        self._looks = dict.fromkeys(self.rules, 0)
        self._opened: dict[str, int] = {}
        self._suspected: dict[str, int] = {}

    def run(self, times: int = 1) -> None:
        """Look `times` times at the account."""
        for _ in range(times):
            seconds = self._interval * self._rng.uniform(1, 1.2)
            self.venue.live(self.venue.now + timedelta(seconds=seconds))
            balances = self.venue.balances()
            self.venue.live(self.venue.now + timedelta(seconds=self._rng.uniform(0.1, 2)))
            placed, self.venue.orders = self.venue.orders, []
            run = Run(balances, self.venue.newly_listed(), self.venue.now, placed)
            for name, rule in self.rules.items():
                self._note(name, rule.see(run))

    def strike(self, fault: Fault, asset: str = "", amount: Decimal = ZERO) -> None:
        """Let `fault` happen, and look until all rules have judged it six times."""
        if fault is Fault.ONE_FILL:
            self.venue.misses_next = True
            while not self.venue.unrecorded:
                self.venue.live(self.venue.now + timedelta(seconds=1))
        else:
            self.venue.move(asset, amount)
        self._struck_at = self.venue.now
        self.venue.live(self.venue.now + timedelta(seconds=_UNTIL_IT_SHOWS))
        for _ in range(_MOST_RUNS):
            if min(self._looks.values()) >= WITHIN:
                break
            self.run()
        for name, tally in self.tallies.items():
            told = Told(self._opened.get(name), self._suspected.get(name))
            tally.told.setdefault(fault, []).append(told)

    @property
    def is_wide(self) -> bool:
        """Whether the fault is wider than what was left open by the first two looks that could show it."""
        ours = self.rules[OURS]
        assert isinstance(ours, PosSync)
        assert self._struck_at is not None
        [(asset, amount)] = self.venue.unrecorded.items()
        since = [look for look in ours.looks[asset] if look.seen_at > self._struck_at]
        return abs(amount) > max(map(width, since[:2]))

    def close(self) -> dict[str, Tally]:
        """Let everything be listed, and see that books which were corrected are right."""
        self.venue.stand_still()
        self.run(4)
        ours = self.rules.get(OURS)
        books = ours.books() if isinstance(ours, PosSync) else None
        if books is not None:
            unrecorded = self.venue.unrecorded
            for asset, total in self.venue.true_totals().items():
                is_right = books[asset] == total - unrecorded.get(asset, ZERO)
                self.tallies[OURS].wrong_actions += not is_right
        return self.tallies

    def _note(self, name: str, said: Said) -> None:
        tally, wrong = self.tallies[name], self.venue.unrecorded
        tally.wrong_actions += sum(amount != wrong.get(asset) for asset, amount in said.booked)
        for look in said.looks:
            tally.clean_looks += 1
            tally.false_alarms += bool(look.ringing - set(wrong))
            if self._struck_at is None or look.at < self._struck_at:
                self._known[name] = look.ringing
            else:
                tally.wrong_actions += len(look.cleared & set(wrong))
                self._notice(name, look, set(wrong))

    def _notice(self, name: str, look: Look, wrong: set[str]) -> None:
        self._looks[name] += 1
        count = self._looks[name]
        if count > WITHIN:
            return
        # An alarm that rings already tells nothing.
        if wrong & (look.ringing - self._known[name]):
            self._opened.setdefault(name, count)
        if wrong & (look.suspected | look.ringing):
            self._suspected.setdefault(name, count)


def clean_trial(seed: int, rate: float, runs: int, rules: Iterable[str] = (OURS,)) -> Trial:
    trial = Trial(seed, rate, rules)
    trial.run(runs)
    return trial


def fault_trial(seed: int, rate: float, fault: Fault, rules: Iterable[str] = (OURS,)) -> Trial:
    """Play some clean runs, then one fault."""
    trial = Trial(seed, rate, rules)
    chance = Random(f"fault {seed} {rate}")  # noqa: S311 - a script, not a secret
    trial.run(chance.randint(2, 8))
    asset, sign = chance.choice((BASE, QUOTE, FEE_COIN)), chance.choice((-1, 1))
    if fault is Fault.ONE_UNIT:
        trial.venue.stand_still()
        # So that nothing is in doubt any more, the baseline included.
        trial.run(5)
        trial.strike(fault, asset, sign * UNIT)
    else:
        fills = Decimal(int(4 + rate * 45)) * Decimal(str(round(chance.uniform(0.5, 6), 6)))
        trial.strike(fault, asset, (sign * fills * _SIZE[asset]).quantize(UNIT))
    return trial
