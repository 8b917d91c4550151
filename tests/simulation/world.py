"""What happens at the exchanges and at the desks: drawn from a seed, told in a line each."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from providers.reports import OrderSide, OrderType
from providers.sandbox.binance import Binance
from providers.sandbox.books import (
    Fee,
    Instrument,
    Order,
    OrderRequest,
    Permission,
    WithdrawalStatus,
)
from providers.sandbox.dialect import Dialect
from providers.sandbox.engine import Engine
from providers.sandbox.errors import Refused
from providers.sandbox.kraken import Kraken
from providers.sandbox.kraken_names import ORDER, shown_secret, txid
from tests.simulation.clock import VirtualClock

KEY: Final = "practice-key"
SECRET: Final = "practice-secret"
CASH: Final = "EUR"
FEE_COIN: Final = "BNB"
PRICES: Final = {"BTC/EUR": "52431.07", "ADA/EUR": "0.73", "BNB/EUR": "611.4"}
TRADED: Final = ("BTC/EUR", "ADA/EUR")
DEALT: Final = {"BTC/EUR": ("0.0005", "0.0301"), "ADA/EUR": ("1.5", "97.25")}
FUNDS: Final = {CASH: "250000.37", "BTC": "3.00000001", "ADA": "5000.1", FEE_COIN: "12.5"}
_STEP: Final = Decimal("0.0001")


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
    never_arrived: set[str] = field(default_factory=set)

    @property
    def orders(self) -> dict[str, Order]:
        """Every order ever, those included that the exchange has forgotten."""
        return self.engine.accounts[KEY].orders

    def spelled(self, kind: str, number: str) -> str:
        return txid(kind, number) if self.market == "kraken" else number

    def open_orders(self) -> list[Order]:
        return [order for order in self.orders.values() if order.is_open]


def make_place(rng: random.Random, clock: VirtualClock, number: int) -> Place:
    market = rng.choice(("binance", "kraken"))
    engine = Engine(
        (Instrument(symbol, _STEP, _STEP, Decimal(price)) for symbol, price in PRICES.items()),
        clock=clock.now,
    )
    engine.add_account(KEY, SECRET, [Permission.READ])
    for asset, amount in FUNDS.items():
        engine.deposit(KEY, asset, amount)
    return Place(
        label=f"account-{number}",
        market=market,
        port=40_000 + number,
        engine=engine,
        dialect=Binance(engine) if market == "binance" else Kraken(engine),
        portfolios=tuple(f"desk-{number}-{n}" for n in range(1, rng.randint(1, 3) + 1)),
    )


def book_document(places: list[Place]) -> dict[str, Any]:
    """The books as they are before anything happens."""
    accounts, portfolios, positions = [], [], []
    for place in places:
        secret = shown_secret(SECRET) if place.market == "kraken" else SECRET
        accounts.append(
            {
                "label": place.label,
                "market": place.market,
                "credential": {"apiKey": KEY, "secret": secret},
                "endpoint": f"http://127.0.0.1:{place.port}",
                "lag_seconds": 20,
                "grace_seconds": 10,
            }
        )
        for name in place.portfolios:
            row = {"name": name, "account": place.label, "trading_symbol": CASH}
            portfolios.append(row | {"initial_balance": "20000"})
            positions.append({"portfolio": name, "asset": "ADA", "amount": "500", "cost": "350"})
    return {"accounts": accounts, "portfolios": portfolios, "positions": positions}


class World:
    """Draws what happens next.

    Parameters
    ----------
    tell : Callable
        Takes a line for the trace.
    """

    def __init__(
        self,
        rng: random.Random,
        places: list[Place],
        tell: Callable[[str], None],
        *,
        without: frozenset[str] = frozenset(),
    ) -> None:
        self._rng = rng
        self._places = places
        self._tell = tell
        self._sent = 0
        self.drifts = False
        actions: dict[str, tuple[int, Callable[[Place], str]]] = {
            "send": (8, self._send),
            "external": (4, self._place_external),
            "market": (2, self._trade_at_market),
            "fill": (14, self._fill),
            "end": (6, self._end),
            "amend": (2, self._amend),
            "deposit": (2, self._deposit),
            "withdraw": (2, self._withdraw),
            "settle": (3, self._settle_withdrawal),
            "lose": (1, self._lose_on_the_way),
            "drift": (1, self._drift),
        }
        self._actions = {name: act for name, act in actions.items() if name not in without}

    def act(self) -> None:
        """Let one thing happen; what the exchange refuses has not happened."""
        place = self._rng.choice(self._places)
        names = list(self._actions)
        weights = [self._actions[name][0] for name in names]
        [name] = self._rng.choices(names, weights)
        try:
            said = self._actions[name][1](place)
        except Refused as e:
            said = f"{name} refused: {type(e).__name__}"
        if said:
            self._tell(f"{place.label}: {said}")

    def end_what_waits(self) -> None:
        """Settle every withdrawal: while one is under way its amount is neither here nor there."""
        for place in self._places:
            while said := self._settle_withdrawal(place):
                self._tell(f"{place.label}: {said}")

    # Orders

    def _send(self, place: Place) -> str:
        """A desk sends an order; its books hear of it now or a little later."""
        self._sent += 1
        client_id = f"desk-{self._sent}"
        order = place.engine.place_order(KEY, self._request(client_id))
        return self._note_own(place, order)

    def _trade_at_market(self, place: Place) -> str:
        self._sent += 1
        request = self._request(f"desk-{self._sent}", is_market=True)
        order = place.engine.place_order(KEY, request, self._fee(request.symbol, request.amount))
        return self._note_own(place, order)

    def _note_own(self, place: Place, order: Order) -> str:
        owner = self._rng.choice(place.portfolios)
        place.owners[order.id] = owner
        row = _book_row(order, owner)
        if self._rng.random() < 0.7:
            row["external_id"] = place.spelled(ORDER, order.id)
        place.unbooked.append(row)
        return f"{owner} sends {_words(order)}"

    def _lose_on_the_way(self, place: Place) -> str:
        """A desk believes that it has sent an order, but the exchange never got it."""
        self._sent += 1
        request = self._request(f"lost-{self._sent}")
        owner = self._rng.choice(place.portfolios)
        row = {
            "portfolio": owner,
            "client_order_id": request.client_order_id,
            "symbol": request.symbol,
            "side": request.side.value,
            "amount": str(request.amount),
            "price": str(request.price),
        }
        place.unbooked.append(row)
        place.never_arrived.add(request.client_order_id)
        return f"{owner} sends {request.client_order_id}, which never arrives"

    def _place_external(self, place: Place) -> str:
        order = place.engine.place_order(KEY, self._request(""))
        if self._rng.random() < 0.4:
            self._execute(place, order, order.amount)
        return f"by hand {_words(order)}"

    def _request(self, client_id: str, *, is_market: bool = False) -> OrderRequest:
        symbol = self._rng.choice(TRADED)
        low, high = (int(Decimal(x) / _STEP) for x in DEALT[symbol])
        price = Decimal(PRICES[symbol]) * (100 + self._rng.randint(-9, 9)) / 100
        return OrderRequest(
            symbol=symbol,
            side=self._rng.choice((OrderSide.BUY, OrderSide.SELL)),
            amount=self._rng.randint(low, high) * _STEP,
            price=None if is_market else price.quantize(_STEP),
            client_order_id=client_id,
            type=OrderType.MARKET if is_market else OrderType.LIMIT,
        )

    def _fill(self, place: Place) -> str:
        order = self._any_open(place)
        if order is None:
            return ""
        is_all = self._rng.random() < 0.4
        steps = int(order.remaining / _STEP)
        amount = order.remaining if is_all else self._rng.randint(1, max(1, steps)) * _STEP
        return self._execute(place, order, min(amount, order.remaining))

    def _execute(self, place: Place, order: Order, amount: Decimal) -> str:
        price = order.price or Decimal(0)
        if self._rng.random() < 0.3:  # better than the limit
            better = Decimal("0.9871") if order.side is OrderSide.BUY else Decimal("1.0113")
            price = (price * better).quantize(_STEP)
        fill = place.engine.fill_order(
            order.id, amount, price, self._fee(order.symbol, amount), is_maker=True
        )
        fee = f", fee {fill.fee.amount} {fill.fee.asset}" if fill.fee else ""
        return f"fills {order.id} {fill.amount} at {fill.price}{fee} ({fill.id})"

    def _fee(self, symbol: str, amount: Decimal) -> Fee | None:
        base, _, quote = symbol.partition("/")
        cost = amount * Decimal(PRICES[symbol])
        kind = self._rng.choice(("base", "quote", "coin", "rebate", "none"))
        if kind == "base":
            return Fee(base, (amount / 1000).quantize(Decimal("1E-8")))
        if kind == "quote":
            return Fee(quote, (cost / 1000).quantize(Decimal("1E-8")))
        if kind == "coin":
            return Fee(FEE_COIN, (cost / 611_400).quantize(Decimal("1E-8")))
        if kind == "rebate":
            return Fee(quote, (cost / -10_000).quantize(Decimal("1E-8")))
        return None

    def _end(self, place: Place) -> str:
        order = self._any_open(place)
        if order is None:
            return ""
        end = self._rng.choice(("cancel", "cancel", "cancel", "expire", "reject"))
        if end == "reject" and not order.filled:
            place.engine.reject_order(order.id)
        elif end == "expire":
            place.engine.expire_order(order.id)
        else:
            place.engine.cancel_order(order.id)
        return f"{end} {order.id}"

    def _amend(self, place: Place) -> str:
        order = self._any_open(place)
        if order is None:
            return ""
        change = self._rng.randint(1, 40) * _STEP
        amount = order.amount + (change if self._rng.random() < 0.5 else -change)
        place.engine.amend_order(order.id, amount)
        return f"amends {order.id} to {amount}"

    def _any_open(self, place: Place) -> Order | None:
        orders = place.open_orders()
        return self._rng.choice(orders) if orders else None

    # Movements that are no fills

    def _deposit(self, place: Place) -> str:
        asset = self._rng.choice((CASH, "ADA", "BTC"))
        deposit = place.engine.deposit(KEY, asset, self._small())
        return f"deposit {deposit.amount} {asset} ({deposit.id})"

    def _withdraw(self, place: Place) -> str:
        asset = self._rng.choice((CASH, "ADA"))
        sent = place.engine.withdraw(KEY, asset, self._small(), fee=self._small() / 100)
        return f"withdrawal of {sent.amount} {asset}, fee {sent.fee} ({sent.id})"

    def _settle_withdrawal(self, place: Place) -> str:
        pending = [
            x for x in place.engine.withdrawals(KEY) if x.status is WithdrawalStatus.PENDING
        ]
        if not pending:
            return ""
        chosen = self._rng.choice(pending)
        if self._rng.random() < 0.7:
            place.engine.complete_withdrawal(KEY, chosen.id)
            return f"withdrawal {chosen.id} completed"
        place.engine.fail_withdrawal(KEY, chosen.id)
        return f"withdrawal {chosen.id} failed"

    def _drift(self, place: Place) -> str:
        """Move something without any record; not before the books have begun to judge."""
        if not self.drifts:
            return ""
        asset = self._rng.choice((CASH, "ADA"))
        amount = self._small() * self._rng.choice((1, -1))
        place.engine.adjust(KEY, asset, amount)
        place.unexplained[asset] = place.unexplained.get(asset, Decimal(0)) + amount
        return f"{amount} {asset} moves without a record"

    def _small(self) -> Decimal:
        return Decimal(self._rng.randint(1, 9_999)) / 100


def _book_row(order: Order, owner: str) -> dict[str, Any]:
    return {
        "portfolio": owner,
        "client_order_id": order.client_order_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "type": order.type.value,
        "amount": str(order.amount),
        "price": None if order.price is None else str(order.price),
        "created_at": order.created_at.isoformat().replace("+00:00", "Z"),
    }


def _words(order: Order) -> str:
    price = "at market" if order.price is None else f"at {order.price}"
    return f"{order.side} {order.amount} {order.symbol} {price} ({order.id})"
