"""What the sold part of a position had cost: first in, first out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    """Sum what `sold` units cost when they were bought, oldest first, after the changes of `history`.

    The cost of a part of a lot is rounded to 18 decimals and the rest stays with the lot, so nothing is lost: selling
    everything takes the whole cost.
    """
    lots = open_lots(history)
    held = exact_sum(lot.amount for lot in lots)
    if sold >= held:
        return exact_sum(lot.cost for lot in lots)
    return _consume(lots, sold)


def open_lots(history: Iterable[Change]) -> list[Lot]:
    lots: list[Lot] = []
    for change in history:
        if change.is_trade and change.amount < 0:
            _consume(lots, change.amount.copy_negate())
        elif change.is_trade and change.amount > 0:
            lots.append(Lot(change.amount, change.cost))
        else:
            _adjust_newest(lots, change)
    return lots


def _consume(lots: list[Lot], amount: Decimal) -> Decimal:
    taken = ZERO
    while lots and amount > 0:
        lot = lots[0]
        part = min(amount, lot.amount)
        cost = ratio_of(lot.cost, part, lot.amount) if lot.amount else lot.cost
        taken = exact_sum((taken, cost))
        amount = difference(amount, part)
        lot.amount, lot.cost = difference(lot.amount, part), difference(lot.cost, cost)
        if not lot.amount:
            del lots[0]
    return taken


def _adjust_newest(lots: Sequence[Lot], change: Change) -> None:
    """Let a fee in the asset itself make what was bought last smaller, and a later price make it dearer or cheaper."""
    if not lots:
        return
    newest = lots[-1]
    newest.amount = max(exact_sum((newest.amount, change.amount)), ZERO)
    newest.cost = exact_sum((newest.cost, change.cost))
