"""What the closed part of a position had cost: first in, first out.

More may be sold than is held, as when a purchase is told after its sale. What is sold beyond zero is owed: its cost is
what it brought, negative as its amount is, and nothing of it is gained until it is bought back. A purchase first closes
what is owed; the cost starts anew from the part beyond zero.
"""

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
        What the change added to the position's cost, quote units.
    is_trade : bool
        Whether it was bought or sold, or held from the opening; False for a fee, which changes the amount only.
    """

    amount: Decimal
    cost: Decimal
    is_trade: bool = True


@dataclass(slots=True)
class Lot:
    """Units that were bought or, negative, sold beyond what was held, with their cost."""

    amount: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Closing:
    """The part of what is held, or owed, that a change of the other sign closes.

    Parameters
    ----------
    cost : Decimal
        What that part had cost, quote units; negative for what it had brought.
    amount : Decimal
        Units of it, >= 0; what the change moves beyond is opened.
    """

    cost: Decimal
    amount: Decimal


def cost_of_sold(history: Iterable[Change], sold: Decimal) -> Decimal:
    """Sum what `sold` units cost when they were bought, oldest first, after the changes of `history`."""
    return OpenLots(history).closing(sold.copy_negate()).cost


class OpenLots:
    """What of a position's lots is not closed yet, after the changes of `history`: all held, or all owed.

    The cost of a part of a lot is rounded to 18 decimals and the rest stays with the lot, so nothing is lost: closing
    everything takes the whole cost.
    """

    def __init__(self, history: Iterable[Change] = ()) -> None:
        self._lots: deque[Lot] = deque()
        for change in history:
            self.apply(change)

    def __iter__(self) -> Iterator[Lot]:
        return iter(self._lots)

    @property
    def total(self) -> Decimal:
        return exact_sum(lot.amount for lot in self._lots)

    def are_of(self, amount: Decimal) -> bool:
        """Whether there are any, and held as a positive `amount` is, or owed as a negative one."""
        return any(_is_same(lot.amount, amount) for lot in self._lots)

    def closing(self, amount: Decimal) -> Closing:
        """Tell which part of them a change by `amount` closes; what they all cost if it is no less than they are."""
        if self._is_more(amount):
            return Closing(ZERO, ZERO)
        costs, left = [], amount.copy_negate()
        for lot in self._lots:
            part = _nearer(left, lot.amount)
            if left:
                costs.append(_cost_of_part(lot, part))
                left = difference(left, part)
            if part != lot.amount:
                return Closing(exact_sum(costs), amount.copy_abs())
        closed = exact_sum(lot.amount for lot in self._lots)
        return Closing(exact_sum(lot.cost for lot in self._lots), closed.copy_abs())

    def apply(self, change: Change) -> None:
        if change.is_trade and change.amount:
            self._trade(change)
        elif self._lots:
            self._adjust_newest(change)

    def _is_more(self, amount: Decimal) -> bool:
        """Whether a change by `amount` opens more of what is open. One used up by its fee waits for the next sale."""
        return self.are_of(Decimal(-1)) == (amount < 0)

    def _trade(self, change: Change) -> None:
        if self._is_more(change.amount):
            self._lots.append(Lot(change.amount, change.cost))
            return
        closed = self.closing(change.amount).cost
        rest = self._close(change.amount)
        left = exact_sum((change.cost, closed))
        if rest:
            self._lots.append(Lot(rest, left))
        elif left and self._lots:
            # What was undone was not what is closed first: the rest cost so much more.
            self._lots[-1].cost = exact_sum((self._lots[-1].cost, left))

    def _close(self, amount: Decimal) -> Decimal:
        """Close by `amount` what is of the other sign, and give what is left of it."""
        left = amount.copy_negate()
        while self._lots and left:
            lot = self._lots[0]
            part = _nearer(left, lot.amount)
            lot.cost = difference(lot.cost, _cost_of_part(lot, part))
            lot.amount = difference(lot.amount, part)
            left = difference(left, part)
            if not lot.amount:
                self._lots.popleft()
        return left.copy_negate()

    def _adjust_newest(self, change: Change) -> None:
        """Let a fee in the asset itself change what was opened last, and a later price correct its cost."""
        newest = self._lots[-1]
        amount = exact_sum((newest.amount, change.amount))
        newest.amount = amount if _is_same(amount, newest.amount) else ZERO
        newest.cost = exact_sum((newest.cost, change.cost))


def _is_same(one: Decimal, other: Decimal) -> bool:
    """Whether both are above zero, or both below."""
    return (one > 0 and other > 0) or (one < 0 and other < 0)


def _nearer(one: Decimal, other: Decimal) -> Decimal:
    """Give what is nearer to zero of two amounts of one sign."""
    return min(one, other, key=Decimal.copy_abs)


def _cost_of_part(lot: Lot, part: Decimal) -> Decimal:
    return ratio_of(lot.cost, part, lot.amount) if lot.amount else lot.cost
