"""What is asked of an exchange for one account, and how deep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db.models import Prefetch, prefetch_related_objects
from django.utils import timezone

from portfolios.models import Discrepancy, ExchangeAccount, JudgedSnapshot, Position
from portfolios.models.choices import Verdict
from portfolios.models.order import OPEN_STATUSES
from portfolios.reconciliation.flows import UNSETTLED
from portfolios.services.accounts import lag
from portfolios.services.asked_orders import known_orders
from portfolios.services.credentials import key_name, opened
from portfolios.services.cursors import SELDOM, cursors, overlap
from portfolios.services.discrepancies import BALANCE_CODES, Live, live_of
from portfolios.services.effects import balance_legs
from portfolios.services.judged_contents import Read, reads_of
from portfolios.services.snapshots import newest_snapshot, waits_since
from portfolios.services.traded_symbols import traded_symbols
from providers.reports import (
    THE_REST,
    BalanceReport,
    Depth,
    Leg,
    LegKind,
    LegStatus,
    Snapshot,
    SnapshotRequest,
)

# At least so often fills and flows are read although nothing seems to have moved.
FULL_READ_EVERY: Final = timedelta(hours=1)
# What waits longer to be judged waits for lists that could not be read.
JUDGED_LATE: Final = timedelta(minutes=15)
# Ended orders whose fills may still turn up in the part of a list that is read again.
RECENT: Final = timedelta(days=2)
LISTS_OF_FACTS: Final = (LegKind.ACCOUNT_FILLS, LegKind.FLOWS)
_DEPTH_NOTED: Final = ("full_read_at", "moved_at", "seldom_read_at")
_TOLD_BY_LISTS: Final = frozenset(
    {Discrepancy.Code.BALANCE_LOCK_MISMATCH, Discrepancy.Code.FILL_LOCAL_ONLY}
)


@dataclass(frozen=True, slots=True)
class Doubts:
    """What is not settled of an account, read once for all that is decided by it.

    Parameters
    ----------
    newest : JudgedSnapshot or None
        The last read of balances; None after a quiet run too, which has settled everything.
    live : dict
        Discrepancies that live, by key: none after a quiet run either.
    """

    newest: JudgedSnapshot | None
    live: Live

    @classmethod
    def of(cls, account: ExchangeAccount) -> Doubts:
        if account.quiet_run_id is not None:
            return cls(None, {})
        return cls(newest_snapshot(account), live_of(account))


def look_up_together(accounts: Sequence[ExchangeAccount]) -> None:
    """Ask at once for what `snapshot_request` needs of each account, as far as its size does not matter."""
    assets = Position.objects.only("account_id", "portfolio_id", "asset").order_by()
    prefetch_related_objects(accounts, "portfolios", "cursors", Prefetch("positions", assets))


def snapshot_request(account: ExchangeAccount) -> SnapshotRequest:
    """Everything a provider needs to read `account`.

    Raises
    ------
    CredentialUnreadable
        If a stored secret cannot be opened.
    """
    now, doubts = timezone.now(), Doubts.of(account)
    return SnapshotRequest(
        account=account.label,
        market=account.market,
        credentials=opened(account, getattr(account, "credential", None)),
        endpoint=account.endpoint,
        sandbox=account.sandbox,
        wallets=tuple(account.wallets),
        known_orders=known_orders(account, doubts.live),
        assets=_assets(account),
        symbols=_symbols(account),
        depth=reading_depth(account, now, doubts),
        last_balances=_last_balances(account, doubts.newest),
        facts_since=account.baseline_at,
        cursors=cursors(account, now, doubts.live),
        overlap_seconds=overlap(account).total_seconds(),
        known_order_ids=_known_order_ids(account),
        deadline=settings.POSSYNC_SYNC_DEADLINE,
        # As much again: with the booking after it, all this ends before the queue ends the task.
        patience=settings.POSSYNC_SYNC_DEADLINE,
        has_differences=_has_differences(account, now, doubts),
        key_name=key_name(account),
    )


def reading_depth(account: ExchangeAccount, now: datetime, doubts: Doubts | None = None) -> Depth:
    """Decide how deep to read: fully at least hourly, after something moved, and while anything is not settled."""
    full_read_at = account.full_read_at or account.baseline_booked_at
    if full_read_at is None:
        return Depth.CHEAP  # the first look takes the account as it is
    if now - full_read_at >= FULL_READ_EVERY:
        return Depth.FULL
    if account.moved_at is not None and full_read_at < account.moved_at + lag(account):
        return Depth.FULL
    is_settled = account.quiet_run_id is not None or not _is_unsettled(
        account, doubts or Doubts.of(account)
    )
    return Depth.CHEAP if is_settled else Depth.FULL


def _is_unsettled(account: ExchangeAccount, doubts: Doubts) -> bool:
    """Whether a read of balances waits to be settled, or what is settled does not agree.

    Or something is suspected that the lists may explain: that what is in use is not what orders lock, or that a fill is
    told no more.
    """
    if doubts.newest is not None and doubts.newest.settled_at is None:
        return True
    live = doubts.live.values()
    suspected = (row.code for row in live if row.state == Discrepancy.State.SUSPECTED)
    if not _TOLD_BY_LISTS.isdisjoint(suspected):
        return True
    doubted = account.balances.filter(verdict__in=(Verdict.DIFFERS, Verdict.CONSISTENT))
    return doubted.exists()


def _has_differences(account: ExchangeAccount, now: datetime, doubts: Doubts) -> bool:
    """Whether lists that seldom tell anything may tell why a balance differs, and were not read for it yet.

    They are while a difference is suspected, since the look that opens it must miss nothing either; until a little
    after the newest difference was seen; and then hourly. What happened at the time of the baseline may differ as well
    until that is settled.
    """
    if account.quiet_run_id is not None:
        return False
    waiting_since = waits_since(doubts.newest)
    if waiting_since is not None and now - waiting_since > JUDGED_LATE:
        return True  # what is judged so late is judged several times at once
    differing = [row for row in doubts.live.values() if row.code in BALANCE_CODES]
    if any(row.state == Discrepancy.State.SUSPECTED for row in differing):
        return True
    seen = [row.first_seen for row in differing]
    is_settled = account.baseline_settled_at is not None
    if not seen and is_settled and not _is_seldom_flow_on_its_way(account):
        return False
    read_at = account.seldom_read_at
    if read_at is None or now - read_at >= FULL_READ_EVERY:
        return True
    moments = (max(seen, default=None), None if is_settled else account.baseline_booked_at)
    return any(read_at < moment + overlap(account) for moment in moments if moment is not None)


def _is_seldom_flow_on_its_way(account: ExchangeAccount) -> bool:
    return account.flows.filter(source__in=SELDOM, status__in=UNSETTLED).exists()


def note_depth(account: ExchangeAccount, snapshot: Snapshot, *, is_moved: bool) -> None:
    """Note when the account was read fully, and when it was seen to move: what is read next depends on it."""
    before = [getattr(account, name) for name in _DEPTH_NOTED]
    if snapshot.depth is Depth.FULL and all(map(_is_read_list, snapshot.legs)):
        lists = [leg.requested_at for leg in snapshot.legs if leg.kind in LISTS_OF_FACTS]
        # The earliest: what happened after it is not told by that list.
        account.full_read_at = min(lists, default=timezone.now())
    request = snapshot.request
    was_deepened = request.depth is Depth.CHEAP and snapshot.depth is Depth.FULL
    # The first look takes everything as it is: nothing has moved since.
    if request.facts_since is not None and (is_moved or was_deepened):
        account.moved_at = max(
            (leg.requested_at for leg in balance_legs(snapshot.legs)), default=timezone.now()
        )
    seldom = [leg for leg in snapshot.legs if leg.kind is LegKind.FLOWS and leg.subject in SELDOM]
    if seldom and all(map(_is_read_list, seldom)):
        account.seldom_read_at = min(leg.requested_at for leg in seldom)
    if before != [getattr(account, name) for name in _DEPTH_NOTED]:
        account.save(update_fields=_DEPTH_NOTED)


def _is_read_list(leg: Leg) -> bool:
    """Whether nothing of a list is left that waiting could tell; what is no list is none that could."""
    if leg.kind not in LISTS_OF_FACTS or leg.status is LegStatus.UNSUPPORTED:
        return True
    # A key that may not read it never will: what differs is told, rather than suspected for ever.
    if leg.error is not None and leg.error.category == "permission":
        return True
    # Symbols that nobody asked for are a gap of the coverage, and told as that.
    is_left_out = leg.status is LegStatus.SKIPPED and leg.subject == THE_REST
    return is_left_out or (leg.status is LegStatus.OBSERVED and leg.complete)


def _assets(account: ExchangeAccount) -> tuple[str, ...]:
    assets = {position.asset for position in account.positions.all()}
    assets |= {portfolio.trading_symbol for portfolio in account.portfolios.all()}
    return tuple(sorted(assets))


def _symbols(account: ExchangeAccount) -> tuple[str, ...]:
    return tuple(sorted({*traded_symbols(account), *account.symbols}))


def _last_balances(
    account: ExchangeAccount, newest: JudgedSnapshot | None
) -> tuple[BalanceReport, ...]:
    """Give every asset as it was last told, under the exchange's own name; what is shown may be the sum of several."""
    reads = _last_reads(account, newest)
    others = [x for x in account.wallets if x not in reads or not reads[x].complete]
    rows = account.balances.filter(wallet__in=others).order_by("wallet", "asset")
    shown = {
        (row.wallet, row.asset): BalanceReport(row.asset, row.free, row.used, row.total, row.wallet)
        for row in rows
    }
    for wallet, read in reads.items():
        shown |= {(wallet, asset): row for asset, row in read.held.items()}
    return tuple(shown.values())


def _last_reads(account: ExchangeAccount, newest: JudgedSnapshot | None) -> dict[str, Read]:
    """Give what was last read of each wallet, and believed."""
    if account.quiet_run_id is not None:
        return reads_of(account.quiet_run_id, account.wallets)
    if newest is None or newest.content is None:
        return {}
    return reads_of(newest.run_id, newest.content.rows)


def _known_order_ids(account: ExchangeAccount) -> frozenset[str]:
    """Ids of the orders that fills of the coming read may belong to."""
    oldest = min((cursor.covered_until for cursor in account.cursors.all()), default=None)
    orders = account.orders.filter(is_backtest=False).exclude(external_id="")
    ids = orders.order_by().values_list("external_id", flat=True)
    if oldest is not None:
        recent = ids.filter(updated_at__gte=oldest - RECENT)
        undated = ids.filter(updated_at=None)
        # Each by its index: of all in one question an account's orders would all be looked through.
        ids = recent.union(undated, ids.filter(status__in=OPEN_STATUSES))
    return frozenset(ids)
