"""What the sold part of a position had cost: first in, first out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from portfolios.amounts import difference, exact_sum, ratio_of

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a position.

    Parameters
    ----------
    amount : Decimal
        Signed units of the asset.
    cost : Decimal
        What the change added to the position's cost, quote units; not looked at for a sale.
    is_trade : bool
        Whether it was bought or sold, or held from the opening; False for a fee, which changes the amount only.
    """

    amount: Decimal
    cost: Decimal
    is_trade: bool = True


@dataclass(slots=True)
class Lot:
    amount: Decimal
    cost: Decimal


def cost_of_sold(history: Iterable[Change], sold: Decimal) -> Decimal:
    """Sum what `sold` units cost when they were bought, oldest first, after the changes of `history`."""
    return OpenLots(history).cost_of(sold)


class OpenLots:
    """What of a position's lots is not sold yet, after the changes of `history`.

    The cost of a part of a lot is rounded to 18 decimals and the rest stays with the lot, so nothing is lost: selling
    everything takes the whole cost.
    """

    def __init__(self, history: Iterable[Change] = ()) -> None:
        self._lots: deque[Lot] = deque()
        for change in history:
            self.apply(change)

    def __iter__(self) -> Iterator[Lot]:
        return iter(self._lots)

    def cost_of(self, sold: Decimal) -> Decimal:
        """Sum what `sold` units have cost; all of it if no more than that is held."""
        costs, left = [], sold
        for lot in self._lots:
            part = min(left, lot.amount)
            if left:
                costs.append(_cost_of_part(lot, part))
                left = difference(left, part)
            if part < lot.amount:
                return exact_sum(costs)
        return exact_sum(lot.cost for lot in self._lots)

    def apply(self, change: Change) -> None:
        if change.is_trade and change.amount < 0:
            self._consume(change.amount.copy_negate())
        elif change.is_trade and change.amount > 0:
            self._lots.append(Lot(change.amount, change.cost))
        elif self._lots:
            self._adjust_newest(change)

    def _consume(self, amount: Decimal) -> None:
        while self._lots and amount > 0:
            lot = self._lots[0]
            part = min(amount, lot.amount)
            lot.cost = difference(lot.cost, _cost_of_part(lot, part))
            lot.amount = difference(lot.amount, part)
            amount = difference(amount, part)
            if not lot.amount:
                self._lots.popleft()

    def _adjust_newest(self, change: Change) -> None:
        """Let a fee in the asset itself make what was bought last smaller, and a later price correct its cost."""
        newest = self._lots[-1]
        newest.amount = max(exact_sum((newest.amount, change.amount)), ZERO)
        newest.cost = exact_sum((newest.cost, change.cost))


def _cost_of_part(lot: Lot, part: Decimal) -> Decimal:
    return ratio_of(lot.cost, part, lot.amount) if lot.amount else lot.cost
