"""Whatever happens, a key has one row, and its events tell without a gap how it came to be what it is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portfolios.models import Decision, Discrepancy, DiscrepancyEvent, ExchangeAccount
from portfolios.models.choices import Severity
from portfolios.reconciliation.episodes import Look, next_turn
from portfolios.reconciliation.verdicts import Judgement, Verdict
from portfolios.services.discrepancies import Finding, balance_episode, record_findings
from portfolios.services.discrepancy_decisions import (
    DiscrepancyRefused,
    acknowledge,
    dismiss,
    reopen,
    undo,
)
from tests.builders import NOON, make_account
from tests.hypothesis_profiles import CASES

D = Decimal
KEY = "balance:spot:BTC"
State = Discrepancy.State
Code = Discrepancy.Code
amounts = st.sampled_from([D(-5), D(-2), D(0), D(3)])
steps = st.one_of(
    st.tuples(st.just("look"), st.tuples(amounts, st.sampled_from([D(0), D(1)]))),
    st.tuples(st.just("provisional"), amounts),
    st.tuples(st.just("order"), st.one_of(st.none(), amounts)),
    st.tuples(st.sampled_from(["dismiss", "acknowledge", "reopen", "undo"]), st.none()),
)


@dataclass(slots=True)
class Life:
    """One asset of one account, seen and decided about minute by minute."""

    account: ExchangeAccount
    key: str = KEY
    looks: list[Look] = field(default_factory=list)
    minutes: int = 0
    decision: Decision | None = None

    @property
    def now(self) -> datetime:
        return NOON + timedelta(minutes=self.minutes)

    @property
    def row(self) -> Discrepancy | None:
        return self.account.discrepancies.filter(key=self.key).first()

    def look(self, seen: tuple[Decimal, Decimal]) -> None:
        amount, width = seen
        judged = Judgement(_verdict(amount, width), amount - width, amount + width, amount)
        self.looks.append(Look(self.now, judged))
        episode = balance_episode(self.row)
        turn = next_turn(episode, self.looks, grace=timedelta(minutes=1), tolerance=D(0))
        found = []
        if judged.verdict is not Verdict.VERIFIED:
            found = [self._finding(amount, low=judged.low, high=judged.high, turn=turn)]
        judged_keys = {self.key} if judged.verdict is Verdict.VERIFIED else set()
        record_findings(self.account, found, judged_keys, self.now)

    def provisional(self, amount: Decimal) -> None:
        found = self._finding(amount, low=amount, high=amount)
        record_findings(self.account, [found], set(), self.now)

    def order(self, amount: Decimal | None) -> None:
        """Find what is no balance; without an amount find that it is gone."""
        found = [] if amount is None else [self._finding(amount)]
        record_findings(self.account, found, {self.key}, self.now)

    def decide(self, name: str) -> None:
        row = self.row
        if row is None:
            return
        reverses = self.decision if name == "undo" else None
        made = Decision(
            account=self.account, kind=Decision.Kind.DISMISS, reverses=reverses, subject=name
        )
        with suppress(DiscrepancyRefused):
            made.save()
            DECISIONS[name](row, made)
        self.decision = None if name == "undo" else made

    def _finding(self, amount: Decimal, **values: Any) -> Finding:
        return Finding(
            key=self.key,
            code=Code.BALANCE_SHORT if amount < 0 else Code.BALANCE_SURPLUS,
            severity=Severity.ERROR,
            difference=amount,
            **values,
        )


DECISIONS: dict[str, Callable[[Discrepancy, Decision], None]] = {
    "dismiss": dismiss,
    "acknowledge": lambda row, decision: acknowledge(row, decision, NOON + timedelta(minutes=5)),
    "reopen": reopen,
    "undo": undo,
}


def _verdict(amount: Decimal, width: Decimal) -> Verdict:
    if amount - width <= 0 <= amount + width:
        return Verdict.VERIFIED if not width else Verdict.CONSISTENT
    return Verdict.DIFFERS


def live(history: list[tuple[str, object]]) -> Life:
    life = Life(make_account(lag_seconds=60, grace_seconds=0))
    for name, given_with in history:
        life.minutes += 1
        if name in DECISIONS:
            life.decide(name)
        else:
            getattr(life, name)(given_with)
    return life


@pytest.mark.django_db
@settings(max_examples=CASES // 2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, min_size=4, max_size=12))
def test_a_key_has_one_row_and_its_events_tell_its_whole_life(
    history: list[tuple[str, object]],
) -> None:
    life = live(history)

    for row in life.account.discrepancies.all():
        events = list(row.events.all())
        assert events[0].before == ""
        for earlier, later in pairwise(events):
            assert earlier.after == later.before
            assert later.episode - earlier.episode == begins_anew(later)
        assert (events[-1].after, events[-1].episode) == (row.state, row.episode)
        assert_times_fit(row)
    assert life.account.discrepancies.count() <= 1


def begins_anew(event: DiscrepancyEvent) -> bool:
    """Whether a look found again what was over; what people decide is of the same episode."""
    return event.decision_id is None and event.before in (State.RESOLVED, State.DISMISSED)


def assert_times_fit(row: Discrepancy) -> None:
    assert (row.resolved_at is not None) == (row.state == State.RESOLVED)
    assert row.opened_at is not None or row.state not in (State.OPEN, State.ACKNOWLEDGED)
    assert row.opened_at is None or row.state != State.SUSPECTED
    assert row.fingerprint or row.state != State.DISMISSED
    assert row.first_seen <= row.last_seen
