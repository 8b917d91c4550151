"""The demo: three accounts whose books agree at first, and what happens to them by itself.

Everything is told by the tables of `demo`. The book is made from them and not from the engine, so it
stays the opening book however much has happened since.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from providers.reports import SPOT
from providers.sandbox.books import EXACT, ROUNDING, Order, OrderRequest
from providers.sandbox.demo import (
    BEAT,
    BEATS_FROM,
    CASH,
    DESKS,
    FEE,
    GRID_BOT,
    HAND_TRADE_EVERY,
    HAND_TRADES,
    INSTRUMENTS,
    MAIN,
    OPENED_AT,
    ORDERS,
    PORTFOLIOS,
    TIMELINE,
    TROUBLES,
    Action,
    Desk,
    OpenOrder,
    opening_totals,
)
from providers.sandbox.engine import Engine
from providers.sandbox.errors import Refused
from providers.sandbox.faults import Fault

MARKET: Final = "binance"


@dataclass
class DemoScenario:
    """The demo in `engine`, which has to be new.

    Parameters
    ----------
    seed : int
        Decides what happens after the timeline.
    """

    engine: Engine
    seed: int = 1
    _started_at: datetime | None = field(default=None, init=False)
    _done: int = field(default=0, init=False)
    _beats: int = field(default=0, init=False)
    _placed: list[Order] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        for instrument in INSTRUMENTS:
            self.engine.add_instrument(instrument)
        for desk in DESKS:
            self.engine.add_account(desk.key, desk.secret)
            for asset, amount in sorted(opening_totals(desk).items()):
                self.engine.deposit(desk.key, asset, amount, OPENED_AT)
        for minute, row in enumerate(ORDERS):
            self._placed.append(self._place(row, OPENED_AT + timedelta(minutes=minute)))

    def _place(self, row: OpenOrder, created_at: datetime) -> Order:
        return self.engine.place_order(
            row.portfolio.desk.key,
            OrderRequest(
                symbol=row.symbol,
                side=row.side,
                amount=row.amount,
                price=row.price,
                client_order_id=row.client_id,
                created_at=created_at,
            ),
        )

    def book(self, endpoint: str) -> dict[str, Any]:
        """Write the opening book, as `import_book` reads it."""
        return {
            "accounts": [_account_row(desk, endpoint) for desk in DESKS],
            "portfolios": [
                {
                    "name": portfolio.name,
                    "account": portfolio.desk.label,
                    "trading_symbol": CASH,
                    "initial_balance": str(portfolio.cash),
                    "mode": "live",
                }
                for portfolio in PORTFOLIOS
            ],
            "positions": [
                {
                    "portfolio": portfolio.name,
                    "asset": asset,
                    "amount": str(amount),
                    "cost": str(cost),
                }
                for portfolio in PORTFOLIOS
                for asset, (amount, cost) in portfolio.holdings.items()
            ],
            "orders": [
                _order_row(row, order) for row, order in zip(ORDERS, self._placed, strict=True)
            ],
        }

    # What `run_forever` asks for

    def begin(self, now: datetime) -> None:
        if self._started_at is None:
            self._started_at = now

    def faults(self) -> list[Fault]:
        if self._started_at is None:
            return []
        return [trouble.fault(self._started_at) for trouble in TROUBLES]

    def step(self, now: datetime) -> None:
        """Let everything happen that is due."""
        self.begin(now)
        elapsed = self._elapsed(now)
        while self._done < len(TIMELINE) and TIMELINE[self._done][0] <= elapsed:
            self._happen(TIMELINE[self._done][1])
            self._done += 1
        beat = (elapsed - BEATS_FROM) // BEAT + 1
        if beat > self._beats:
            # After a pause only the newest one happens: a night off is one event, not hundreds.
            self._beats = beat
            self._beat(beat)

    def document(self) -> dict[str, Any]:
        started_at = self._started_at.isoformat() if self._started_at else None
        return {"started_at": started_at, "done": self._done, "beats": self._beats}

    def restore(self, document: Mapping[str, Any]) -> None:
        started_at = document["started_at"]
        self._started_at = datetime.fromisoformat(started_at) if started_at else None
        self._done, self._beats = document["done"], document["beats"]

    def _elapsed(self, now: datetime) -> int:
        return 0 if self._started_at is None else (now - self._started_at) // timedelta(seconds=1)

    def _happen(self, action: Action) -> None:
        order_ids = {order.client_order_id: order.id for order in self._placed}
        # Somebody may have been faster, such as a test that fills the same order.
        with suppress(Refused):
            action.happen(self.engine, order_ids)

    def _beat(self, beat: int) -> None:
        orders = [x for desk in (MAIN, GRID_BOT) for x in self.engine.open_orders(desk.key)]
        if not orders:
            return
        if beat % HAND_TRADE_EVERY == 0:
            self._happen(HAND_TRADES[beat // HAND_TRADE_EVERY % len(HAND_TRADES)])
            return
        chance = random.Random(f"{self.seed}:{beat}")  # noqa: S311 - a script, not a secret
        order = chance.choice(orders)
        with suppress(Refused):
            self.engine.fill_order(order.id, self._share(order, chance), fee=FEE)

    def _share(self, order: Order, chance: random.Random) -> Decimal | None:
        """Choose about a half, or None for the rest of the order."""
        step = self.engine.instrument(order.symbol).amount_step
        steps = ROUNDING.divide_int(order.remaining, step) // 2
        return EXACT.multiply(steps, step) if steps and chance.random() < 1 / 2 else None


def _account_row(desk: Desk, endpoint: str) -> dict[str, Any]:
    return {
        "label": desk.label,
        "market": MARKET,
        "credential": {"apiKey": desk.key, "secret": desk.secret},
        "endpoint": endpoint,
        "sandbox": False,
        "wallets": [SPOT],
        "interval_seconds": 60,
        "lag_seconds": 2,
        "grace_seconds": 2,
    }


def _order_row(row: OpenOrder, order: Order) -> dict[str, Any]:
    return {
        "portfolio": row.portfolio.name,
        "external_id": order.id,
        "client_order_id": row.client_id,
        "symbol": row.symbol,
        "side": row.side.value,
        "type": "limit",
        "price": str(row.price),
        "amount": str(row.amount),
        "filled": "0",
        "status": "open",
        "created_at": order.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
