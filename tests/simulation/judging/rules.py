"""What every rule of judging is shown, and what it may say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from tests.simulation.judging.venue import Balances, Fill, Order


@dataclass(frozen=True, slots=True)
class Run:
    """One run: balances, then the list of fills. Times are by our clock.

    Parameters
    ----------
    fills : sequence of Fill
        Listed for the first time.
    placed : sequence of Order
        Sent by the books since the last run; as they are now, since every rule may ask for each order.
    """

    balances: Balances
    fills: Sequence[Fill]
    listed_at: datetime
    placed: Sequence[Order]


@dataclass(slots=True)
class Look:
    """What a rule says once it has judged one read.

    Attributes
    ----------
    at : datetime
        When the balances were asked for.
    ringing : set of str
        Assets of which somebody is told that they are wrong.
    suspected : set of str
        Assets that are being looked at, of which nobody is told yet.
    cleared : set of str
        Assets that are said to be right again.
    """

    at: datetime
    ringing: set[str] = field(default_factory=set)
    suspected: set[str] = field(default_factory=set)
    cleared: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Said:
    """What a rule says after one run: of each read that was judged, and what it books.

    Attributes
    ----------
    booked : list
        Asset and amount of each change of the books for which the exchange gave no record.
    """

    looks: list[Look] = field(default_factory=list)
    booked: list[tuple[str, Decimal]] = field(default_factory=list)


class Answer(StrEnum):
    """What an exchange answers when it is asked for an order, or whether its list shows it."""

    OPEN = "open"
    CANCELED = "canceled"
    ABSENT = "absent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class OrderRead:
    """What one run reads of one order, which the books hold open.

    Parameters
    ----------
    listed : Answer
        By the list of open orders; that shows no order that ended.
    filled : Decimal
        As the answer for the order says.
    trades : Decimal or None
        What its listed fills come to; None if they could not be read.
    is_start : bool
        Whether this is the first run of a program that was just started.
    """

    at: datetime
    age: timedelta
    listed: Answer
    asked: Answer
    filled: Decimal
    trades: Decimal | None
    is_start: bool = False


@dataclass(frozen=True, slots=True)
class OrderSaid:
    """`ended` if the books now hold it as ended, with `filled`; `rings` if somebody is told that it is wrong."""

    ended: bool = False
    rings: bool = False
    filled: Decimal = Decimal(0)


class Rule(Protocol):
    def see(self, run: Run) -> Said:
        """Judge the account; a rule that does not look at balances says nothing."""

    def see_order(self, read: OrderRead) -> OrderSaid:
        """Judge one order."""
