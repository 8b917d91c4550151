"""What happens to orders: the desks' own, and those that somebody places by hand."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from providers.reports import OrderSide, OrderType
from providers.sandbox.books import Fee, Order, OrderRequest
from tests.simulation.place import DEALT, FEE_COIN, KEY, PRICES, STEP, TRADED, Place

Act = Callable[[Place], str]


class Orders:
    """Draws what happens to an order; each act tells it in words, or nothing if it is not possible."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._sent = 0

    def acts(self) -> Mapping[str, tuple[int, Act]]:
        """List the acts, each with its weight."""
        return {
            "send": (8, self._send),
            "external": (4, self._place_external),
            "market": (2, self._trade_at_market),
            "fill": (12, self._fill),
            "burst": (2, self._fill_in_a_burst),
            "end": (6, self._end),
            "amend": (2, self._amend),
            "reprice": (1, self._reprice),
            "overfill": (1, self._overfill),
            "self_trade": (1, self._trade_with_oneself),
            "lose": (1, self._lose_on_the_way),
        }

    def _send(self, place: Place) -> str:
        """Let a desk send an order; its books hear of it now or a little later."""
        self._sent += 1
        client_id = f"desk-{self._sent}"
        order = place.engine.place_order(KEY, self._request(client_id))
        return self._note_own(place, order)

    def _trade_at_market(self, place: Place) -> str:
        self._sent += 1
        request = self._request(f"desk-{self._sent}", is_market=True)
        order = place.engine.place_order(
            KEY, request, self._fee(place, request.symbol, request.amount)
        )
        return self._note_own(place, order)

    def _note_own(self, place: Place, order: Order) -> str:
        owner = self._rng.choice(place.portfolios)
        place.owners[order.id] = owner
        row = _book_row(order, owner)
        if self._rng.random() < 0.7:
            row["external_id"] = place.order_name(order.id)
        place.unbooked.append(row)
        return f"{owner} sends {_words(order)}"

    def _lose_on_the_way(self, place: Place) -> str:
        """Let a desk believe that it has sent an order that the exchange never got."""
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
        place.never_arrived[request.client_order_id] = (owner, request)
        return f"{owner} sends {request.client_order_id}, which never arrives"

    def _place_external(self, place: Place) -> str:
        order = place.engine.place_order(KEY, self._request(""))
        if self._rng.random() < 0.4:
            self._execute(place, order, order.amount)
        return f"by hand {_words(order)}"

    def _request(self, client_id: str, *, is_market: bool = False) -> OrderRequest:
        symbol = self._rng.choice(TRADED)
        low, high = (int(Decimal(x) / STEP) for x in DEALT[symbol])
        price = Decimal(PRICES[symbol]) * (100 + self._rng.randint(-9, 9)) / 100
        return OrderRequest(
            symbol=symbol,
            side=self._rng.choice((OrderSide.BUY, OrderSide.SELL)),
            amount=self._rng.randint(low, high) * STEP,
            price=None if is_market else price.quantize(STEP),
            client_order_id=client_id,
            type=OrderType.MARKET if is_market else OrderType.LIMIT,
        )

    def _fill(self, place: Place) -> str:
        order = self._any_open(place)
        if order is None:
            return ""
        is_all = self._rng.random() < 0.4
        steps = int(order.remaining / STEP)
        amount = order.remaining if is_all else self._rng.randint(1, max(1, steps)) * STEP
        return self._execute(place, order, min(amount, order.remaining))

    def _execute(self, place: Place, order: Order, amount: Decimal) -> str:
        price = order.price or Decimal(0)
        if self._rng.random() < 0.3:  # better than the limit
            better = Decimal("0.9871") if order.side is OrderSide.BUY else Decimal("1.0113")
            price = (price * better).quantize(STEP)
        fill = place.engine.fill_order(
            order.id, amount, price, self._fee(place, order.symbol, amount), is_maker=True
        )
        fee = f", fee {fill.fee.amount} {fill.fee.asset}" if fill.fee else ""
        return f"fills {order.id} {fill.amount} at {fill.price}{fee} ({fill.id})"

    def _fee(self, place: Place, symbol: str, amount: Decimal) -> Fee | None:
        base, _, quote = symbol.partition("/")
        cost = amount * Decimal(PRICES[symbol])
        kind = self._rng.choice(("base", "quote", "coin", "rebate", "none"))
        if place.market == "kraken" and kind in ("base", "coin"):
            kind = "quote"  # the only asset in which its trades tell a fee
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
        if end == "reject" and not order.filled and place.market != "kraken":  # has no such word
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
        change = self._rng.randint(1, 40) * STEP
        amount = order.amount + (change if self._rng.random() < 0.5 else -change)
        place.engine.amend_order(order.id, amount)
        return f"amends {order.id} to {amount}"

    def _fill_in_a_burst(self, place: Place) -> str:
        """Fill an order several times in the same millisecond."""
        order = self._any_open(place)
        if order is None or order.remaining < 5 * STEP:
            return ""
        with place.engine.standing_still():
            fills = [self._execute(place, place.orders[order.id], STEP) for _ in range(4)]
        return "; ".join(fills)

    def _reprice(self, place: Place) -> str:
        order = self._any_open(place)
        if order is None or order.price is None:
            return ""
        price = order.price + STEP * self._rng.randint(1, 99)
        place.engine.amend_order(order.id, price=price)
        return f"reprices {order.id} to {price}"

    def _overfill(self, place: Place) -> str:
        order = self._any_open(place)
        if order is None:
            return ""
        fill = place.engine.overfill_order(order.id, STEP)
        return f"overfills {order.id} by {STEP} ({fill.id})"

    def _trade_with_oneself(self, place: Place) -> str:
        """Let two own orders meet: two fills of one id."""
        orders = place.open_orders()
        pairs = [(b, s) for b in orders for s in orders if _would_meet(b, s)]
        if not pairs:
            return ""
        buy, sell = self._rng.choice(pairs)
        bought, _sold = place.engine.self_trade(buy.id, sell.id, STEP)
        return f"{buy.id} meets {sell.id} ({bought.id})"

    def _any_open(self, place: Place) -> Order | None:
        orders = place.open_orders()
        return self._rng.choice(orders) if orders else None


def _would_meet(buy: Order, sell: Order) -> bool:
    is_pair = buy.side is OrderSide.BUY and sell.side is OrderSide.SELL
    if not is_pair or buy.symbol != sell.symbol or buy.price is None or sell.price is None:
        return False
    return buy.price >= sell.price


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
