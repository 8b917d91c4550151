"""An exchange whose true balances are known, and which shows them as late as real ones do.

One symbol is traded. Whatever it shows is late by at most `Habit.most_lag`: its balances, and each fill in its list.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Final

ZERO = Decimal(0)
BASE, QUOTE, FEE_COIN = "BTC", "USDT", "BNB"
ASSETS: Final = (BASE, QUOTE, FEE_COIN)
UNIT: Final = Decimal("0.00000001")
STARTED_AT: Final = datetime(2026, 11, 22, tzinfo=UTC)
_HELD: Final = {BASE: Decimal(20), QUOTE: Decimal(50_000_000), FEE_COIN: Decimal(5_000)}
_FEE_RATE: Final = Decimal("0.001")
_ONE_SIZE: Final = Decimal("0.01")
_WORKING_ORDERS: Final = 5
# Trades closer than this may show in any order.
_MAY_SWAP: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Habit:
    """How an account is traded.

    Parameters
    ----------
    rate : float
        Fills a second.
    most_lag : timedelta
        The longest that balances and lists are late.
    fee_asset : str
        `BASE` stands for what was bought or sold, as many exchanges do it.
    is_one_sided : bool
        Whether all orders buy.
    has_one_size : bool
        Whether all orders are of one amount and filled at once, as those of many bots; prices differ.
    skew : timedelta
        How far the exchange's clock is from where we take it to be.
    """

    rate: float
    most_lag: timedelta = timedelta(seconds=25)
    fee_asset: str = FEE_COIN
    is_one_sided: bool = False
    has_one_size: bool = False
    skew: timedelta = timedelta(0)


@dataclass(slots=True)
class Order:
    id: int
    is_buy: bool
    price: Decimal
    amount: Decimal
    filled: Decimal = ZERO
    is_open: bool = True

    @property
    def lock(self) -> Decimal:
        """Quote units locked."""
        return (self.amount - self.filled) * self.price if self.is_buy and self.is_open else ZERO


@dataclass(frozen=True, slots=True)
class Fill:
    """`at` is by the exchange's clock; `moves` are signed changes by asset, the fee included."""

    id: int
    at: datetime
    moves: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Balances:
    """What a read shows; `free` is of the quote asset. Times are by our clock."""

    asked_at: datetime
    answered_at: datetime
    totals: Mapping[str, Decimal]
    free: Decimal


@dataclass(frozen=True, slots=True)
class _Event:
    at: datetime
    moves: Mapping[str, Decimal]
    free: Decimal


@dataclass(slots=True)
class Venue:
    """Lives by our clock, which is the true one.

    Attributes
    ----------
    orders : list of Order
        Placed since they were last taken from here by whoever keeps books.
    unrecorded : dict
        What came or went without a record, by asset.
    """

    rng: Random
    habit: Habit
    now: datetime = STARTED_AT
    orders: list[Order] = field(default_factory=list)
    unrecorded: dict[str, Decimal] = field(default_factory=dict)
    misses_next: bool = False
    _shown: dict[str, Decimal] = field(default_factory=lambda: dict(_HELD))
    _free: Decimal = _HELD[QUOTE]
    _events: deque[_Event] = field(default_factory=deque)
    _waiting: list[tuple[datetime, int, Fill]] = field(default_factory=list)
    _working: list[Order] = field(default_factory=list)
    _next_at: datetime | None = None
    _count: int = 0

    def live(self, until: datetime) -> None:
        while (at := self._next()) <= until:
            self._next_at = None
            self.now = at
            self._trade()
        self.now = until

    def stand_still(self) -> None:
        """Trade nothing from now on."""
        self._next_at = datetime.max.replace(tzinfo=UTC)

    def go_on(self) -> None:
        self._next_at = None

    def move(self, asset: str, amount: Decimal) -> None:
        """Change a balance without any record."""
        self.unrecorded[asset] = self.unrecorded.get(asset, ZERO) + amount
        self._happen({asset: amount}, amount if asset == QUOTE else ZERO)

    def true_totals(self) -> dict[str, Decimal]:
        totals = dict(self._shown)
        for event in self._events:
            _add(totals, event.moves)
        return totals

    def balances(self) -> Balances:
        """Read them as they were at some moment from `most_lag` before the question up to the answer."""
        asked_at = self.now
        self.live(asked_at + timedelta(milliseconds=self.rng.randint(20, 900)))
        oldest = asked_at - self.habit.most_lag
        while self._events and self._events[0].at <= oldest:
            event = self._events.popleft()
            _add(self._shown, event.moves)
            self._free += event.free
        share = self.rng.choice((0.0, 1.0, *(self.rng.random() for _ in range(8))))
        totals, free = dict(self._shown), self._free
        for event in self._posted(oldest + share * (self.now - oldest)):
            _add(totals, event.moves)
            free += event.free
        return Balances(asked_at, self.now, totals, free)

    def newly_listed(self) -> list[Fill]:
        """Give the fills that the list tells for the first time."""
        found = []
        while self._waiting and self._waiting[0][0] <= self.now:
            found.append(heapq.heappop(self._waiting)[2])
        return found

    def _posted(self, moment: datetime) -> list[_Event]:
        """List what shows; of what happened at almost the same time as the last, not always all."""
        shown = [event for event in self._events if event.at <= moment]
        if not shown or self.rng.random() < 0.5:
            return shown
        near = shown[-1].at - _MAY_SWAP
        return [
            *(event for event in shown[:-1] if event.at <= near or self.rng.random() < 0.7),
            shown[-1],
        ]

    def _next(self) -> datetime:
        if self._next_at is None:
            # Orders that meet several others fill in bursts.
            is_burst = self.rng.random() < 0.2
            seconds = self.rng.random() if is_burst else self.rng.expovariate(0.8 * self.habit.rate)
            self._next_at = self.now + timedelta(milliseconds=int(seconds * 1000))
        return self._next_at

    def _trade(self) -> None:
        rng = self.rng
        if len(self._working) < _WORKING_ORDERS:
            self._place()
        order = rng.choice(self._working)
        if rng.random() < 0.05:
            self._end(order)
            return
        left = order.amount - order.filled
        part = Decimal(rng.randint(1, 100)).scaleb(-2) * left
        is_whole = self.habit.has_one_size or rng.random() < 0.5
        amount = left if is_whole else part.quantize(Decimal("0.000001"))
        if amount:
            self._fill(order, amount)

    def _place(self) -> None:
        rng = self.rng
        self._count += 1
        order = Order(
            self._count,
            self.habit.is_one_sided or rng.random() < 0.5,
            Decimal(rng.randint(4_900_000, 5_100_000)).scaleb(-2),
            _ONE_SIZE if self.habit.has_one_size else Decimal(rng.randint(100, 99_999)).scaleb(-6),
        )
        self.orders.append(order)
        self._working.append(order)
        self._happen({}, -order.lock)

    def _end(self, order: Order) -> None:
        lock = order.lock
        order.is_open = False
        self._working.remove(order)
        self._happen({}, lock)

    def _fill(self, order: Order, amount: Decimal) -> None:
        cost, lock = amount * order.price, order.lock
        moves = {BASE: amount, QUOTE: -cost} if order.is_buy else {BASE: -amount, QUOTE: cost}
        _add(moves, self._fee(cost, amount))
        order.filled += amount
        order.is_open = order.filled < order.amount
        if not order.is_open:
            self._working.remove(order)
        self._happen(moves, moves[QUOTE] + lock - order.lock)
        self._count += 1
        fill = Fill(self._count, self.now + self.habit.skew, moves)
        if self.misses_next:
            self.misses_next = False
            _add(self.unrecorded, moves)
            return
        listed_at = self.now + self.rng.random() * self.habit.most_lag
        heapq.heappush(self._waiting, (listed_at, fill.id, fill))

    def _fee(self, cost: Decimal, amount: Decimal) -> dict[str, Decimal]:
        asset = self.habit.fee_asset
        charged = {BASE: amount, QUOTE: cost, FEE_COIN: cost / 500}[asset] * _FEE_RATE
        return {asset: -charged.quantize(UNIT)}

    def _happen(self, moves: Mapping[str, Decimal], free: Decimal) -> None:
        self._events.append(_Event(self.now, moves, free))


def _add(sums: dict[str, Decimal], moves: Mapping[str, Decimal]) -> None:
    for asset, amount in moves.items():
        sums[asset] = sums.get(asset, ZERO) + amount
