"""PosSync's own way from reads to discrepancies: the pure rules, called as the services call them, with no database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from portfolios.amounts import exact_sum
from portfolios.reconciliation.absence import (
    Absence,
    Conclusion,
    conclusion,
    next_absence,
)
from portfolios.reconciliation.absence import Look as OrderLook
from portfolios.reconciliation.balances import NONE, Evidence, judged
from portfolios.reconciliation.baselines import (
    Trade,
    are_all_listed,
    baseline_corrections,
    baseline_interval,
    settled_baseline,
)
from portfolios.reconciliation.episodes import BalanceEpisode, Look, Step, next_turn
from portfolios.reconciliation.verdicts import (
    STALE_AT_MOST,
    Effect,
    Judgement,
    Window,
)
from tests.simulation.judging import rules
from tests.simulation.judging.rules import Answer, OrderRead, OrderSaid, Run, Said
from tests.simulation.judging.venue import Balances, Fill

ZERO = Decimal(0)
GRACE: Final = timedelta(seconds=30)
# As in services.cursors, which needs a database.
CLOCK_ERROR: Final = timedelta(seconds=5)
# More than the rules need, so that the first since a fault are still there.
_LOOKS: Final = 12


@dataclass(slots=True)
class Baseline:
    """The first read, and the trades about its time."""

    totals: Mapping[str, Decimal]
    at: datetime
    window: Window
    lag: timedelta
    trades: list[Trade] = field(default_factory=list)
    is_settled: bool = False
    corrections: Sequence[Mapping[str, Decimal]] = ({},)

    def holds(self, fill: Fill) -> bool:
        """Take note of a fill; whether the books take it as having been in the baseline."""
        is_in = fill.at <= self.at
        if self.window.low - self.lag < fill.at <= self.window.high:
            self.trades.append(Trade(fill.at, fill.moves, is_in))
            self.corrections = baseline_corrections(self.trades, self.window, self.lag)
        return is_in

    def effects(self, asset: str) -> tuple[list[Effect], Decimal]:
        """List the changes of one asset about that time, and sum those taken as having been in the baseline."""
        effects = [
            Effect(t.at, t.amounts[asset], "fills") for t in self.trades if asset in t.amounts
        ]
        held = exact_sum(t.amounts.get(asset, ZERO) for t in self.trades if t.is_in_baseline)
        return effects, held


@dataclass(slots=True)
class PosSync:
    """One account's judge.

    Attributes
    ----------
    looks : dict
        The last judged looks of each asset, the newest at the end.
    """

    lag: timedelta = timedelta(seconds=30)
    grace: timedelta = GRACE
    looks: dict[str, list[Look]] = field(default_factory=dict)
    expected: dict[str, Decimal] = field(default_factory=dict)
    _effects: dict[str, list[Effect]] = field(default_factory=dict)
    _waiting: list[Balances] = field(default_factory=list)
    _baseline: Baseline | None = None
    _before: Balances | None = None
    _settled: Balances | None = None
    _live: dict[str, BalanceEpisode | None] = field(default_factory=dict)
    _absence: Absence = field(default_factory=Absence)

    def see(self, run: Run) -> Said:
        if self._baseline is None:
            self._begin(run.balances)
        else:
            self._waiting.append(run.balances)
        for fill in run.fills:
            self._book(fill)
        said = Said()
        while self._waiting and self._is_settled(self._waiting[0], run):
            self._settled = self._waiting.pop(0)
            said.looks.append(self._look(self._settled))
        self._before = run.balances
        self._forget(run.listed_at)
        return said

    def _is_settled(self, read: Balances, run: Run) -> bool:
        """Whether the lists are a lag newer, or nothing has moved since a read that is settled."""
        if read.answered_at + self.lag <= run.listed_at:
            return True
        has_moved = bool(run.fills or run.placed)
        if read is not run.balances or has_moved or self._settled is not self._before:
            return False
        return self._before is not None and read.totals == self._before.totals

    def rings(self) -> set[str]:
        """List the assets that are open."""
        return {asset for asset, live in self._live.items() if live is not None and live.is_open}

    def books(self) -> Mapping[str, Decimal] | None:
        """Give what the books expect; None while they may still be corrected by what the baseline held."""
        is_settled = self._baseline is not None and self._baseline.is_settled
        return self.expected if is_settled else None

    def see_order(self, read: OrderRead) -> OrderSaid:
        """Climb the ladder of absence; an order ends by what the exchange says of it, or by a person's word."""
        if Answer.OPEN in (read.listed, read.asked):
            self._absence = next_absence(
                self._absence, _order_look(read, is_denied=False), self.grace
            )
        if read.asked is Answer.CANCELED:
            # Terminal with what the report says is filled, whether or not its fills are read.
            return OrderSaid(ended=True, filled=read.filled)
        if read.asked is Answer.ABSENT:
            look = _order_look(read, is_denied=True)
            self._absence = next_absence(self._absence, look, self.grace, age=read.age)
        reached = conclusion(
            self._absence,
            last_known_at=read.at - read.age,
            now=read.at,
            age=read.age,
            grace=self.grace,
            lag=self.lag,
            retention=None,
        )
        return OrderSaid(rings=reached is not Conclusion.NONE)

    def _begin(self, first: Balances) -> None:
        self._baseline = Baseline(first.totals, first.asked_at, _window(first), self.lag)
        self.expected = dict(first.totals)
        self._settled = first

    def _book(self, fill: Fill) -> None:
        assert self._baseline is not None
        if self._baseline.holds(fill):
            return
        for asset, amount in fill.moves.items():
            self.expected[asset] = exact_sum((self.expected.get(asset, ZERO), amount))
            self._effects.setdefault(asset, []).append(Effect(fill.at, amount, "fills"))

    def _look(self, read: Balances) -> rules.Look:
        window = _window(read)
        by_asset = {asset: self._judged(asset, read, window) for asset in sorted(read.totals)}
        if self._settle_baseline(by_asset, window):
            by_asset = {asset: self._judged(asset, read, window) for asset in sorted(read.totals)}
        cleared = set()
        for asset, judgement in by_asset.items():
            looks = self.looks.setdefault(asset, [])
            looks.append(Look(read.answered_at, judgement))
            del looks[:-_LOOKS]
            turn = next_turn(self._live.get(asset), looks, grace=self.grace, tolerance=ZERO)
            if turn.step is Step.RESOLVE:
                cleared.add(asset)
            self._live[asset] = turn.episode
        live = {asset for asset, episode in self._live.items() if episode is not None}
        return rules.Look(read.asked_at, self.rings(), live - self.rings(), cleared)

    def _judged(self, asset: str, read: Balances, window: Window) -> Judgement:
        assert self._baseline is not None
        base, doubt, corrections = self._baseline, NONE, {ZERO}
        if not base.is_settled:
            about, held = base.effects(asset)
            doubt = baseline_interval(about, base.window, self.lag, held)
            corrections |= {correction.get(asset, ZERO) for correction in base.corrections}
        return judged(
            Evidence(
                read.totals[asset],
                self.expected[asset],
                window,
                self.lag,
                tuple(self._effects.get(asset, ())),
                doubt=doubt,
                corrections=tuple(corrections - {ZERO}),
                is_listed=are_all_listed(base.trades, base.window, self.lag),
            )
        )

    def _settle_baseline(self, looked: Mapping[str, Judgement], window: Window) -> bool:
        """Prove which trades the baseline held by a look with none about its own time."""
        base = self._baseline
        assert base is not None
        if base.is_settled:
            return False
        begins = window.low - self.lag
        if begins <= base.window.high or self._is_busy(begins, window.high):
            return False
        uncertain = {asset for correction in base.corrections for asset in correction}
        residuals = {
            asset: looked[asset].residual or ZERO for asset in uncertain if asset in looked
        }
        proved = settled_baseline(residuals, base.corrections)
        base.is_settled = proved is not None
        if proved is not None:
            for asset, amount in base.corrections[proved].items():
                self.expected[asset] = exact_sum((self.expected[asset], amount))
        return base.is_settled

    def _is_busy(self, since: datetime, until: datetime) -> bool:
        effects = (effect for effects in self._effects.values() for effect in effects)
        return any(effect.at is not None and since < effect.at <= until for effect in effects)

    def _forget(self, now: datetime) -> None:
        oldest = min([now, *(read.asked_at for read in self._waiting)])
        since = oldest - STALE_AT_MOST - self.lag - 4 * CLOCK_ERROR
        for asset, effects in self._effects.items():
            self._effects[asset] = [e for e in effects if e.at is None or e.at > since]


def _window(read: Balances) -> Window:
    return Window(read.asked_at - CLOCK_ERROR, read.answered_at + CLOCK_ERROR)


def _order_look(read: OrderRead, *, is_denied: bool) -> OrderLook:
    is_whole = read.listed is Answer.ABSENT and read.trades is not None
    return OrderLook(is_denied=is_denied, is_whole=is_whole, looked_at=read.at)


def width(look: Look) -> Decimal:
    """How far apart the ends of the interval were at `look`."""
    low, high = look.judged.low, look.judged.high
    assert low is not None
    assert high is not None
    return exact_sum((high, low.copy_negate()))
