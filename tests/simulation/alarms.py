"""What is told as open of balances at any moment: only what the exchange itself has told, and more than once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from portfolios.amounts import amount, difference, exact_sum
from portfolios.models import Discrepancy, ExchangeAccount, JudgedSnapshot, StoredLeg
from portfolios.reconciliation.episodes import LAST_LOOKS, REPEATED
from portfolios.services.legs import leg_rows
from providers.reports import FlowSource, LegKind, LegStatus, OrderSide
from providers.sandbox.books import Account, Balance, Fill, WithdrawalStatus
from tests.simulation.clock import VirtualClock
from tests.simulation.place import KEY, LAG_SECONDS, Place
from tests.simulation.truth import movements_of

LOCKS: Final = Discrepancy.Code.BALANCE_LOCK_MISMATCH
AMOUNTS: Final = (Discrepancy.Code.BALANCE_SHORT, Discrepancy.Code.BALANCE_SURPLUS)
TOTAL, USED = "total", "used"


class Alarms:
    """Notes which reads told what the account has not held at any moment within the lag.

    Two of them are what opens a difference that is none: the exchange was wrong, and the books could not know. What
    Kraken locks for a withdrawal that has not left is such a read of `used`: its ledger does not list it yet. The same
    are true reads that were settled by a list which left out what had happened, and of `used` those beside a list with
    an order that had ended by then.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._noted: set[int] = set()
        # Runs, by account, number and asset.
        self._untrue: defaultdict[tuple[str, str, str], set[int]] = defaultdict(set)
        # Runs, by account and asset, of which a list left out what moved it.
        self._left_out: defaultdict[tuple[str, str], set[int]] = defaultdict(set)

    def false(self, place: Place) -> Iterator[str]:
        """Tell what is open though neither a drift nor two reads say so. To be called after each sync."""
        account = ExchangeAccount.objects.get(label=place.label)
        self._note(place, account)
        self._note_lists(place, account)
        opened = account.discrepancies.filter(state=Discrepancy.State.OPEN)
        for row in opened.filter(code__startswith="BALANCE_").order_by("asset"):
            if not self._is_right(place, row):
                yield f"{row.code}: {row.difference} {row.asset} is open, though it is not so"

    def _is_right(self, place: Place, row: Discrepancy) -> bool:
        if row.code in AMOUNTS:
            is_known = _has_drifted(place, row) or self._was_told(place, row)
            return is_known or self._was_left_out(place, row) or self._is_distorted(place, row)
        return row.code == LOCKS and self._was_told_in_use(place, row)

    def _was_told(self, place: Place, row: Discrepancy) -> bool:
        """Whether the episode began with an untrue read, and another one has been settled since.

        One that opens since an asset differs look after look, never alike, has the looks before it too.
        """
        looks = JudgedSnapshot.objects.filter(account=row.account, settled_at__isnull=False)
        if row.confidence == REPEATED:
            recent = looks.order_by("-seen_at").values_list("run", flat=True)[:LAST_LOOKS]
            return sum(run in self._untrue[place.label, TOTAL, row.asset] for run in recent) > 1
        first = looks.filter(seen_at=row.first_seen).values_list("run", flat=True).first()
        untrue = self._untrue[place.label, TOTAL, row.asset]
        return first in untrue and looks.filter(run__in=untrue, run__gte=first).count() > 1

    def _is_distorted(self, place: Place, row: Discrepancy) -> bool:
        """Whether something has moved without a record, as is told, and only the amount is another one.

        For an untrue look since, or since it was seen often and no amount was proved twice.
        """
        if not place.unexplained.get(row.asset):
            return False
        looks = JudgedSnapshot.objects.filter(account=row.account, seen_at__gte=row.first_seen)
        untrue = self._untrue[place.label, TOTAL, row.asset]
        return row.confidence == REPEATED or looks.filter(run__in=untrue).exists()

    def _was_left_out(self, place: Place, row: Discrepancy) -> bool:
        """Whether a look of the episode was settled by a list that leaves out what moved the asset."""
        liars = self._left_out[place.label, row.asset]
        looks = JudgedSnapshot.objects.filter(account=row.account, seen_at__gte=row.first_seen)
        return looks.filter(settled_by__in=liars).exists()

    def _was_told_in_use(self, place: Place, row: Discrepancy) -> bool:
        first = row.events.filter(episode=row.episode).values_list("run", flat=True)[0]
        untrue = self._untrue[place.label, USED, row.asset]
        return first in untrue and sum(run >= first for run in untrue) > 1

    def _note(self, place: Place, account: ExchangeAccount) -> None:
        read = StoredLeg.objects.filter(
            run__account=account, kind=LegKind.BALANCES, status=LegStatus.OBSERVED
        )
        for leg in read.exclude(pk__in=self._noted).order_by("pk"):
            self._noted.add(leg.pk)
            begins = leg.requested_at - self._clock.skew - timedelta(seconds=LAG_SECONDS)
            states = place.engine.history.between(
                place.engine.accounts[KEY], begins, leg.responded_at - self._clock.skew
            )
            told = {row["asset"]: row for row in leg_rows(leg)}
            held = {asset for state in states for asset in state.balances}
            for asset in {*told, *(held if leg.complete else ())}:
                for number in _untrue_numbers(place, told.get(asset), asset, states):
                    self._untrue[place.label, number, asset].add(leg.run_id)
            for asset in _told_as_locked(place, leg, states[-1]):
                self._untrue[place.label, USED, asset].add(leg.run_id)

    def _note_lists(self, place: Place, account: ExchangeAccount) -> None:
        read = StoredLeg.objects.filter(
            run__account=account,
            kind__in=(LegKind.FLOWS, LegKind.ACCOUNT_FILLS),
            status=LegStatus.OBSERVED,
        )
        for leg in read.exclude(pk__in=self._noted):
            self._noted.add(leg.pk)
            for asset in _assets_left_out(place, leg):
                self._left_out[place.label, asset].add(leg.run_id)


def _assets_left_out(place: Place, leg: StoredLeg) -> set[str]:
    """Name what a list does not tell all of, though it is of the time that was read and no lag explains it."""
    if leg.since is None or leg.until is None:
        return set()
    begins, ends = leg.since, leg.until - timedelta(seconds=LAG_SECONDS)
    rows = leg_rows(leg)
    if leg.kind == LegKind.ACCOUNT_FILLS:
        told = {row["external_id"]: row for row in rows}
        moved = [
            _left_out_of(fill, told.get(place.fill_name(fill)))
            for fill in place.engine.fills(KEY)
            if leg.subject in ("", fill.symbol) and begins <= fill.executed_at <= ends
        ]
        return set().union(*moved)
    done = Counter(
        (asset, moved)
        for (asset, moved, _), is_done, at in movements_of(place, FlowSource(leg.subject))
        if is_done and begins <= at <= ends
    )
    listed = Counter((row["asset"], amount(row["amount"])) for row in rows)
    unclear = {row["asset"] for row in rows if row["status"] is None}
    return unclear | {asset for asset, _ in done - listed}


def _left_out_of(fill: Fill, told: dict[str, Any] | None) -> set[str]:
    """Name what a fill moved and its row does not tell: all of it, or its fee."""
    fee = {fill.fee.asset} if fill.fee else set()
    if told is None:
        return {*fill.symbol.split("/"), *fee}
    return set() if told["fees"] else fee


def _has_drifted(place: Place, row: Discrepancy) -> bool:
    """Whether the difference may be what moved without a record; two looks may have met between two such moves."""
    drifts = place.drifts.get(row.asset)
    if not drifts or row.low is None or row.high is None:
        return False
    return min(drifts) <= row.high and row.low <= max(drifts)


def _untrue_numbers(
    place: Place, told: dict[str, Any] | None, asset: str, states: list[Account]
) -> Iterator[str]:
    """Name what is told otherwise than it was: of an asset that is not listed nothing, of null none knows."""
    true = {
        TOTAL: {state.balances.get(asset, Balance()).total for state in states},
        USED: {_explained(place, state, asset) for state in states},
    }
    for name, amounts in true.items():
        number = told[name] if told else "0"
        if number is not None and amount(number) not in amounts:
            yield name


def _told_as_locked(place: Place, balances: StoredLeg, state: Account) -> Iterator[str]:
    """Name what orders lock by the lists of the same run, though they had ended when the balances were told."""
    ended = {place.order_name(id_) for id_, order in state.orders.items() if not order.is_open}
    lists = balances.run.legs.filter(kind=LegKind.OPEN_ORDERS, status=LegStatus.OBSERVED)
    for row in (row for leg in lists for row in leg_rows(leg)):
        if row["external_id"] in ended and row["symbol"]:
            base, _, quote = row["symbol"].partition("/")
            yield base if row["side"] == OrderSide.SELL else quote


def _explained(place: Place, state: Account, asset: str) -> Decimal:
    """Tell what is locked of an asset by what the exchange lists."""
    locked = state.balances.get(asset, Balance()).locked
    if place.market != "kraken":
        return locked
    leaving = (
        each.total
        for each in state.withdrawals.values()
        if each.asset == asset and each.status is WithdrawalStatus.PENDING
    )
    return difference(locked, exact_sum(leaving))
