"""What a snapshot says, applied: orders, fills, flows, ledger and positions in one fenced transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from django.db import transaction

from portfolios.models import ExchangeAccount, Portfolio, StoredLeg, SyncRun
from portfolios.services import leases
from portfolios.services.absence import climb_ladder
from portfolios.services.acknowledgements import with_acknowledged
from portfolios.services.baselines import set_baseline
from portfolios.services.claim_rules import apply_claim_rules
from portfolios.services.claims import match_named
from portfolios.services.contradictions import has_frozen_orders
from portfolios.services.cursors import CLOCK_ERROR, advance_cursors
from portfolios.services.denied_fills import find_denied_fills
from portfolios.services.discrepancies import Findings
from portfolios.services.effects import balance_legs, observed_balances
from portfolios.services.external_orders import store_external_orders
from portfolios.services.fills import fill_rows, find_missing_fees, find_orphans, store_orphans
from portfolios.services.flows import flow_rows, sync_flows
from portfolios.services.incidents import record_incident
from portfolios.services.ledger import rewrite_reserved
from portfolios.services.openings import sync_unallocated
from portfolios.services.order_batch import OrdersOutcome
from portfolios.services.order_reads import (
    OrderId,
    OrderReads,
    order_reads,
    with_orders_of_fills,
    with_orphans,
)
from portfolios.services.orders import sync_orders
from portfolios.services.quarantine import believed
from portfolios.services.reused_ids import set_reused_apart, with_own_fill_ids
from providers.errors import ClockSkewed, OpeningRefused
from providers.redaction import leg_error
from providers.reports import FillReport, Leg, LegKind, LegStatus


@dataclass(slots=True)
class Outcome:
    """What one apply has done, and what kept it from being whole.

    Parameters
    ----------
    legs : tuple of Leg
        What may be concluded from: reads in quarantine have lost their rows.
    """

    orders: OrdersOutcome = field(default_factory=OrdersOutcome)
    findings: Findings = field(default_factory=Findings)
    legs: tuple[Leg, ...] = ()
    openings_refused: int = 0
    is_moved: bool = False

    @property
    def has_problems(self) -> bool:
        return bool(self.orders.problems or self.openings_refused)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has moved and nothing was found."""
        is_changed = self.is_moved or self.orders.changed or self.findings.found
        return not (is_changed or self.has_problems)


@transaction.atomic
def apply_snapshot(run: SyncRun, legs: Sequence[Leg]) -> Outcome:
    """Bring orders, fills, flows, ledger and positions to what the legs report; all or nothing.

    Raises
    ------
    LeaseLost
        If another worker has taken the account over; nothing is written then.
    """
    account = leases.lock_account(run)
    legs = with_own_fill_ids(account, legs)
    outcome = Outcome()
    portfolios = list(account.portfolios.filter(mode=Portfolio.Mode.LIVE))
    _apply_orders(account, portfolios, legs, run, outcome)
    outcome.is_moved |= bool(sync_flows(account, flow_rows(legs), run, outcome.findings))
    # Only now: what the records explain is believed at once.
    read = believed(account, legs, outcome.findings)
    outcome.legs = read.legs
    # Before portfolios are opened, which count what their orders lock.
    apply_claim_rules(account)
    outcome.openings_refused = _open_portfolios(portfolios, read.legs, run)
    if account.baseline_at is None and _can_be_baseline(account, read.legs, outcome):
        if _is_clock_known(run, read.legs):
            for leg in balance_legs(read.legs):
                set_baseline(account, leg, run)
        else:
            outcome.openings_refused += 1
    outcome.orders.changed += climb_ladder(
        account, read, run.started_at or run.queued_at, outcome.findings
    )
    advance_cursors(account, legs, outcome.findings)
    rewrite_reserved(account)
    run.account = account
    return outcome


def _apply_orders(
    account: ExchangeAccount,
    portfolios: Sequence[Portfolio],
    legs: Sequence[Leg],
    run: SyncRun,
    outcome: Outcome,
) -> None:
    told = with_orders_of_fills(account, order_reads(legs))
    set_reused_apart(account, told)
    match_named(account, told.by_client_id)
    reads = with_acknowledged(account, with_orphans(account, told))
    findings = outcome.findings
    outcome.orders.add(store_external_orders(account, reads, run))
    whole = outcome.orders.whole
    outcome.orders.add(sync_orders(account, portfolios, reads, run, findings, whole))
    new = _apply_orphans(account, reads, run, outcome)
    seen_at = run.started_at or run.queued_at
    find_orphans(account, findings)
    find_missing_fees(account, seen_at, findings)
    find_denied_fills(account, legs, findings)
    outcome.is_moved = bool(outcome.orders.changed or new)


def _apply_orphans(
    account: ExchangeAccount, reads: OrderReads, run: SyncRun, outcome: Outcome
) -> int:
    """Store the fills whose order no book knows, nor the exchange when it was asked, or whose order is frozen.

    Those of an order that could not be booked too: their list may not tell them again.
    """
    listed = [row for rows in reads.account_fills.values() for row in rows]
    read = [listed, *(fill_rows(leg) for leg in reads.fills.values())]
    if not any(read):
        return 0
    # What a backtest calls its orders says nothing of those at the exchange.
    real = account.orders.filter(is_backtest=False)
    orders = real.filter(external_id__in=reads.ids, frozen_because="")
    known = set(orders.values_list("symbol", "external_id"))
    loose = _chosen(read, lambda order: order not in known)
    new = store_orphans(account, loose, run, outcome.findings)
    for failed in sorted(outcome.orders.failed):
        new += _store_apart(account, _chosen(read, failed.__eq__), run, outcome)
    return new


def _chosen(
    reads: Iterable[Iterable[FillReport]], is_wanted: Callable[[OrderId], bool]
) -> list[list[FillReport]]:
    chosen = (
        [row for row in rows if is_wanted((row.symbol, row.order_external_id))] for rows in reads
    )
    return [rows for rows in chosen if rows]


def _store_apart(
    account: ExchangeAccount, reads: list[list[FillReport]], run: SyncRun, outcome: Outcome
) -> int:
    try:
        with transaction.atomic():
            return store_orphans(account, reads, run, outcome.findings)
    except Exception as e:  # whatever is wrong with one order stays with that order
        record_incident(account, leg_error(e), "fills.store", run=run)
        return 0


def _open_portfolios(portfolios: Iterable[Portfolio], legs: Iterable[Leg], run: SyncRun) -> int:
    trading = run.account.wallets[0]
    read = {leg.subject: leg for leg in balance_legs(legs) if leg.status is LegStatus.OBSERVED}
    if trading not in read:
        return 0
    held = observed_balances(read[trading])
    refused = 0
    for portfolio in portfolios:
        if portfolio.initialized:
            continue
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


def _can_be_baseline(account: ExchangeAccount, legs: Sequence[Leg], outcome: Outcome) -> bool:
    """Whether the balances were read whole, and nothing that they contain is still to be booked."""
    is_read = bool(balance_legs(legs)) and all(map(_is_settled, legs))
    # What could not be booked yet would be booked on top of a baseline that holds it.
    return is_read and not outcome.orders.problems and not has_frozen_orders(account)


def _is_clock_known(run: SyncRun, legs: Sequence[Leg]) -> bool:
    """Whether the exchange's clock is that of the host, or as far from it as it was at the last look.

    By it is told what the baseline holds. One that is far off for a moment would take what comes next as held already.
    """
    [offset, *_] = [leg.clock_offset for leg in balance_legs(legs)]
    looks = StoredLeg.objects.filter(run__account=run.account_id, status=LegStatus.OBSERVED)
    last = looks.filter(run__lt=run.pk, kind=LegKind.BALANCES).order_by("-pk").first()
    known = last.clock_offset if last is not None else 0
    if min(abs(offset), abs(offset - known)) <= CLOCK_ERROR.total_seconds():
        return True
    error = ClockSkewed(
        f"The exchange's clock is {offset:+.0f} s from this host's. What the account holds is taken as its opening "
        "once the next look tells the same. Check the host's clock."
    )
    record_incident(run.account, leg_error(error), "account.open", run=run)
    return False


def _is_settled(leg: Leg) -> bool:
    if leg.kind is LegKind.BALANCES:
        return leg.status is LegStatus.OBSERVED and leg.complete
    if leg.status is LegStatus.OBSERVED:
        return leg.complete or leg.kind is LegKind.ENDED_ORDERS
    is_unknown_there = leg.error is not None and leg.error.category == "not_found"
    return leg.status is not LegStatus.FAILED or is_unknown_there
