"""What is told as open of balances at any moment: only what the exchange itself has told, and more than once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from portfolios.amounts import amount, difference, exact_sum
from portfolios.models import Discrepancy, ExchangeAccount, JudgedSnapshot, StoredLeg
from portfolios.services.legs import leg_rows
from providers.reports import LegKind, LegStatus
from providers.sandbox.books import Account, Balance, WithdrawalStatus
from tests.simulation.clock import VirtualClock
from tests.simulation.place import KEY, LAG_SECONDS, Place

LOCKS: Final = Discrepancy.Code.BALANCE_LOCK_MISMATCH
AMOUNTS: Final = (Discrepancy.Code.BALANCE_SHORT, Discrepancy.Code.BALANCE_SURPLUS)
TOTAL, USED = "total", "used"


class Alarms:
    """Notes which reads told what the account has not held at any moment within the lag.

    Two of them are what opens a difference that is none: the exchange was wrong, and the books could not know. What
    Kraken locks for a withdrawal that has not left is such a read of `used`: its ledger does not list it yet.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._noted: set[int] = set()
        # Runs, by account, number and asset.
        self._untrue: defaultdict[tuple[str, str, str], list[int]] = defaultdict(list)

    def false(self, place: Place) -> Iterator[str]:
        """Tell what is open though neither a drift nor two reads say so. To be called after each sync."""
        account = ExchangeAccount.objects.get(label=place.label)
        self._note(place, account)
        opened = account.discrepancies.filter(state=Discrepancy.State.OPEN)
        for row in opened.filter(code__startswith="BALANCE_").order_by("asset"):
            if not self._is_right(place, row):
                yield f"{row.code}: {row.difference} {row.asset} is open, though it is not so"

    def _is_right(self, place: Place, row: Discrepancy) -> bool:
        if row.code in AMOUNTS:
            return _has_drifted(place, row) or self._was_told(place, row)
        return row.code == LOCKS and self._was_told_in_use(place, row)

    def _was_told(self, place: Place, row: Discrepancy) -> bool:
        """Whether the episode began with an untrue read, and another one has been settled since."""
        looks = JudgedSnapshot.objects.filter(account=row.account, settled_at__isnull=False)
        first = looks.filter(seen_at=row.first_seen).values_list("run", flat=True).first()
        untrue = self._untrue[place.label, TOTAL, row.asset]
        return first in untrue and looks.filter(run__in=untrue, run__gte=first).count() > 1

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
                    self._untrue[place.label, number, asset].append(leg.run_id)


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
