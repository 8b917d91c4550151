"""The portfolio sync service: brings the books of accounts to what their exchanges report.

claim -> fetch -> store -> apply -> judge -> close. No transaction is open while an exchange is read; what is applied
is applied in one transaction that starts by checking that the account is still ours.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from portfolios.models import ExchangeAccount, MarketCredential, Portfolio, SyncRun
from portfolios.services import runs
from portfolios.services.balances import (
    balance_legs,
    judge_account,
    observed_balances,
    set_baseline,
)
from portfolios.services.credentials import note_credential_state, opened_credentials
from portfolios.services.incidents import record_incident
from portfolios.services.ledger import rewrite_reserved
from portfolios.services.legs import store_legs
from portfolios.services.openings import sync_unallocated
from portfolios.services.orders import (
    OrdersOutcome,
    known_orders,
    order_reads,
    store_external_orders,
    sync_orders,
)
from portfolios.services.providers import provider_lookup
from providers.base import PortfolioProvider
from providers.errors import CredentialUnreadable, OpeningRefused, RateLimited
from providers.fetching import fetch_snapshots
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
# Without a key that can be opened, nothing was asked of the exchange.
NOT_THE_EXCHANGES_WORD = ("CredentialMissing", "CredentialUnreadable")
Status = SyncRun.Status
Stage = SyncRun.Stage


@dataclass(slots=True)
class Outcome:
    """What one apply has done: how many orders were seen and changed, and what kept it from being whole."""

    orders: OrdersOutcome = field(default_factory=OrdersOutcome)
    openings_refused: int = 0

    @property
    def has_problems(self) -> bool:
        return bool(self.orders.problems or self.openings_refused)


def execute_runs(run_ids: Iterable[int]) -> None:
    """Sync the accounts of the given runs, all of them at once; errors end up on the run and in the incidents.

    Safe to call twice: only the caller that claims a run works on it.
    """
    with ExitStack() as secrets:
        jobs: list[tuple[PortfolioProvider, SnapshotRequest]] = []
        waiting: dict[str, SyncRun] = {}
        for run in filter(None, map(runs.claim_run, run_ids)):
            job = _job(run, secrets)
            if job is not None:
                jobs.append(job)
                waiting[run.account.label] = run
        with closing(fetch_snapshots(jobs, idle_after=_renewal_seconds())) as events:
            _follow(events, waiting)


def _follow(events: Iterable[Progress | Snapshot | None], waiting: dict[str, SyncRun]) -> None:
    renewed = time.monotonic()
    for event in events:
        try:
            if time.monotonic() - renewed >= _renewal_seconds():
                runs.renew_leases(waiting.values())
                renewed = time.monotonic()
            _take(event, waiting)
        except Exception:  # a run that could not be written is healed later; the others go on
            log.exception("event_lost")


def _take(event: Progress | Snapshot | None, waiting: dict[str, SyncRun]) -> None:
    if isinstance(event, Progress):
        runs.show_progress(waiting[event.account], Stage.FETCHING, event.done, event.total)
    elif isinstance(event, Snapshot):
        rows = sum(len(leg.rows) for leg in event.legs)
        # Nobody renews while a large account is booked.
        runs.renew_leases(waiting.values(), beyond=rows * SECONDS_A_ROW)
        finish_run(waiting.pop(event.request.account), event)


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
            note_credential_state(account, MarketCredential.State.LOCKED, str(e))
        with _unless_taken_over(run):
            _fail(run, leg_error(e), "sync.prepare")
        return None
    secrets.enter_context(secrets_in_use(request.credentials))
    return provider, request


def _stay_away_as_asked(account: ExchangeAccount) -> None:
    until = account.stay_away_until
    if until is not None and until > timezone.now():
        raise RateLimited(
            f"{account.market} asked not to be read before {until:%H:%M:%S} UTC. Nothing was sent; "
            "the account is synced after that.",
            retry_after=(until - timezone.now()).total_seconds(),
        )


def _is_offline(account: ExchangeAccount) -> bool:
    modes = set(account.portfolios.values_list("mode", flat=True))
    return modes == {Portfolio.Mode.BACKTEST}


def snapshot_request(account: ExchangeAccount) -> SnapshotRequest:
    """Everything a provider needs to read `account`.

    Raises
    ------
    CredentialUnreadable
        If a stored secret cannot be opened.
    """
    assets = set(account.positions.values_list("asset", flat=True))
    assets |= set(account.portfolios.values_list("trading_symbol", flat=True))
    return SnapshotRequest(
        account=account.label,
        market=account.market,
        credentials=opened_credentials(account),
        endpoint=account.endpoint,
        sandbox=account.sandbox,
        wallets=tuple(account.wallets),
        known_orders=known_orders(account),
        assets=tuple(sorted(assets)),
        symbols=tuple(sorted(set(account.orders.values_list("symbol", flat=True)))),
        deadline=settings.POSSYNC_SYNC_DEADLINE,
    )


def finish_run(run: SyncRun, snapshot: Snapshot) -> None:
    """Store, apply and judge what was read, and close the run.

    Nothing is written, and no error raised, if the account was taken from this run meanwhile.
    """
    run.http_requests = snapshot.http_requests
    with _unless_taken_over(run):
        if snapshot.error is None:
            _bring_up_to_date(run, snapshot.legs)
        else:
            _fail(run, snapshot.error, "sync.fetch")


@contextmanager
def _unless_taken_over(run: SyncRun) -> Iterator[None]:
    try:
        yield
    except runs.LeaseLost:
        log.warning("run_taken_over", account=run.account.label, run=run.pk)


def _bring_up_to_date(run: SyncRun, legs: Sequence[Leg]) -> None:
    try:
        with transaction.atomic():
            runs.lock_account(run)
            store_legs(run, legs)
        runs.show_progress(run, Stage.APPLYING)
        outcome = apply_snapshot(run, legs)
        runs.show_progress(run, Stage.JUDGING)
        _judge(run, legs, outcome)
        _close(run, legs, outcome)
    except runs.LeaseLost:
        raise
    except Exception as e:  # a fault of ours must not leave the run open
        log.exception("sync_failed", account=run.account.label, run=run.pk)
        _fail(run, leg_error(e), "sync.apply")


@transaction.atomic
def apply_snapshot(run: SyncRun, legs: Sequence[Leg]) -> Outcome:
    """Bring orders, fills, ledger and positions to what the legs report; all or nothing.

    Raises
    ------
    LeaseLost
        If another worker has taken the account over; nothing is written then.
    """
    account = runs.lock_account(run)
    outcome = Outcome()
    reads = order_reads(legs)
    outcome.orders.problems += store_external_orders(account, reads, run)
    portfolios = list(account.portfolios.filter(mode=Portfolio.Mode.LIVE))
    for portfolio in [*portfolios, None]:
        _add(outcome.orders, sync_orders(account, portfolio, reads, run))
    outcome.openings_refused = _open_portfolios(portfolios, legs, run)
    if account.baseline_at is None and _can_be_baseline(legs):
        for leg in balance_legs(legs):
            set_baseline(account, leg)
    rewrite_reserved(account)
    run.account = account
    return outcome


def _add(total: OrdersOutcome, part: OrdersOutcome) -> None:
    total.checked += part.checked
    total.changed += part.changed
    total.problems += part.problems
    total.findings += part.findings
    total.judged |= part.judged


def _open_portfolios(portfolios: Iterable[Portfolio], legs: Iterable[Leg], run: SyncRun) -> int:
    trading = run.account.wallets[0]
    read = {leg.subject: leg for leg in balance_legs(legs) if leg.status is LegStatus.OBSERVED}
    if trading not in read:
        return 0
    held = observed_balances(read[trading])
    refused = 0
    for portfolio in portfolios:
        if not read[trading].complete and portfolio.trading_symbol not in held:
            continue  # unread is not absent
        try:
            with transaction.atomic():
                sync_unallocated(portfolio, held.get(portfolio.trading_symbol), run)
        except OpeningRefused as e:
            record_incident(
                run.account, leg_error(e), "portfolio.open", run=run, subject=portfolio.name
            )
            refused += 1
    return refused


def _can_be_baseline(legs: Sequence[Leg]) -> bool:
    """Whether the balances were read whole, and nothing that they contain is still to be booked."""
    return bool(balance_legs(legs)) and all(map(_is_settled, legs))


def _is_settled(leg: Leg) -> bool:
    if leg.kind is LegKind.BALANCES or leg.status is LegStatus.OBSERVED:
        return leg.status is LegStatus.OBSERVED and leg.complete
    is_unknown_there = leg.error is not None and leg.error.category == "not_found"
    return leg.status is not LegStatus.FAILED or is_unknown_there


@transaction.atomic
def _judge(run: SyncRun, legs: Sequence[Leg], outcome: Outcome) -> None:
    account = runs.lock_account(run)
    judge_account(account, legs, timezone.now(), outcome.orders.findings, outcome.orders.judged)


@transaction.atomic
def _close(run: SyncRun, legs: Sequence[Leg], outcome: Outcome) -> None:
    runs.lock_account(run)
    troubled = [leg for leg in legs if leg.error and leg.status is not LegStatus.UNSUPPORTED]
    for leg in troubled:
        _record(run, leg)
    _note_credential(run.account, legs)
    run.balances_read = any(leg.status is LegStatus.OBSERVED for leg in balance_legs(legs))
    run.orders_checked, run.orders_changed = outcome.orders.checked, outcome.orders.changed
    status = _status(legs, is_whole=not (troubled or outcome.has_problems))
    message = _message(status, troubled, outcome)
    runs.close_run(run, status, message, stay_away=_stay_away(legs))


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
def _fail(run: SyncRun, error: LegError, operation: str) -> None:
    runs.lock_account(run)
    record_incident(run.account, error, operation, run=run)
    _note_rejection(run.account, [error])
    runs.close_run(run, Status.FAILED, error.message, stay_away=error.retry_after or 0)


def _note_credential(account: ExchangeAccount, legs: Sequence[Leg]) -> None:
    if any(leg.status is LegStatus.OBSERVED for leg in legs):
        note_credential_state(account, MarketCredential.State.ACCEPTED)
    else:
        _note_rejection(account, [leg.error for leg in legs if leg.error])


def _note_rejection(account: ExchangeAccount, errors: Iterable[LegError]) -> None:
    for error in errors:
        if error.category == "auth" and error.kind not in NOT_THE_EXCHANGES_WORD:
            note_credential_state(account, MarketCredential.State.REJECTED, error.message)


def _stay_away(legs: Iterable[Leg]) -> float:
    return max((leg.error.retry_after or 0 for leg in legs if leg.error), default=0)
