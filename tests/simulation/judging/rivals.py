"""Decision rules of other products, told anew from what their code does; only what they decide by, none of their code.

Each is given what it would read. One that does not compare balances says nothing of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final

from tests.simulation.judging.rules import Answer, Look, OrderRead, OrderSaid, Run, Said
from tests.simulation.judging.venue import BASE, QUOTE, Order

ZERO = Decimal(0)
# hummingbot's lost_order_count_limit, nautilus_trader's open_check_missing_retries.
LOST_AFTER: Final = 3
MISSING_RETRIES: Final = 5


class OutOfSync(Exception):
    """The books hold more cash than the exchange has free."""


class Unreadable(Exception):
    """One order could not be read; none after it is."""


@dataclass(slots=True)
class FreeCompare:
    """investing-algorithm-framework: free cash is compared before orders are looked at; a surplus is a deposit.

    Attributes
    ----------
    unallocated : Decimal or None
        Quote units; None until the first sync takes what is free.
    """

    tolerance: Decimal = Decimal("1e-9")
    unallocated: Decimal | None = None
    deposits: list[Decimal] = field(default_factory=list)
    _filled: dict[int, Decimal] = field(default_factory=dict)
    _orders: list[Order] = field(default_factory=list)

    def see(self, run: Run) -> Said:
        look = Look(run.balances.asked_at)
        said = Said([look])
        if self.unallocated is None:
            self.unallocated = run.balances.free
            return said
        for order in run.placed:
            self.placed(order)
        known = len(self.deposits)
        try:
            self.sync_portfolio(run.balances.free)
        except OutOfSync:
            look.ringing.add(QUOTE)
        said.booked += [(QUOTE, amount) for amount in self.deposits[known:]]
        for order in [*self._orders]:
            self.reported(order)
        return said

    def see_order(self, read: OrderRead) -> OrderSaid:
        if read.asked in (Answer.ABSENT, Answer.FAILED):
            return OrderSaid(rings=True)
        return OrderSaid(ended=read.asked is Answer.CANCELED, filled=read.filled)

    def placed(self, order: Order) -> None:
        if order.is_buy and self.unallocated is not None:
            self.unallocated -= order.amount * order.price
        self._orders.append(order)

    def sync_portfolio(self, free: Decimal) -> None:
        """Compare what is free.

        Raises
        ------
        OutOfSync
            If less is free than the books say.
        """
        assert self.unallocated is not None
        delta = free - self.unallocated
        if abs(delta) <= self.tolerance:
            return
        if delta < 0:
            raise OutOfSync
        self.deposits.append(delta)
        self.unallocated = free

    def reported(self, order: Order) -> None:
        """Book a report; that of a cancel is booked as often as it comes."""
        assert self.unallocated is not None
        more = order.filled - self._filled.get(order.id, ZERO)
        self._filled[order.id] = order.filled
        if not order.is_buy:
            self.unallocated += more * order.price
        elif not order.is_open:
            self.unallocated += (order.amount - order.filled) * order.price
        if not order.is_open and order in self._orders:
            self._orders.remove(order)

    def check_pending_orders(self, answers: dict[int, Answer]) -> None:
        """Ask for one order after the other.

        Raises
        ------
        Unreadable
            At the first that is not found or whose read fails; the others keep their state.
        """
        for order in [*self._orders]:
            if answers[order.id] in (Answer.ABSENT, Answer.FAILED):
                raise Unreadable
            self.reported(order)


class Exit(StrEnum):
    ENOUGH = "enough"
    ADJUSTED = "adjusted"
    REFUSED = "refused"


@dataclass(slots=True)
class TwoPercent:
    """freqtrade: of what a trade holds up to 2 % may be missing, and is then taken off; more is refused.

    Attributes
    ----------
    amount : Decimal or None
        Base units that the trades hold; None until the first look.
    """

    amount: Decimal | None = None

    def see(self, run: Run) -> Said:
        look, wallet = Look(run.balances.asked_at), run.balances.totals[BASE]
        said = Said([look])
        if self.amount is None:
            self.amount = wallet
            return said
        self.amount += sum((fill.moves.get(BASE, ZERO) for fill in run.fills), ZERO)
        before = self.amount
        found = self.check_exit_amount(wallet)
        if found is Exit.ADJUSTED:
            said.booked.append((BASE, self.amount - before))
        elif found is Exit.REFUSED:
            look.ringing.add(BASE)
        return said

    def see_order(self, read: OrderRead) -> OrderSaid:
        if read.asked is Answer.CANCELED:
            return OrderSaid(ended=True, filled=read.filled)
        # Only at the start; later it is logged and tried again.
        return OrderSaid(ended=read.is_start and read.asked is Answer.ABSENT)

    def check_exit_amount(self, wallet: Decimal) -> Exit:
        assert self.amount is not None
        if wallet >= self.amount:
            return Exit.ENOUGH
        if wallet > self.amount * Decimal("0.98"):
            self.amount = wallet
            return Exit.ADJUSTED
        return Exit.REFUSED


@dataclass(slots=True)
class Strikes:
    """hummingbot: every failed read of an order counts as not found; one more than three, and it is lost.

    A lost order is cancelled at the exchange. Balances are overwritten by what is read.
    """

    strikes: int = 0

    def see(self, run: Run) -> Said:
        return Said([Look(run.balances.asked_at)])

    def see_order(self, read: OrderRead) -> OrderSaid:
        if read.asked is Answer.CANCELED:
            return OrderSaid(ended=True, filled=read.filled)
        self.strikes = 0 if read.asked is Answer.OPEN else self.strikes + 1
        is_lost = self.strikes > LOST_AFTER
        return OrderSaid(ended=is_lost, rings=is_lost)


@dataclass(slots=True)
class MissingOrder:
    """nautilus_trader: what is missing from five lists is asked for once more, and then rejected or cancelled.

    A list that failed is one that does not show it, and a last question that failed is an answer. The fills of an
    order that is reported as cancelled are those that are listed. Balances are overwritten by what is read.

    Attributes
    ----------
    status : str
        ``ACCEPTED``, ``PARTIALLY_FILLED``, ``REJECTED`` or ``CANCELED``.
    """

    status: str = "ACCEPTED"
    filled: Decimal = ZERO
    misses: int = 0

    def see(self, run: Run) -> Said:
        return Said([Look(run.balances.asked_at)])

    def see_order(self, read: OrderRead) -> OrderSaid:
        if read.trades is not None and read.trades > self.filled:
            self.filled, self.status = read.trades, "PARTIALLY_FILLED"
        if read.listed is Answer.OPEN:
            self.misses = 0
            return OrderSaid()
        self.misses += 1
        if self.misses < MISSING_RETRIES or read.asked is Answer.OPEN:
            return OrderSaid()
        is_partial = self.status == "PARTIALLY_FILLED"
        is_canceled = is_partial or read.asked is Answer.CANCELED
        self.status = "CANCELED" if is_canceled else "REJECTED"
        return OrderSaid(ended=True, rings=not is_canceled, filled=self.filled)
