"""The portfolio sync service: brings the books of accounts to what their exchanges report.

claim -> fetch -> store -> apply -> judge -> close. No transaction is open while an exchange is read; what is applied
is applied in one transaction that starts by checking that the account is still ours.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from portfolios.models import ExchangeAccount, MarketCredential, Portfolio, SyncRun
from portfolios.services import leases, quiet_runs, runs
from portfolios.services.absence import old_denials
from portfolios.services.accounts import forget_rejections, note_rejection
from portfolios.services.attribution import attribute_open
from portfolios.services.balances import judge_account
from portfolios.services.baselines import settle_baseline
from portfolios.services.breakers import note_answer, note_failure
from portfolios.services.budgets import held_until, hold_all
from portfolios.services.credentials import has_newer_key, note_credential_state
from portfolios.services.effects import balance_legs
from portfolios.services.facts import Outcome, apply_snapshot
from portfolios.services.incidents import record_incident
from portfolios.services.integrity import check_integrity
from portfolios.services.legs import store_legs
from portfolios.services.portfolio_snapshots import take_snapshots
from portfolios.services.providers import provider_lookup
from portfolios.services.snapshot_requests import look_up_together, note_depth, snapshot_request
from providers.base import PortfolioProvider
from providers.errors import CredentialUnreadable, RateLimited
from providers.fetching import fetch_batches, longest_read
from providers.redaction import leg_error, secrets_in_use
from providers.reports import (
    Leg,
    LegError,
    LegKind,
    LegStatus,
    Progress,
    Snapshot,
    SnapshotRequest,
)

log = structlog.get_logger(__name__)
# What booking a row may take on a slow machine, generously.
SECONDS_A_ROW = 0.1
SHOWN_EVERY = 0.3  # seconds between two writes of how far a read has come
# Without a key that can be opened, nothing was asked of the exchange.
NOT_THE_EXCHANGES_WORD = ("CredentialMissing", "CredentialUnreadable")
Status = SyncRun.Status
Stage = SyncRun.Stage
State = MarketCredential.State


def execute_runs(run_ids: Iterable[int], *, within: float = math.inf) -> None:
    """Sync the accounts of the given runs, all of them at once; errors end up on the run and in the incidents.

    Accounts that use the same key come one after the other. Safe to call twice: only the caller that claims a run
    works on it.

    Parameters
    ----------
    within : float
        Seconds after which the caller is ended. Of a key's further accounts, those that might take longer are left to
        the next tick.
    """
    left, began = list(run_ids), time.monotonic()
    while left:
        claimed = {run.pk: run for run in runs.claim_runs(left)}
        if claimed:
            _execute(claimed.values())
        left = [run_id for run_id in left if run_id not in claimed]
        passed = time.monotonic() - began
        if not claimed or passed + longest_read(settings.POSSYNC_SYNC_DEADLINE) > within:
            return  # what is left is not ours, or the next tick's


def _execute(claimed: Collection[SyncRun]) -> None:
    _look_up(claimed)
    with ExitStack() as secrets:
        jobs: list[tuple[PortfolioProvider, SnapshotRequest]] = []
        waiting: dict[str, SyncRun] = {}
        for run in claimed:
            job = _job(run, secrets)
            if job is not None:
                jobs.append(job)
                waiting[run.account.label] = run
        with closing(fetch_batches(jobs, idle_after=_renewal_seconds())) as batches:
            _Fetching(waiting).follow(batches)


def _look_up(claimed: Iterable[SyncRun]) -> None:
    try:
        look_up_together([run.account for run in claimed])
    except Exception:  # whichever account it is, it fails by itself when it is looked up alone
        log.exception("looked_up_apart")


class _Fetching:
    """The runs whose accounts are being read; their leases are held and their progress is shown meanwhile."""

    def __init__(self, waiting: dict[str, SyncRun]) -> None:
        self._waiting = waiting
        self._leased_until = time.monotonic() + 2 * _renewal_seconds()
        # Nobody looks at what is over at once.
        self._shown = dict.fromkeys(waiting, time.monotonic())

    def follow(self, batches: Iterable[Sequence[Progress | Snapshot]]) -> None:
        for events in batches:
            with _logged("leases_not_renewed"):
                self._hold(_renewal_seconds())
            for event in events:
                if isinstance(event, Progress):
                    with _logged("event_lost"):
                        self._show(event)
            snapshots = [event for event in events if isinstance(event, Snapshot)]
            # A user's own provider may tell of an account that nobody asked for.
            named = ((self._waiting.get(told.request.account), told) for told in snapshots)
            self._finish([(run, told) for run, told in named if run is not None])

    def _finish(self, reads: Sequence[tuple[SyncRun, Snapshot]]) -> None:
        confirmed = _confirmed(reads)
        for run, snapshot in reads:
            if confirmed is None or run.pk not in confirmed:
                with _logged("event_lost"):  # a run that could not be written is healed later
                    rows = sum(len(leg.rows) for leg in snapshot.legs)
                    # Nobody renews while a large account is booked: neither its lease, nor those of the next ones.
                    self._hold(_renewal_seconds() + rows * SECONDS_A_ROW)
                    finish_run(run, snapshot, may_be_quiet=confirmed is None)
            self._waiting.pop(run.account.label, None)

    def _hold(self, seconds: float) -> None:
        """Make sure that all leases last for `seconds` yet."""
        now = time.monotonic()
        if self._leased_until < now + seconds:
            beyond = max(seconds - _renewal_seconds(), 0)
            leases.renew_leases(self._waiting.values(), beyond=beyond)
            self._leased_until = now + 2 * _renewal_seconds() + beyond

    def _show(self, event: Progress) -> None:
        """Write how far a read has come, no oftener than a page asks for it."""
        now = time.monotonic()
        if now - self._shown[event.account] >= SHOWN_EVERY:
            self._shown[event.account] = now
            run = self._waiting[event.account]
            runs.show_progress(run, Stage.FETCHING, event.done, event.total, of=event.stage)


def _confirmed(reads: Sequence[tuple[SyncRun, Snapshot]]) -> set[int] | None:
    """Close at once what can be; the ids of those runs, or None if one of them keeps all from it."""
    try:
        return confirm_runs(reads)
    except Exception:  # whichever run it is, it fails by itself when it is closed alone
        log.exception("closed_apart")
        return None


@contextmanager
def _logged(event: str) -> Iterator[None]:
    """Keep what goes wrong with some runs from the others."""
    try:
        yield
    except Exception:
        log.exception(event)


def _renewal_seconds() -> float:
    return float(settings.POSSYNC_LEASE_SECONDS) / 3


def _job(run: SyncRun, secrets: ExitStack) -> tuple[PortfolioProvider, SnapshotRequest] | None:
    """Find provider and request of a run; None if it is closed already, because nothing is to be read or can be."""
    account = run.account
    try:
        if _is_offline(account):
            message = _("Every portfolio of this account is a backtest.")
            runs.close_run(run, Status.SUCCEEDED, message)
            return None
        _stay_away_as_asked(account)
        provider = provider_lookup().for_market(account.market)
        request = snapshot_request(account)
    except Exception as e:  # of whatever kind: it belongs to this account alone
        if isinstance(e, CredentialUnreadable):
            note_credential_state(account, State.LOCKED, str(e), read_at=runs.begun_at(run))
        with _unless_taken_over(run):
            _fail(run, leg_error(e), "sync.prepare")
        return None
    secrets.enter_context(secrets_in_use(request.credentials))
    return provider, request


def _stay_away_as_asked(account: ExchangeAccount) -> None:
    now = timezone.now()
    until = max(filter(None, (account.stay_away_until, held_until(account, now))), default=now)
    if until > now:
        raise RateLimited(
            f"{account.market} asked not to be read before {until:%H:%M:%S} UTC. Nothing was sent; "
            "the account is synced after that.",
            retry_after=(until - now).total_seconds(),
        )


def _is_offline(account: ExchangeAccount) -> bool:
    modes = {portfolio.mode for portfolio in account.portfolios.all()}
    return modes == {Portfolio.Mode.BACKTEST}


def confirm_runs(reads: Iterable[tuple[SyncRun, Snapshot]]) -> set[int]:
    """Close those of the runs that read what the last ones read, all in one transaction; their ids."""
    told = [(run, snapshot) for run, snapshot in reads if snapshot.error is None]
    for run, snapshot in told:
        _note_requests(run, snapshot)
    return quiet_runs.confirm(told)


def finish_run(run: SyncRun, snapshot: Snapshot, *, may_be_quiet: bool = True) -> None:
    """Store, apply and judge what was read, and close the run.

    Nothing is written, and no error raised, if the account was taken from this run meanwhile.

    Parameters
    ----------
    may_be_quiet : bool
        Whether it is not known yet that something is to be done.
    """
    _note_requests(run, snapshot)
    with _unless_taken_over(run):
        if snapshot.error is None:
            _bring_up_to_date(run, snapshot, may_be_quiet=may_be_quiet)
        else:
            _fail(run, snapshot.error, "sync.fetch", was_asked=True)


def _note_requests(run: SyncRun, snapshot: Snapshot) -> None:
    run.http_requests, run.waited_seconds = snapshot.http_requests, snapshot.waited_seconds


@contextmanager
def _unless_taken_over(run: SyncRun) -> Iterator[None]:
    try:
        yield
    except leases.LeaseLost:
        log.warning("run_taken_over", account=run.account.label, run=run.pk)


def _bring_up_to_date(run: SyncRun, snapshot: Snapshot, *, may_be_quiet: bool) -> None:
    legs = snapshot.legs
    try:
        if may_be_quiet and confirm_runs([(run, snapshot)]):
            return
        if not _may_be_booked(run, legs):
            return
        runs.show_progress(run, Stage.APPLYING)
        outcome = apply_snapshot(run, legs)
        runs.show_progress(run, Stage.JUDGING)
        _judge_and_close(run, snapshot, outcome)
    except leases.LeaseLost:
        raise
    except Exception as e:  # a fault of ours must not leave the run open
        log.exception("sync_failed", account=run.account.label, run=run.pk)
        _fail(run, leg_error(e), "sync.apply")


@transaction.atomic
def _may_be_booked(run: SyncRun, legs: Sequence[Leg]) -> bool:
    """Store what was read; the run ends there if what is stored of the account contradicts itself."""
    account = leases.lock_account(run)
    store_legs(run, legs)
    if check_integrity(account, run):
        return True
    runs.end_run(
        run, account, Status.PARTIAL, account.read_only_because, stay_away=_stay_away(legs)
    )
    return False


@transaction.atomic
def _judge_and_close(run: SyncRun, snapshot: Snapshot, outcome: Outcome) -> None:
    account = run.account = leases.lock_account(run)
    _judge(account, run, snapshot, outcome)
    _close(run, snapshot, outcome)


def _judge(account: ExchangeAccount, run: SyncRun, snapshot: Snapshot, outcome: Outcome) -> None:
    note_depth(account, snapshot, is_moved=outcome.is_moved)
    settle_baseline(account, outcome.legs, run)
    now = timezone.now()
    live = judge_account(
        account, outcome.legs, now, outcome.findings, run, is_moved=outcome.is_moved
    )
    attribute_open(account, now, live)


def _close(run: SyncRun, snapshot: Snapshot, outcome: Outcome) -> None:
    legs = snapshot.legs
    telling = _without_old_denials(run.account, legs)
    troubled = [leg for leg in telling if leg.error and leg.status is not LegStatus.UNSUPPORTED]
    for leg in troubled:
        _record(run, leg)
    _note_credential(run, legs)
    run.balances_read = any(leg.status is LegStatus.OBSERVED for leg in balance_legs(legs))
    run.orders_checked, run.orders_changed = outcome.orders.checked, outcome.orders.changed
    status = _status(telling, is_whole=not (troubled or outcome.has_problems))
    message = _message(status, troubled, outcome)
    is_settled = status == Status.SUCCEEDED and snapshot.depth is snapshot.request.depth
    is_quiet = is_settled and outcome.is_quiet and quiet_runs.is_quiet(run.account, run, legs)
    runs.end_run(run, run.account, status, message, stay_away=_stay_away(legs), is_quiet=is_quiet)
    _note_circuit(run, legs)
    if status == Status.SUCCEEDED:
        take_snapshots(run)


def _without_old_denials(account: ExchangeAccount, legs: Sequence[Leg]) -> list[Leg]:
    """Leave out denials of orders that tell nothing new."""
    old = old_denials(account, legs)
    return [
        leg
        for leg in legs
        if leg.kind is not LegKind.ORDER or leg.error is None or leg.subject not in old
    ]


def _record(run: SyncRun, leg: Leg) -> None:
    if leg.error is not None:
        record_incident(run.account, leg.error, f"fetch.{leg.kind}", run=run, subject=leg.subject)


def _status(legs: Iterable[Leg], *, is_whole: bool) -> SyncRun.Status:
    statuses = {leg.status for leg in legs}
    if LegStatus.OBSERVED not in statuses:
        return Status.FAILED
    return Status.SUCCEEDED if is_whole and LegStatus.FAILED not in statuses else Status.PARTIAL


def _message(status: SyncRun.Status, troubled: Iterable[Leg], outcome: Outcome) -> str:
    problems = outcome.orders.problems + outcome.openings_refused
    said = ""
    if status == Status.FAILED:
        said = _("Nothing of this account could be read.")
    elif problems:
        said = ngettext(
            "%(count)s problem while booking; see the exceptions.",
            "%(count)s problems while booking; see the exceptions.",
            problems,
        ) % {"count": problems}
    return next((leg.error.message for leg in troubled if leg.error), said)


@transaction.atomic
def _fail(run: SyncRun, error: LegError, operation: str, *, was_asked: bool = False) -> None:
    account = leases.lock_account(run)
    record_incident(account, error, operation, run=run)
    _note_rejection(run, account, [error])
    runs.end_run(run, account, Status.FAILED, error.message, stay_away=error.retry_after or 0)
    if was_asked:
        note_failure(account, error)
        if error.retry_after:
            hold_all(account, error.retry_after)


def _note_circuit(run: SyncRun, legs: Sequence[Leg]) -> None:
    """Note whether the exchange answered, and whether it asked not to be asked for a while."""
    errors = [leg.error for leg in legs if leg.error and leg.status is LegStatus.FAILED]
    if any(leg.status is LegStatus.OBSERVED for leg in legs):
        note_answer(run.account)
    elif errors:
        note_failure(run.account, errors[0])
    if stay_away := _stay_away(legs):
        hold_all(run.account, stay_away)


def _note_credential(run: SyncRun, legs: Sequence[Leg]) -> None:
    if any(leg.status is LegStatus.OBSERVED for leg in legs):
        note_credential_state(run.account, State.ACCEPTED, read_at=runs.begun_at(run))
        forget_rejections(run.account)
    else:
        _note_rejection(run, run.account, [leg.error for leg in legs if leg.error])


def _note_rejection(run: SyncRun, account: ExchangeAccount, errors: Iterable[LegError]) -> None:
    """Count that the key was rejected which the run had, unless there is another one since."""
    read_at = runs.begun_at(run)
    told = [error for error in errors if error.kind not in NOT_THE_EXCHANGES_WORD]
    rejected = [error for error in told if error.category == "auth"]
    if rejected and not has_newer_key(account, read_at):
        note_credential_state(account, State.REJECTED, rejected[0].message, read_at=read_at)
        note_rejection(account, timezone.now())


def _stay_away(legs: Iterable[Leg]) -> float:
    return max((leg.error.retry_after or 0 for leg in legs if leg.error), default=0)
