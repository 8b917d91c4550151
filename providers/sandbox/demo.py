"""The demo's tables: who has what, which orders are open, what happens when, and what goes wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, Protocol

from providers.reports import OrderSide
from providers.sandbox.books import EXACT, ZERO, FeeRate, Instrument
from providers.sandbox.dialect import FaultKind
from providers.sandbox.engine import Engine
from providers.sandbox.faults import Fault

D = Decimal
BUY, SELL = OrderSide.BUY, OrderSide.SELL
CASH: Final = "USDT"
# A fixed day: a restarted demo must not date its orders anew.
OPENED_AT: Final = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)

INSTRUMENTS: Final = (
    Instrument("BTC/USDT", D("0.01"), D("0.00001"), D("86412.53")),
    Instrument("ETH/USDT", D("0.01"), D("0.0001"), D("2831.47")),
    Instrument("SOL/USDT", D("0.01"), D("0.001"), D("131.62")),
    Instrument("BNB/USDT", D("0.01"), D("0.001"), D("848.31")),
    Instrument("ADA/USDT", D("0.0001"), D("0.1"), D("0.4127")),
)


@dataclass(frozen=True, slots=True)
class Desk:
    """An account; `spare` is what no portfolio claims."""

    label: str
    spare: Mapping[str, Decimal]

    @property
    def key(self) -> str:
        return f"practice-key-{self._slug}"

    @property
    def secret(self) -> str:
        return f"practice-secret-{self._slug}"

    @property
    def _slug(self) -> str:
        return self.label.lower().replace(" ", "-")


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Books of one strategy; `holdings` by asset: amount, and what it cost in cash."""

    name: str
    desk: Desk
    cash: Decimal
    holdings: Mapping[str, tuple[Decimal, Decimal]]


@dataclass(frozen=True, slots=True)
class OpenOrder:
    portfolio: Portfolio
    side: OrderSide
    symbol: str
    amount: Decimal
    price: Decimal
    client_id: str = ""


MAIN: Final = Desk("Main desk", {CASH: D("137.42901857"), "BTC": D("0.06154903")})
GRID_BOT: Final = Desk("Grid bot", {CASH: D("12.90811734"), "BNB": D("0.51372908")})
TREASURY: Final = Desk("Treasury", {CASH: D("0.00581727")})
DESKS: Final = (MAIN, GRID_BOT, TREASURY)

ALPHA: Final = Portfolio(
    "alpha",
    MAIN,
    D("41250.73918264"),
    {
        "BTC": (D("0.41382719"), D("33904.18260518")),
        "ETH": (D("3.20514871"), D("8416.10773902")),
        "BNB": (D("4.81730266"), D("3602.51180447")),
    },
)
BETA: Final = Portfolio(
    "beta",
    MAIN,
    D("18764.20537711"),
    {
        "SOL": (D("58.31720944"), D("7204.66381925")),
        "ADA": (D("9120.47381526"), D("3511.38240017")),
    },
)
GRID: Final = Portfolio(
    "grid", GRID_BOT, D("30418.66120597"), {"ETH": (D("6.40718355"), D("17633.92057104"))}
)
RESERVE: Final = Portfolio(
    "reserve", TREASURY, D("52000.00418273"), {"BTC": (D("1.20000731"), D("98411.55108236"))}
)
PORTFOLIOS: Final = (ALPHA, BETA, GRID, RESERVE)

GRID_LEVELS: Final = range(1, 11)
GRID_STEP: Final = D("18.35")
GRID_PRICE: Final = D("2831.47")
ORDERS: Final = (
    OpenOrder(ALPHA, BUY, "BTC/USDT", D("0.05"), D("84210.50"), "alpha-btc-1"),
    OpenOrder(ALPHA, BUY, "BTC/USDT", D("0.07315"), D("82955.17")),
    OpenOrder(ALPHA, BUY, "BTC/USDT", D("0.025"), D("79800.00"), "alpha-btc-3"),
    OpenOrder(ALPHA, SELL, "BTC/USDT", D("0.06"), D("89950.75"), "alpha-btc-4"),
    OpenOrder(ALPHA, SELL, "BTC/USDT", D("0.11427"), D("93500.00")),
    OpenOrder(ALPHA, BUY, "ETH/USDT", D("1.2345"), D("2744.18"), "alpha-eth-1"),
    OpenOrder(ALPHA, SELL, "ETH/USDT", D("0.8"), D("3010.44"), "alpha-eth-2"),
    OpenOrder(BETA, BUY, "SOL/USDT", D("21.375"), D("124.61"), "beta-sol-1"),
    OpenOrder(BETA, SELL, "SOL/USDT", D("18.204"), D("141.07")),
    OpenOrder(BETA, SELL, "SOL/USDT", D("9.5"), D("148.90"), "beta-sol-3"),
    OpenOrder(BETA, BUY, "ADA/USDT", D("3150.4"), D("0.3894"), "beta-ada-1"),
    OpenOrder(BETA, SELL, "ADA/USDT", D("2740.7"), D("0.4476")),
    *(
        OpenOrder(
            GRID, BUY, "ETH/USDT", D("0.3117"), GRID_PRICE - level * GRID_STEP, f"grid-buy-{level}"
        )
        for level in GRID_LEVELS
    ),
    *(
        OpenOrder(
            GRID,
            SELL,
            "ETH/USDT",
            D("0.3117"),
            GRID_PRICE + level * GRID_STEP,
            f"grid-sell-{level}",
        )
        for level in GRID_LEVELS
    ),
    OpenOrder(RESERVE, BUY, "BTC/USDT", D("0.25"), D("60000.00"), "reserve-1"),
    OpenOrder(RESERVE, SELL, "BTC/USDT", D("0.3"), D("140000.00")),
)


class Action(Protocol):
    def happen(self, engine: Engine, order_ids: Mapping[str, str]) -> None: ...


@dataclass(frozen=True, slots=True)
class OrderFills:
    """`client_id` names the order; without `amount` the rest of it is filled."""

    client_id: str
    amount: str | None = None
    fee: FeeRate | None = None

    def happen(self, engine: Engine, order_ids: Mapping[str, str]) -> None:
        engine.fill_order(order_ids[self.client_id], self.amount, fee=self.fee)


@dataclass(frozen=True, slots=True)
class OrderIsCanceled:
    client_id: str

    def happen(self, engine: Engine, order_ids: Mapping[str, str]) -> None:
        engine.cancel_order(order_ids[self.client_id])


@dataclass(frozen=True, slots=True)
class TradedByHand:
    """A market order that no book knows."""

    desk: Desk
    side: OrderSide
    symbol: str
    amount: str

    def happen(self, engine: Engine, order_ids: Mapping[str, str]) -> None:
        trade = engine.buy if self.side is BUY else engine.sell
        trade(self.desk.key, self.symbol, self.amount)


@dataclass(frozen=True, slots=True)
class AssetVanishes:
    """A balance shrinks, and no record of the exchange says why."""

    desk: Desk
    asset: str
    amount: str

    def happen(self, engine: Engine, order_ids: Mapping[str, str]) -> None:
        engine.adjust(self.desk.key, self.asset, f"-{self.amount}")


@dataclass(frozen=True, slots=True)
class DepositArrives:
    desk: Desk
    asset: str
    amount: str

    def happen(self, engine: Engine, order_ids: Mapping[str, str]) -> None:
        engine.deposit(self.desk.key, self.asset, self.amount)


# Seconds after the first start, and what happens then.
TIMELINE: Final[tuple[tuple[int, Action], ...]] = (
    (12, AssetVanishes(MAIN, "BTC", "0.0137")),
    # Paid from what no portfolio claims, and so is what is traded by hand later on.
    (18, TradedByHand(MAIN, BUY, "BNB/USDT", "0.12")),
    (25, OrderFills("alpha-btc-1", "0.0213", FeeRate(D("0.00075"), "BNB"))),
    (45, OrderFills("beta-sol-1", "8.125", FeeRate(D("0.001")))),
    (70, OrderIsCanceled("alpha-btc-3")),
    (100, OrderFills("alpha-eth-2", None, FeeRate(D("0.001")))),
    (110, DepositArrives(MAIN, CASH, "250")),
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Seconds after the first start, and what is wrong from then until then."""

    start: int
    end: int
    kind: FaultKind
    desk: Desk | None = None
    times: int | None = None
    retry_after: int = 0

    def fault(self, started_at: datetime) -> Fault:
        return Fault(
            self.kind,
            api_key=self.desk.key if self.desk else None,
            times=self.times,
            between=(
                started_at + timedelta(seconds=self.start),
                started_at + timedelta(seconds=self.end),
            ),
            retry_after=self.retry_after,
        )


TROUBLES: Final = (
    Trouble(0, 75, FaultKind.UNAVAILABLE, GRID_BOT),
    Trouble(150, 210, FaultKind.RATE_LIMITED, times=1, retry_after=20),
    Trouble(150, 210, FaultKind.UNAVAILABLE),
)

# After the timeline, something small happens every so many seconds while orders are left.
BEATS_FROM: Final = 300
BEAT: Final = 90
HAND_TRADE_EVERY: Final = 4
HAND_TRADES: Final = (
    TradedByHand(MAIN, BUY, "BNB/USDT", "0.037"),
    TradedByHand(MAIN, SELL, "BNB/USDT", "0.037"),
)
FEE: Final = FeeRate(D("0.001"))


def opening_totals(desk: Desk) -> dict[str, Decimal]:
    """Sum up what `desk` holds of each asset at the opening, free and locked."""
    held: dict[str, Decimal] = dict(desk.spare)
    for portfolio in PORTFOLIOS:
        if portfolio.desk is desk:
            _add(held, CASH, portfolio.cash)
            for asset, (amount, _) in portfolio.holdings.items():
                _add(held, asset, amount)
    return held


def _add(held: dict[str, Decimal], asset: str, amount: Decimal) -> None:
    held[asset] = EXACT.add(held.get(asset, ZERO), amount)
