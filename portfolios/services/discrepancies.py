"""What is wrong as somebody may have to act on it: what each look found, and what that means for its life."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

from portfolios.models import (
    Decision,
    Discrepancy,
    ExchangeAccount,
    Order,
    Portfolio,
    SyncRun,
)
from portfolios.models.choices import Severity
from portfolios.reconciliation.episodes import (
    BalanceEpisode,
    Episode,
    Step,
    Turn,
    next_step,
)
from portfolios.reconciliation.fingerprints import Extent, is_same
from portfolios.services.accounts import grace, lag
from portfolios.services.discrepancy_turns import AGREES, CHANGED, By, Turns, begin, move

State = Discrepancy.State
BALANCE_CODES: Final = (Discrepancy.Code.BALANCE_SHORT, Discrepancy.Code.BALANCE_SURPLUS)
DISMISSED_BEFORE: Final = "is what was dismissed"
# A database takes no more than some ten thousand values in one query.
KEYS_AT_ONCE: Final = 1_000
# What each look writes anew.
FOUND: Final = (
    "code",
    "severity",
    "book",
    "exchange",
    "difference",
    "wallet",
    "asset",
    "symbol",
    "order",
    "portfolio",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One difference as one look saw it.

    Parameters
    ----------
    low, high : Decimal or None
        Of balances: between which amounts the difference lies, as this look alone saw it.
    is_certain : bool
        Whether it is no matter of timing and opens at once.
    is_unproved : bool
        Whether it stays suspected however long it lasts: the proof is counted elsewhere.
    looks : int
        In how many looks it has to be seen, at least, before it opens.
    turn : Turn or None
        Of balances: what the look means for the episode, decided from the last looks, and None while it is not
        settled. Of others None.
    """

    key: str
    code: Discrepancy.Code
    severity: Severity
    book: Decimal | None = None
    exchange: Decimal | None = None
    difference: Decimal | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    cause: str = ""
    wallet: str = ""
    asset: str = ""
    symbol: str = ""
    order: Order | None = None
    portfolio: Portfolio | None = None
    is_certain: bool = False
    is_unproved: bool = False
    looks: int = 2
    turn: Turn | None = None

    @property
    def extent(self) -> Extent:
        if self.low is None or self.high is None:
            return Extent(self.difference, self.difference)
        return Extent(self.low, self.high)

    @property
    def is_provisional(self) -> bool:
        """Whether it is of a balance that is not settled: it suspects, but is no look."""
        return self.turn is None and self.low is not None


@dataclass(slots=True)
class Findings:
    """What one look found, and the keys of what it could judge: of these, what it did not find is resolved."""

    found: list[Finding] = field(default_factory=list)
    judged: set[str] = field(default_factory=set)
    _live: dict[str, set[str]] | None = field(default=None, repr=False)

    def add(self, finding: Finding) -> None:
        self.found.append(finding)
        self.judged.add(finding.key)

    def live(self, account: ExchangeAccount, *codes: Discrepancy.Code) -> set[str]:
        """Give the keys of what lives of these codes; read once for all that look."""
        if self._live is None:
            self._live = {}
            live = account.discrepancies.filter(state__in=Discrepancy.LIVE).order_by()
            for code, key in live.values_list("code", "key"):
                self._live.setdefault(code, set()).add(key)
        return set().union(*(self._live.get(code, ()) for code in codes))


def balance_episode(row: Discrepancy | None) -> BalanceEpisode | None:
    """Give the episode that a balance's row is in; None if it is not live, or no settled look has seen it yet."""
    if row is None or not row.is_live or row.low is None or row.high is None:
        return None
    return BalanceEpisode(
        is_open=row.state != State.SUSPECTED,
        low=row.low,
        high=row.high,
        first_seen=row.first_seen,
        stale_since=row.stale_since,
        confidence=row.confidence,
    )


# What lives of one account, by key.
Live = dict[str, Discrepancy]


def live_of(account: ExchangeAccount) -> Live:
    return {row.key: row for row in account.discrepancies.filter(state__in=Discrepancy.LIVE)}


def record_findings(
    account: ExchangeAccount,
    findings: Iterable[Finding],
    judged: set[str],
    seen_at: datetime,
    run: SyncRun | None = None,
    *,
    live: Live | None = None,
) -> None:
    """Bring the account's discrepancies to what one look found. The caller holds the account.

    Parameters
    ----------
    judged : set of str
        Keys that this look could judge. What is live, judged and not found is resolved; what could not be judged, what
        a person has dismissed, and what only a newer look has seen, stays as it is.
    live : dict or None
        What `live_of` the account gave under the same lock; it is brought up to date as well.
    """
    by, turns = By(at=seen_at, run=run), Turns()
    live = live_of(account) if live is None else live
    found = {finding.key: finding for finding in findings}
    for row in list(live.values()):
        finding = found.pop(row.key, None)
        if finding is not None:
            _see_again(row, finding, by, turns)
        elif row.key in judged and not _is_newer(row, seen_at):
            turns.move(row, State.RESOLVED, AGREES, by)
        if not row.is_live:
            del live[row.key]
    past = _past(account, list(found))
    for key, finding in found.items():
        row = past.get(key) or _never_seen(account, key, seen_at)
        _see_anew(row, finding, by, turns)
        if row.is_live:
            live[key] = row
    turns.write()


def _past(account: ExchangeAccount, keys: Sequence[str]) -> dict[str, Discrepancy]:
    parts = (keys[start : start + KEYS_AT_ONCE] for start in range(0, len(keys), KEYS_AT_ONCE))
    return {row.key: row for part in parts for row in account.discrepancies.filter(key__in=part)}


def _never_seen(account: ExchangeAccount, key: str, seen_at: datetime) -> Discrepancy:
    """Give a row before its first turn, which is not stored."""
    return Discrepancy(account=account, key=key, state="", episode=0, last_seen=seen_at)


def _is_newer(row: Discrepancy, seen_at: datetime) -> bool:
    """Whether only a read that is not settled, and newer than this look, suspects a balance."""
    return row.code in BALANCE_CODES and row.low is None and row.first_seen > seen_at


def _see_anew(row: Discrepancy, finding: Finding, by: By, turns: Turns) -> None:
    """See what is not live: never seen before, resolved or dismissed."""
    if row.state == State.DISMISSED:
        # What a read that may yet be explained looks like is no reason to tell it again.
        if finding.is_provisional:
            return
        if _is_dismissed(row, finding):
            _count(row, finding, by.at)
            turns.keep(row)
            return
    if finding.turn is None or finding.turn.episode is not None:
        _begin(row, finding, by, turns)


def _begin(row: Discrepancy, finding: Finding, by: By, turns: Turns) -> None:
    episode = finding.turn.episode if finding.turn else None
    is_open = episode.is_open if episode else finding.is_certain
    begin(row, episode.first_seen if episode else by.at)
    _count(row, finding, by.at)
    if _is_dismissed(row, finding):
        turns.move(row, State.DISMISSED, DISMISSED_BEFORE, by)
    else:
        turns.move(row, State.OPEN if is_open else State.SUSPECTED, row.cause, by)


def _see_again(row: Discrepancy, finding: Finding, by: By, turns: Turns) -> None:
    if finding.is_provisional:
        if row.state == State.SUSPECTED:
            _write(row, finding, by.at)
            turns.keep(row)
        return
    step = _step(row, finding, by.at)
    if step is Step.RESOLVE:
        turns.move(row, State.RESOLVED, AGREES, by)
    elif step is Step.RESTART and row.state != State.ACKNOWLEDGED:
        turns.move(row, State.RESOLVED, CHANGED, by)
        _begin(row, finding, by, turns)
    else:
        _count(row, finding, by.at)
        state, reason = _state_after(row, finding, step, by.at)
        if state == row.state:
            turns.keep(row)
        else:
            turns.move(row, state, reason, by)


def _step(row: Discrepancy, finding: Finding, seen_at: datetime) -> Step:
    if finding.turn is not None:
        return finding.turn.step
    if finding.is_certain:
        return Step.OPEN
    episode = Episode(
        is_suspected=row.state == State.SUSPECTED,
        difference=row.difference,
        first_seen=row.first_seen,
    )
    settle = lag(row.account) + grace(row.account)
    step = next_step(episode, finding.difference, seen_at, settle)
    is_early = step is Step.OPEN and row.times_seen + 1 < finding.looks
    return Step.STAY if finding.is_unproved or is_early else step


def _state_after(
    row: Discrepancy, finding: Finding, step: Step, seen_at: datetime
) -> tuple[str, str]:
    """Give the state after a look that found it again, and why it changes."""
    if row.state == State.ACKNOWLEDGED:
        if row.acknowledged_until is not None and row.acknowledged_until <= seen_at:
            return State.OPEN, "the time it was acknowledged for is over"
        if finding.extent.exceeds(row.acknowledged_difference):
            return State.OPEN, "is more than what was acknowledged"
    elif row.state == State.SUSPECTED:
        if _is_dismissed(row, finding):
            return State.DISMISSED, DISMISSED_BEFORE
        if step is Step.OPEN:
            return State.OPEN, "found again"
    return row.state, ""


def _is_dismissed(row: Discrepancy, finding: Finding) -> bool:
    return is_same(row.fingerprint, finding.code, finding.extent)


def _count(row: Discrepancy, finding: Finding, seen_at: datetime) -> None:
    """Write what a look found that counts for the episode."""
    episode = finding.turn.episode if finding.turn else None
    if row.state == State.SUSPECTED:
        if row.low is None and episode is not None:
            row.times_seen = 0  # what was seen before was not settled
        row.first_seen = episode.first_seen if episode else row.first_seen
    if episode is not None:
        row.low, row.high = episode.low, episode.high
        row.stale_since, row.confidence = episode.stale_since, episode.confidence
    row.times_seen += 1
    _write(row, finding, seen_at)


def _write(row: Discrepancy, finding: Finding, seen_at: datetime) -> None:
    for name in FOUND:
        setattr(row, name, getattr(finding, name))
    row.cause = finding.cause[:200]
    # An older read may be settled after a newer one was seen.
    row.last_seen = max(row.last_seen, seen_at)


def resolve(
    row: Discrepancy,
    cause: str,
    at: datetime,
    run: SyncRun | None = None,
    decision: Decision | None = None,
) -> None:
    """End the episode of a live row, with what ended it in English words."""
    move(row, State.RESOLVED, cause, By(at=at, run=run, decision=decision))
