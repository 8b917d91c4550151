"""The accounts of a history: each at an exchange of its own, with desks that trade on it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from providers.sandbox.binance import Binance
from providers.sandbox.books import Fill, Instrument, Order, OrderRequest, Permission
from providers.sandbox.dialect import Dialect
from providers.sandbox.engine import Engine
from providers.sandbox.history import Lag
from providers.sandbox.kraken import Kraken
from providers.sandbox.kraken_names import ORDER, shown_secret, txid
from providers.sandbox.kraken_payloads import trade_txid
from providers.sandbox.tables import Listing
from tests.simulation.clock import VirtualClock

KEY: Final = "practice-key"
SECRET: Final = "practice-secret"
CASH: Final = "EUR"
FEE_COIN: Final = "BNB"
PRICES: Final = {"BTC/EUR": "52431.07", "ADA/EUR": "0.73", "BNB/EUR": "611.4"}
TRADED: Final = ("BTC/EUR", "ADA/EUR")
DEALT: Final = {"BTC/EUR": ("0.0005", "0.0301"), "ADA/EUR": ("1.5", "97.25")}
# How far back a page may be stale; beyond the lag that the books reckon with, that is trouble.
MEMORY: Final = timedelta(hours=1)
# What the books reckon with; no list lags longer.
LAG_SECONDS: Final = 20
FUNDS: Final = {CASH: "250000.37", "BTC": "3.00000001", "ADA": "5000.1", FEE_COIN: "12.5"}
STEP: Final = Decimal("0.0001")


@dataclass(slots=True)
class Place:
    """One account: where it is at its exchange, and what its desks do there.

    Attributes
    ----------
    owners : dict
        Portfolio by the engine's order id, for orders that a desk sent.
    unbooked : list
        Orders of the desks that are not in the books yet, as rows of a book document.
    unexplained : dict
        What moved without any record, by asset.
    drifts : dict
        All that `unexplained` has been since the first such move, by asset.
    never_arrived : dict
        Portfolio and order, by client id, of what a desk has sent and the exchange has never got.
    has_misnamed : bool
        Whether the exchange has told rejections as cancellations: what is told so is taken so, and stays.
    """

    label: str
    market: str
    port: int
    engine: Engine
    dialect: Dialect
    portfolios: tuple[str, ...]
    owners: dict[str, str] = field(default_factory=dict)
    unbooked: list[dict[str, Any]] = field(default_factory=list)
    unexplained: dict[str, Decimal] = field(default_factory=dict)
    drifts: dict[str, list[Decimal]] = field(default_factory=dict)
    never_arrived: dict[str, tuple[str, OrderRequest]] = field(default_factory=dict)
    has_misnamed: bool = False

    @property
    def orders(self) -> dict[str, Order]:
        """Every order ever, those included that the exchange has forgotten."""
        return self.engine.accounts[KEY].orders

    def order_name(self, id_: str) -> str:
        return txid(ORDER, id_) if self.market == "kraken" else id_

    def fill_name(self, fill: Fill) -> str:
        return trade_txid(fill) if self.market == "kraken" else fill.id

    def open_orders(self) -> list[Order]:
        return [order for order in self.orders.values() if order.is_open]


def make_place(rng: random.Random, clock: VirtualClock, number: int) -> Place:
    market = rng.choice(("binance", "kraken"))
    engine = Engine(
        (Instrument(symbol, STEP, STEP, Decimal(price)) for symbol, price in PRICES.items()),
        clock=clock.now,
        memory=MEMORY,
    )
    engine.add_account(KEY, SECRET, [Permission.READ])
    for asset, amount in FUNDS.items():
        engine.deposit(KEY, asset, amount)
    for listing in Listing:
        if rng.random() < 0.15:
            least, most = rng.choice(((2, None), (12, None), (0, 15)))
            engine.set_lag(KEY, listing, Lag(least, most, rng.randrange(1_000)))
    return Place(
        label=f"account-{number}",
        market=market,
        port=40_000 + number,
        engine=engine,
        dialect=Binance(engine) if market == "binance" else Kraken(engine),
        portfolios=tuple(f"desk-{number}-{n}" for n in range(1, rng.randint(1, 3) + 1)),
    )


def book_document(places: list[Place]) -> dict[str, Any]:
    """Write the books as they are before anything happens."""
    accounts, portfolios, positions = [], [], []
    for place in places:
        secret = shown_secret(SECRET) if place.market == "kraken" else SECRET
        accounts.append(
            {
                "label": place.label,
                "market": place.market,
                "credential": {"apiKey": KEY, "secret": secret},
                "endpoint": f"http://127.0.0.1:{place.port}",
                "lag_seconds": LAG_SECONDS,
                "grace_seconds": 10,
            }
        )
        for name in place.portfolios:
            row = {"name": name, "account": place.label, "trading_symbol": CASH}
            portfolios.append(row | {"initial_balance": "20000"})
            positions.append({"portfolio": name, "asset": "ADA", "amount": "500", "cost": "350"})
    return {"accounts": accounts, "portfolios": portfolios, "positions": positions}
