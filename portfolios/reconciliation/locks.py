"""What the open orders of an account lock of an asset, and whether `used` is that.

Amounts are in units of the asset, never negative.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_UP, Decimal, Inexact
from typing import Final

from portfolios.amounts import difference, exact, exact_mul, exact_sum
from portfolios.reconciliation.execution import OrderFacts, lock
from portfolios.reconciliation.verdicts import Verdict
from providers.reports import OrderSide

ZERO = Decimal(0)
# Of an account that has not shown its fees yet: more than a spot market takes.
USUAL_FEE_RATE: Final = Decimal("0.005")
USED_NOT_REPORTED = "used not reported"
NO_PRICE = "an open order has no price"
_LAST_DECIMAL: Final = Decimal("1e-18")


@dataclass(frozen=True, slots=True)
class Lock:
    """What one order, or one withdrawal on its way, locks of `asset`: from `low` to `high`, most likely `point`.

    Parameters
    ----------
    high : Decimal or None
        None if it may be any amount.
    may_hold_fee : bool
        Whether the fee to come may be locked as well.
    """

    asset: str
    low: Decimal
    high: Decimal | None
    point: Decimal
    may_hold_fee: bool = True

    @property
    def is_certain(self) -> bool:
        return self.low == self.high


@dataclass(frozen=True, slots=True)
class UsedJudgement:
    """Whether `used` lies between `low` and `high`; `expected` is the likeliest amount.

    VERIFIED: it is exactly what orders lock that leave no doubt. CONSISTENT: it only fits. NOT_VERIFIABLE has a
    `reason`.

    Parameters
    ----------
    high : Decimal or None
        None if nobody can tell.
    """

    verdict: Verdict
    low: Decimal
    high: Decimal | None
    expected: Decimal
    reason: str = ""


def order_lock(order: OrderFacts, amount: Decimal, *, is_open: bool, is_certain: bool) -> Lock:
    """Tell what an order may lock: quote units for a buy, base units for a sell.

    Parameters
    ----------
    amount : Decimal
        All that was ordered, base units.
    is_open : bool
        False for one that has ended so lately that its lock may still show.
    is_certain : bool
        Whether it is known at the exchange, waits in its book, and has not changed since what the balances may show.
        Of any other as much as all of it may be locked, or nothing.
    """
    remaining = max(difference(amount, order.filled), ZERO) if is_open else ZERO
    asset, point = lock(order, remaining)
    if order.side is OrderSide.BUY and not order.price:
        # What a market order locks is spent at once.
        return Lock(asset, ZERO, None if is_open else ZERO, ZERO)
    if is_certain:
        return Lock(asset, point, point, point)
    return Lock(asset, ZERO, lock(order, amount)[1], point)


def is_unchanged_since(moments: Iterable[datetime | None], reach: datetime) -> bool:
    """Whether an order has stood as it is since `reach`, as far as its times tell; one without any does not.

    Parameters
    ----------
    moments : iterable of datetime or None
        When it was made, updated, filled, amended.
    reach : datetime
        The earliest moment that the balances may show.
    """
    known = [moment for moment in moments if moment is not None]
    return bool(known) and max(known) <= reach


def judge_used(
    used: Decimal | None, locks: Sequence[Lock], fee_rate: Decimal = ZERO
) -> UsedJudgement:
    """Compare what the exchange says is in use of an asset with what may be locked of it.

    Parameters
    ----------
    used : Decimal or None
        None if the exchange did not report it.
    fee_rate : Decimal
        Some exchanges lock the fee to come as well, and no exchange tells whether it does: each lock may be larger by
        this part of it. Left at zero it is asked whether none is; if `used` is exactly what the orders lock, that
        answers it.
    """
    low = exact_sum(lock.low for lock in locks)
    expected = exact_sum(lock.point for lock in locks)
    highs = [_with_fee(lock, fee_rate) for lock in locks]
    known = [high for high in highs if high is not None]
    high = exact_sum(known) if len(known) == len(highs) else None
    if used is None:
        return UsedJudgement(Verdict.NOT_VERIFIABLE, low, high, expected, USED_NOT_REPORTED)
    if used < low or (high is not None and used > high):
        return UsedJudgement(Verdict.DIFFERS, low, high, expected)
    if high is None:
        return UsedJudgement(Verdict.NOT_VERIFIABLE, low, high, expected, NO_PRICE)
    is_exact = all(lock.is_certain for lock in locks) and used == expected
    return UsedJudgement(Verdict.VERIFIED if is_exact else Verdict.CONSISTENT, low, high, expected)


def _with_fee(lock: Lock, fee_rate: Decimal) -> Decimal | None:
    if lock.high is None or not lock.may_hold_fee:
        return lock.high
    return exact_sum((lock.high, exact_mul(lock.high, fee_rate)))


def looks_swapped(free: Decimal | None, judged: UsedJudgement) -> bool:
    """Whether `free` is about what should be in use: some clients have taken the one for the other."""
    if free is None or judged.high is None or not judged.high:
        return False
    return judged.verdict is Verdict.DIFFERS and judged.low <= free <= judged.high


def fee_rate(shares: Iterable[tuple[Decimal, Decimal]]) -> Decimal:
    """Give the largest part that was ever taken as fee, rounded up; `USUAL_FEE_RATE` if none has shown.

    The largest, since an exchange that locks fees does so for the dearer way in which an order may be filled.

    Parameters
    ----------
    shares : iterable of (Decimal, Decimal)
        A fee, and the amount of the same asset that it was taken of; a rebate tells nothing.
    """
    with exact() as context:
        context.traps[Inexact] = False
        rates = [
            (fee / whole).quantize(_LAST_DECIMAL, rounding=ROUND_UP)
            for fee, whole in shares
            if fee > 0 and whole > 0
        ]
    return max(rates, default=USUAL_FEE_RATE)
