"""Balances as one run read them, judged against the books: provisionally until all that happened before is known."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db.models import Count, Max, Q, Subquery, prefetch_related_objects
from django.db.models.functions import Coalesce

from portfolios.models import ExchangeAccount, JudgedSnapshot, StoredLeg, SyncRun
from portfolios.reconciliation.balances import Evidence, judged
from portfolios.reconciliation.verdicts import (
    STALE_AT_MOST,
    Effect,
    Verdict,
    Window,
    quantum_of,
    tolerance,
)
from portfolios.services.accounts import lag
from portfolios.services.asset_rules import Rules
from portfolios.services.baselines import Doubt, baseline_doubts
from portfolios.services.effects import (
    Booked,
    balance_legs,
    clock_error,
    expected_by_wallet,
    window_of,
)
from portfolios.services.flows import UNSETTLED, pending_sums
from portfolios.services.judged_contents import (
    AssetJudgement,
    Read,
    plain_row,
    reads_of,
    store_content,
)
from providers.balance_changes import have_changed
from providers.mapping import base_and_quote
from providers.reports import BalanceReport, FlowKind, Leg, LegKind, LegStatus

ZERO = Decimal(0)
# Older ones that wait to be settled are passed over: an account whose lists fail for days is judged by its last reads.
MOST_WAITING: Final = 12


@dataclass(frozen=True, slots=True)
class Books:
    """What the books know of an account at the moment of judging; read once for all that is judged then.

    Parameters
    ----------
    known : Mapping of str to set of str
        By wallet every asset that was ever judged.
    derived : Mapping of str to int
        By asset how many of the booked amounts we had to compute, since the exchange did not report them.
    pending : set of str
        Assets of which something is on its way.
    last_entry : int
        Primary key of the last ledger entry.
    """

    account: ExchangeAccount
    expected: Mapping[str, Mapping[str, Decimal]]
    known: Mapping[str, set[str]]
    rules: Rules
    doubts: Mapping[str, Doubt]
    derived: Mapping[str, int]
    pending: set[str]
    last_entry: int


@dataclass(frozen=True, slots=True)
class JudgedRead:
    """A snapshot, and what is said of each asset by wallet.

    Parameters
    ----------
    is_whole : bool
        Whether every wallet was read whole.
    """

    snapshot: JudgedSnapshot
    assets: Mapping[str, Mapping[str, AssetJudgement]]
    is_whole: bool

    @property
    def agrees(self) -> bool:
        """Whether every asset of every wallet is verified."""
        return self.is_whole and all(
            of_asset.judgement.verdict is Verdict.VERIFIED
            for of_wallet in self.assets.values()
            for of_asset in of_wallet.values()
        )


def books_of(account: ExchangeAccount, rules: Rules) -> Books:
    known: dict[str, set[str]] = {}
    for wallet, asset in account.balances.values_list("wallet", "asset"):
        known.setdefault(wallet, set()).add(asset)
    on_way = account.flows.filter(status__in=UNSETTLED, in_baseline=False)
    return Books(
        account=account,
        expected={
            wallet: rules.folded(amounts) for wallet, amounts in expected_by_wallet(account).items()
        },
        known=known,
        rules=rules,
        doubts=baseline_doubts(account),
        derived=_derived(account),
        pending=set(on_way.exclude(kind=FlowKind.OTHER).values_list("asset", flat=True)),
        last_entry=account.ledger_entries.aggregate(last=Max("pk"))["last"] or 0,
    )


def _derived(account: ExchangeAccount) -> dict[str, int]:
    """Count by quote asset the orders whose cost is reckoned from a price: neither they nor any fill tell it."""
    real = account.orders.filter(is_backtest=False).exclude(filled=ZERO)
    since = Q(updated_at__gt=account.baseline_at) | Q(updated_at=None)
    untold = real.filter(since, cost=None, fills=None).order_by().values("symbol")
    counts: dict[str, int] = {}
    for symbol, count in untold.annotate(count=Count("pk")).values_list("symbol", "count"):
        quote = base_and_quote(symbol)[1]
        counts[quote] = counts.get(quote, 0) + count
    return counts


def new_snapshot(
    account: ExchangeAccount, legs: Iterable[Leg], run: SyncRun
) -> JudgedSnapshot | None:
    """Tell when balances were read; the time is that of the wallet that is traded from."""
    read = [leg for leg in balance_legs(legs) if leg.status is LegStatus.OBSERVED]
    if not read:
        return None
    traded = [leg for leg in read if leg.subject == account.wallets[0]] or read
    windows = [window_of(leg, clock_error(account)) for leg in traded]
    return JudgedSnapshot(
        account=account,
        run=run,
        window_low=min(window.low for window in windows),
        window_high=max(window.high for window in windows),
        seen_at=max(leg.responded_at for leg in read),
    )


class Snapshots:
    """The newest snapshots of an account, read once for all that looks at them; the one of this run may be added."""

    def __init__(self, account: ExchangeAccount) -> None:
        # One more, so that there is one before the oldest that waits.
        self._rows = list(account.snapshots.order_by("-pk")[: MOST_WAITING + 1])[::-1]

    def add(self, newest: JudgedSnapshot) -> None:
        self._rows.append(newest)

    def waiting(self) -> list[JudgedSnapshot]:
        """Give those after the last settled one, oldest first; the newest of them if they are many."""
        settled = [number for number, row in enumerate(self._rows) if row.settled_at is not None]
        waiting = self._rows[settled[-1] + 1 :] if settled else self._rows
        prefetch_related_objects([row for row in waiting if row.content_id is not None], "content")
        return waiting[-MOST_WAITING:]

    def before(self, snapshot: JudgedSnapshot) -> JudgedSnapshot | None:
        """Give the one before `snapshot`."""
        number = self._rows.index(snapshot)
        return self._rows[number - 1] if number else None

    def waits_since(self) -> datetime | None:
        """Tell when the oldest read that waits to be settled was answered; None if none waits."""
        return waits_since(self._rows[-1] if self._rows else None)


def newest_snapshot(account: ExchangeAccount) -> JudgedSnapshot | None:
    return account.snapshots.select_related("content").order_by("-pk").first()


def waits_since(newest: JudgedSnapshot | None) -> datetime | None:
    """As `Snapshots.waits_since`, if only the newest snapshot of an account was read."""
    if newest is None or newest.settled_at is not None:
        return None
    snapshots = newest.account.snapshots
    settled = snapshots.filter(settled_at__isnull=False).order_by("-pk").values("pk")
    unsettled = snapshots.filter(pk__gt=Coalesce(Subquery(settled[:1]), 0)).order_by("pk")
    return unsettled.values_list("seen_at", flat=True).first()


def judge_snapshot(
    snapshot: JudgedSnapshot, books: Books, wallets: Iterable[str], booked: Booked | None
) -> JudgedRead:
    """Compare a read with the books.

    Parameters
    ----------
    booked : Booked or None
        What is booked since `compared_since` the snapshot; the baseline needs none.
    """
    account = books.account
    is_baseline = snapshot.run_id == account.baseline_run_id
    # The baseline is what it is: what happened about its time is told by the looks after it.
    effects = {} if is_baseline or booked is None else _effects(snapshot, books, booked)
    window = Window(snapshot.window_low, snapshot.window_high)
    assets = {}
    reads = reads_of(snapshot.run_id, wallets)
    for wallet, read in reads.items():
        is_traded = wallet == account.wallets[0]
        doubts = {} if is_baseline or not is_traded else books.doubts
        assets[wallet] = {
            asset: _judged(books, asset, evidence, reported)
            for asset, reported, evidence in _evidence(
                books, wallet, read, window, effects if is_traded else {}, doubts
            )
        }
    is_whole = set(reads) == set(account.wallets) and all(read.complete for read in reads.values())
    return JudgedRead(snapshot, assets, is_whole)


def compared_since(snapshot: JudgedSnapshot, account: ExchangeAccount) -> datetime:
    """Give the earliest time of which something may be missing from a read."""
    return snapshot.window_low - max(lag(account), STALE_AT_MOST)


def _effects(snapshot: JudgedSnapshot, books: Books, booked: Booked) -> dict[str, list[Effect]]:
    window = Window(snapshot.window_low, snapshot.window_high)
    since = compared_since(snapshot, books.account)
    effects: dict[str, list[Effect]] = {}
    for asset, of_asset in booked.effects(window, since).items():
        effects.setdefault(books.rules.counts_as(asset), []).extend(of_asset)
    return effects


def _evidence(
    books: Books,
    wallet: str,
    read: Read,
    window: Window,
    effects: Mapping[str, Sequence[Effect]],
    doubts: Mapping[str, Doubt],
) -> Iterable[tuple[str, BalanceReport | None, Evidence]]:
    held = books.rules.counted(read.held)
    expected = books.expected.get(wallet, {})
    assets = held.keys() | expected.keys() | books.known.get(wallet, set())
    for asset in sorted(assets - books.rules.aliases.keys()):
        reported = held.get(asset)
        if reported is None and not read.complete:
            continue  # not listed is not absent
        doubt = doubts.get(asset, Doubt())
        yield (
            asset,
            reported,
            Evidence(
                total=ZERO if reported is None else reported.total,
                expected=expected.get(asset, ZERO),
                window=window,
                lag=lag(books.account),
                effects=tuple(effects.get(asset, ())),
                tolerance=_tolerance(books, asset, reported),
                doubt=doubt.interval,
                corrections=doubt.corrections,
                is_listed=doubt.is_listed,
            ),
        )


def _tolerance(books: Books, asset: str, reported: BalanceReport | None) -> Decimal:
    derived = books.derived.get(asset, 0)
    if not derived or reported is None:
        return ZERO
    told = (reported.free, reported.used, reported.total)
    return tolerance(quantum_of(number for number in told if number is not None), derived)


def _judged(
    books: Books, asset: str, evidence: Evidence, reported: BalanceReport | None
) -> AssetJudgement:
    found = judged(evidence)
    if found.residual and asset in books.pending:
        evidence = _with_pending(evidence, found.residual, pending_sums(books.account, asset))
        found = judged(evidence)
    if found.verdict is Verdict.VERIFIED:
        evidence = evidence.without_certain()
    aliases = books.rules.aliases
    also = sorted(alias for alias, counts_as in aliases.items() if counts_as == asset)
    return AssetJudgement(reported, evidence, found, tuple(also))


def _with_pending(evidence: Evidence, residual: Decimal, sums: Collection[Decimal]) -> Evidence:
    """Reckon with movements on their way: some exchanges count them at once, others when they are done.

    What they make up exactly is no difference; of another one nobody knows which of them is part of it.
    """
    if residual in sums:
        return replace(evidence, pending=residual)
    return replace(evidence, on_way=tuple(sorted(sums)))


def write_judgement(
    read: JudgedRead, books: Books, *, settled: SyncRun | None, at: datetime
) -> None:
    """Keep what is said of a snapshot, and by what; for good if a run has settled it."""
    snapshot = read.snapshot
    if settled is not None:
        snapshot.settled_at, snapshot.settled_by = at, settled
    rows = {
        wallet: {
            asset: plain_row(of_asset, is_settled=settled is not None)
            for asset, of_asset in of_wallet.items()
        }
        for wallet, of_wallet in read.assets.items()
    }
    snapshot.content = store_content(books.account, rows)
    snapshot.last_entry = books.last_entry
    snapshot.save()


def is_settled(
    snapshot: JudgedSnapshot,
    before: JudgedSnapshot | None,
    account: ExchangeAccount,
    *,
    has_moved: bool = False,
) -> bool:
    """Whether all that may have happened up to the read is known.

    Either all lists were read later than anything could still be missing from them; or nothing has moved since a
    snapshot that is settled: equal balances and orders leave the same residual.

    Parameters
    ----------
    before : JudgedSnapshot or None
        The one before it.
    has_moved : bool
        Whether its run saw an order, a fill or a flow change.
    """
    if snapshot.run_id == account.baseline_run_id:
        return True
    full_read_at = account.full_read_at
    if full_read_at is not None and full_read_at >= snapshot.seen_at + lag(account):
        return True
    if has_moved or before is None or before.settled_at is None:
        return False
    return not _is_booked_since(account, before) and _are_equal(snapshot, before, account)


def _is_booked_since(account: ExchangeAccount, before: JudgedSnapshot) -> bool:
    """Whether a later run booked anything; what a person decides moves nothing at the exchange."""
    return account.ledger_entries.filter(run__gt=before.run_id).exists()


def _are_equal(one: JudgedSnapshot, other: JudgedSnapshot, account: ExchangeAccount) -> bool:
    if _contents(one, account) == _contents(other, account):
        return True
    then, now = (reads_of(each.run_id, account.wallets) for each in (one, other))
    return then.keys() == now.keys() and not have_changed(_rows(then), _rows(now))


def _contents(snapshot: JudgedSnapshot, account: ExchangeAccount) -> list[tuple[str, int | None]]:
    legs = StoredLeg.objects.filter(
        run_id=snapshot.run_id,
        kind=LegKind.BALANCES,
        status=LegStatus.OBSERVED,
        subject__in=account.wallets,
    )
    return list(legs.order_by("subject").values_list("subject", "content"))


def _rows(reads: Mapping[str, Read]) -> list[BalanceReport]:
    return [
        replace(row, wallet=wallet) for wallet, read in reads.items() for row in read.held.values()
    ]


def last_settled(
    account: ExchangeAccount, snapshot: JudgedSnapshot, count: int
) -> list[JudgedSnapshot]:
    """Give the settled snapshots before this one, oldest first, at most `count`."""
    settled = account.snapshots.filter(settled_at__isnull=False, pk__lt=snapshot.pk)
    return list(settled.select_related("content").order_by("-pk")[:count])[::-1]


def settles_at(account: ExchangeAccount, snapshot: JudgedSnapshot) -> datetime:
    """Give a moment at which a full read settles the snapshot."""
    return snapshot.seen_at + lag(account) + timedelta(seconds=1)
