"""Every asset of an account compared: what the exchange holds, what the books expect, and since when it differs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from portfolios.amounts import difference, sums_by
from portfolios.models import Discrepancy, ExchangeAccount, JudgedSnapshot, SyncRun
from portfolios.models.choices import Severity
from portfolios.reconciliation.balances import NEW_ASSET, balance_cause, expected_then
from portfolios.reconciliation.episodes import Look, Step, Turn, next_turn
from portfolios.reconciliation.locks import UsedJudgement
from portfolios.reconciliation.verdicts import NOT_SETTLED, Verdict
from portfolios.services.accounts import grace
from portfolios.services.asset_rules import Rules, rules_of
from portfolios.services.balance_rows import (
    NOT_LISTED,
    UNREAD,
    BalanceRows,
    each_asset,
    list_unjudged,
    mark_not_verifiable,
)
from portfolios.services.discrepancies import (
    Finding,
    Findings,
    Live,
    balance_episode,
    live_of,
    record_findings,
)
from portfolios.services.effects import (
    Booked,
    balance_legs,
    expected_by_wallet,
    observed_balances,
)
from portfolios.services.judged_contents import AssetJudgement, judgement_of
from portfolios.services.locks import lock_findings, used_by_wallet
from portfolios.services.read_findings import find_partial_reads, find_staleness
from portfolios.services.schedules import next_due, schedule_of
from portfolios.services.snapshots import (
    Books,
    JudgedRead,
    Snapshots,
    books_of,
    compared_since,
    is_settled,
    judge_snapshot,
    last_settled,
    new_snapshot,
    settles_at,
    write_judgement,
)
from providers.reports import Leg, LegStatus

# What the last looks before this one are asked for.
_LAST_LOOKS: Final = 5
# As often fills and movements are read whole at least; what waits longer waits for a list that cannot be read.
SETTLED_WITHIN: Final = timedelta(hours=1)
BALANCE_PREFIX: Final = "balance:"
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Judging:
    """One run's judging of an account, at a time by our clock."""

    account: ExchangeAccount
    run: SyncRun
    legs: Sequence[Leg]
    at: datetime
    is_moved: bool
    rules: Rules
    used: Mapping[str, Mapping[str, UsedJudgement]]
    live: Live

    @property
    def read(self) -> dict[str, Leg]:
        """The balances that were read, by wallet."""
        legs = balance_legs(self.legs)
        return {leg.subject: leg for leg in legs if leg.status is LegStatus.OBSERVED}


def judge_account(
    account: ExchangeAccount,
    legs: Sequence[Leg],
    now: datetime,
    findings: Findings,
    run: SyncRun,
    *,
    is_moved: bool = False,
) -> Live:
    """Compare every asset of every wallet and bring verdicts and discrepancies up to date; what differs then.

    First the balances of earlier runs that are settled by now, then those of this one. What could not be read keeps its
    numbers and says that it is not verifiable; it resolves nothing.

    Parameters
    ----------
    findings : Findings
        What the same look found of orders, fills and flows.
    is_moved : bool
        Whether the run saw an order, a fill or a flow change.
    """
    rules = rules_of(account)
    used = used_by_wallet(account, legs, rules)
    judging = Judging(account, run, legs, now, is_moved, rules, used, live_of(account))
    if account.baseline_at is None:
        list_unjudged(account, legs, expected_by_wallet(account))
    else:
        books = books_of(account, rules)
        _judge_reads(judging, books)
        _judge_claims(books, findings)
    _mark_unread(judging)
    lock_findings(account, legs, rules, used, findings)
    find_partial_reads(account, legs, now, findings)
    if judging.read:
        find_staleness(account, now, findings)
    record_findings(account, findings.found, findings.judged, now, run, live=judging.live)
    return judging.live


def _judge_reads(judging: Judging, books: Books) -> None:
    account = judging.account
    snapshots = Snapshots(account)
    newest = new_snapshot(account, judging.legs, judging.run)
    if newest is not None:
        snapshots.add(newest)
    rows = BalanceRows.of(account)
    waiting = snapshots.waiting()
    booked = _booked(account, waiting)
    for snapshot in waiting:
        is_newest = snapshot is newest
        has_moved = is_newest and judging.is_moved
        wallets = judging.read if is_newest else _judged_wallets(snapshot)
        read = judge_snapshot(snapshot, books, wallets, booked)
        last = snapshots.before(snapshot)
        if is_settled(snapshot, last, account, has_moved=has_moved):
            write_judgement(read, books, settled=judging.run, at=judging.at)
            _look(judging, books, read)
            rows.settle(read)
        elif is_newest:
            write_judgement(read, books, settled=None, at=judging.at)
            _glance(judging, books, read, last, rows)
    rows.note_locks(judging.used)
    rows.write()
    _mark_unsettled(judging, snapshots.waits_since())
    if books.rules.aliases:
        account.balances.filter(asset__in=books.rules.aliases).delete()


def _booked(account: ExchangeAccount, waiting: Iterable[JudgedSnapshot]) -> Booked | None:
    """Read once what any of the snapshots may miss; the baseline is compared with nothing."""
    compared = (each for each in waiting if each.run_id != account.baseline_run_id)
    since = min((compared_since(each, account) for each in compared), default=None)
    return None if since is None else Booked(account, since)


def _judged_wallets(snapshot: JudgedSnapshot) -> Iterable[str]:
    return snapshot.content.rows if snapshot.content else ()


def _mark_unread(judging: Judging) -> None:
    for wallet in judging.account.wallets:
        balances = judging.account.balances.filter(wallet=wallet)
        leg = judging.read.get(wallet)
        if leg is None:
            mark_not_verifiable(balances, UNREAD)
        elif not leg.complete:
            mark_not_verifiable(balances.exclude(asset__in=observed_balances(leg)), NOT_LISTED)


def _mark_unsettled(judging: Judging, since: datetime | None) -> None:
    """Say that nobody knows where lists that cannot be read whole have left what moved unsettled for long."""
    if since is not None and judging.at - since > SETTLED_WITHIN:
        mark_not_verifiable(judging.account.balances.filter(provisional=True), NOT_SETTLED)


def _look(judging: Judging, books: Books, read: JudgedRead) -> None:
    """Let a settled snapshot count for the life of what differs."""
    account, seen_at = judging.account, read.snapshot.seen_at
    is_plain = read.agrees and not any(key.startswith(BALANCE_PREFIX) for key in judging.live)
    past = [] if is_plain else last_settled(account, read.snapshot, _LAST_LOOKS)
    findings = Findings()
    for alias in books.rules.aliases:
        findings.judged |= {_key(wallet, alias) for wallet in account.wallets}
    for wallet, asset, found in each_asset(read):
        if found.judgement.verdict is Verdict.VERIFIED:
            findings.judged.add(_key(wallet, asset))
            continue
        looks = [*_looks(past, wallet, asset), Look(seen_at, found.judgement)]
        finding = _finding(_Asset(books, wallet, asset, found, judging.live), looks)
        if finding is not None:
            findings.add(finding)
    record_findings(
        account, findings.found, findings.judged, seen_at, judging.run, live=judging.live
    )
    if read.agrees:
        account.verified_at = seen_at
        ExchangeAccount.objects.filter(pk=account.pk).update(verified_at=seen_at)


def _glance(
    judging: Judging,
    books: Books,
    read: JudgedRead,
    last: JudgedSnapshot | None,
    rows: BalanceRows,
) -> None:
    """Suspect what differs before it is settled, and look again as soon as it can be."""
    account, live = judging.account, judging.live
    differing = {
        (row.wallet, row.asset) for key, row in live.items() if key.startswith(BALANCE_PREFIX)
    }
    found = [
        _differing(_Asset(books, wallet, asset, found, live), found.judgement.residual or ZERO)
        for wallet, asset, found in each_asset(read)
        if found.judgement.verdict is Verdict.DIFFERS
    ]
    record_findings(account, found, set(), read.snapshot.seen_at, judging.run, live=live)
    rows.look(read, differing)
    # Only once: while the lists cannot be read, more looks settle nothing.
    if found and last is not None and last.settled_at is not None:
        _move_up(account, settles_at(account, read.snapshot), judging.at)


def _move_up(account: ExchangeAccount, moment: datetime, now: datetime) -> None:
    if now < moment < next_due(schedule_of(account), account.next_sync_at or now, now):
        account.next_sync_at = moment
        account.save(update_fields=["next_sync_at"])


def _looks(snapshots: Iterable[JudgedSnapshot], wallet: str, asset: str) -> list[Look]:
    rows = (
        (snapshot.seen_at, snapshot.content.rows.get(wallet, {}).get(asset))
        for snapshot in snapshots
        if snapshot.content
    )
    return [Look(seen_at, judgement_of(row)) for seen_at, row in rows if row is not None]


@dataclass(frozen=True, slots=True)
class _Asset:
    """One asset of a read that does not simply agree."""

    books: Books
    wallet: str
    asset: str
    found: AssetJudgement
    live: Live

    @property
    def row(self) -> Discrepancy | None:
        return self.live.get(_key(self.wallet, self.asset))

    @property
    def is_known(self) -> bool:
        """Whether it has agreed before: what appeared from nowhere is new until it does."""
        is_new = self.row is not None and self.row.cause == NEW_ASSET
        return self.asset in self.books.known.get(self.wallet, ()) and not is_new


def _finding(of_asset: _Asset, looks: Sequence[Look]) -> Finding | None:
    """Give what the last of `looks` means; None if it neither begins nor goes on with anything."""
    judgement, row = of_asset.found.judgement, of_asset.row
    turn = next_turn(
        balance_episode(row),
        looks,
        grace=grace(of_asset.books.account),
        tolerance=of_asset.found.evidence.tolerance,
    )
    if turn.episode is None:
        return None
    is_told = judgement.verdict is Verdict.CONSISTENT and turn.step is Step.STAY
    if row is not None and is_told:
        return _unchanged(row, turn)
    agreed_by = [x.judged.residual for x in looks if x.judged.verdict is Verdict.VERIFIED]
    # All looks so far leave less of it than this one alone.
    residual = min(max(judgement.residual or ZERO, turn.episode.low), turn.episode.high)
    return _differing(of_asset, residual, turn, [x for x in agreed_by if x is not None])


def _unchanged(row: Discrepancy, turn: Turn) -> Finding:
    """Say again what is told already: a read that fits perhaps says nothing new."""
    return Finding(
        key=row.key,
        code=Discrepancy.Code(row.code),
        severity=Severity(row.severity),
        wallet=row.wallet,
        asset=row.asset,
        book=row.book,
        exchange=row.exchange,
        difference=row.difference,
        low=row.low,
        high=row.high,
        cause=row.cause,
        turn=turn,
    )


def _differing(
    of_asset: _Asset, residual: Decimal, turn: Turn | None = None, agreed_by: Sequence[Decimal] = ()
) -> Finding:
    found, is_short = of_asset.found, residual < 0
    total = found.evidence.total
    expected = expected_then(found.evidence, found.judgement)
    if total is not None:
        expected = difference(total, residual)
    cause = balance_cause(
        found.evidence.total, expected, known_before=of_asset.is_known, agreed_by=agreed_by
    )
    dust = of_asset.books.rules.dust(of_asset.asset)
    severity = Severity.ERROR if is_short else Severity.WARNING
    return Finding(
        key=_key(of_asset.wallet, of_asset.asset),
        code=Discrepancy.Code.BALANCE_SHORT if is_short else Discrepancy.Code.BALANCE_SURPLUS,
        severity=Severity.INFO if dust is not None and abs(residual) < dust else severity,
        wallet=of_asset.wallet,
        asset=of_asset.asset,
        book=expected,
        exchange=found.evidence.total,
        difference=residual,
        low=found.judgement.low,
        high=found.judgement.high,
        cause=found.judgement.reason or cause,
        turn=turn,
    )


def _judge_claims(books: Books, findings: Findings) -> None:
    """Find what the portfolios claim beyond what the account holds; a fact of the books, certain at once."""
    held = sums_by(pair for amounts in books.expected.values() for pair in amounts.items())
    positions = books.account.positions.filter(portfolio=None)
    unassigned = dict(positions.values_list("asset", "amount"))
    # What counts as another asset is no claim of its own.
    findings.judged |= {f"alloc:{asset}" for asset in unassigned}
    for asset, amount in books.rules.folded(unassigned).items():
        key = f"alloc:{asset}"
        findings.judged.add(key)
        if amount < 0:
            findings.add(
                Finding(
                    key=key,
                    code=Discrepancy.Code.ALLOC_OVERCOMMITTED,
                    severity=Severity.ERROR,
                    asset=asset,
                    book=difference(held[asset], amount),
                    exchange=held[asset],
                    difference=amount,
                    cause="portfolios claim more than the account holds",
                    is_certain=True,
                )
            )


def _key(wallet: str, asset: str) -> str:
    return f"{BALANCE_PREFIX}{wallet}:{asset}"
