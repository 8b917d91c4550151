"""What an order's facts say that it has moved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from portfolios.amounts import difference, exact_mul, exact_sum, ratio_of
from providers.reports import FeeReport, FillReport, OrderSide

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """The part of an order that moves amounts.

    Parameters
    ----------
    cost : Decimal or None
        Quote units that changed hands for all of `filled`, as the exchange reports them.
    opening_filled, opening_cost : Decimal
        Base and quote units that had changed hands before the books took the order over.
    """

    base: str
    quote: str
    side: OrderSide
    filled: Decimal
    price: Decimal | None = None
    average: Decimal | None = None
    cost: Decimal | None = None
    fees: tuple[FeeReport, ...] = ()
    opening_filled: Decimal = ZERO
    opening_cost: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Execution:
    """What has changed hands beyond the opening.

    Parameters
    ----------
    base, quote : Decimal
        Units traded, without fees, >= 0.
    fees : Mapping of str to Decimal
        By asset; negative for a rebate.
    unpriced : Decimal
        Base units that the exchange reports as filled without any price: not in `base`, to be booked when a price is
        known.
    """

    base: Decimal = ZERO
    quote: Decimal = ZERO
    fees: Mapping[str, Decimal] = field(default_factory=dict)
    unpriced: Decimal = ZERO


def execution(order: OrderFacts, fills: Sequence[FillReport]) -> Execution:
    """Sum what `order` has moved beyond its opening: from its fills, and from its own totals where fills are not known.

    A price is looked for in the order's cost, its average, its limit price, in that order; an amount without any of
    these is not booked.
    """
    filled = max(order.filled, exact_sum(fill.amount for fill in fills))
    due = difference(filled, order.opening_filled)
    if due <= 0:
        return Execution()
    taken = _latest(fills, due)
    base = exact_sum(fill.amount for fill in taken)
    quote = exact_sum(fill.cost for fill in taken)
    rest = difference(due, base)
    fees = _fees(order, taken, is_whole=rest == 0)
    if rest == 0:
        return Execution(base, quote, fees)
    rest_quote = _quote_of_rest(order, rest, quote)
    if rest_quote is None:
        return Execution(base, quote, fees if taken else {}, unpriced=rest)
    return Execution(due, exact_sum((quote, rest_quote)), fees)


def moved_before(
    order: OrderFacts,
    fills: Sequence[FillReport],
    moment: datetime,
    created_at: datetime | None = None,
    ended_at: datetime | None = None,
    opened_at: datetime | None = None,
) -> Execution:
    """Tell what an order, booked in full since its opening, had moved up to `moment` of that, by its exchange's clock.

    Negative if part of what the opening counts was filled later: nothing has booked that. Of an order that was created
    later all of it was, also what no fill tells; of one that ended by `moment` none.

    Parameters
    ----------
    opened_at : datetime or None
        When the opening was counted, if that is known: fills of until then are of it.
    """
    before = [fill for fill in fills if fill.executed_at and fill.executed_at <= moment]
    if ended_at is not None and ended_at <= moment and len(before) == len(fills):
        return execution(order, fills)
    # Of what was filled at the order's opening some fills may be among those, and others were never listed.
    unlisted = difference(order.filled, exact_sum(fill.amount for fill in fills))
    of_opening = exact_sum(
        fill.amount
        for fill in before
        if opened_at is not None and fill.executed_at and fill.executed_at <= opened_at
    )
    unlisted = max(min(unlisted, difference(order.opening_filled, of_opening)), ZERO)
    if created_at is not None and created_at > moment:
        unlisted = ZERO
    filled = exact_sum((unlisted, *(fill.amount for fill in before)))
    if filled >= order.opening_filled:
        return execution(_as_of(order, filled), before)
    opening = _oldest(fills, difference(order.opening_filled, unlisted))
    counted = _as_of(order, order.opening_filled, opening=filled)
    if not fills:  # the order's own totals are all that is told of it
        is_all = order.filled == order.opening_filled
        cost, average = (order.cost, order.average) if is_all else (None, None)
        counted = replace(counted, cost=cost, average=average, fees=order.fees, opening_cost=ZERO)
    later = execution(counted, opening)
    fees = {asset: fee.copy_negate() for asset, fee in later.fees.items()}
    return Execution(later.base.copy_negate(), later.quote.copy_negate(), fees)


def _as_of(order: OrderFacts, filled: Decimal, opening: Decimal | None = None) -> OrderFacts:
    opened = order.opening_filled if opening is None else opening
    return replace(order, filled=filled, opening_filled=opened, cost=None, average=None, fees=())


def _oldest(fills: Sequence[FillReport], due: Decimal) -> list[FillReport]:
    # Taken from the front, so they are in their order.
    return _latest(fills[::-1], due)


def _latest(fills: Sequence[FillReport], due: Decimal) -> list[FillReport]:
    # From the newest back: what the opening had already counted are the oldest ones.
    taken: list[FillReport] = []
    for fill in reversed(fills):
        if due <= 0:
            break
        taken.append(fill if fill.amount <= due else _part(fill, due))
        due = difference(due, fill.amount)
    return taken


def _fees(order: OrderFacts, taken: Iterable[FillReport], *, is_whole: bool) -> dict[str, Decimal]:
    """Sum the fees of the fills; where these are not all, or tell none, the order's own count, from its beginning."""
    of_fills = fees_by_asset(fee for fill in taken for fee in fill.fees)
    of_order = fees_by_asset(order.fees) if order.opening_filled == 0 else {}
    return of_fills if of_fills and is_whole else of_order or of_fills


def covers(fills: Decimal, opening: Decimal, filled: Decimal) -> bool:
    """Whether fills of this amount are all that was filled beyond the opening."""
    return fills >= difference(filled, opening)


def _part(fill: FillReport, amount: Decimal) -> FillReport:
    return FillReport(
        external_id=fill.external_id,
        order_external_id=fill.order_external_id,
        symbol=fill.symbol,
        side=fill.side,
        price=fill.price,
        amount=amount,
        cost=ratio_of(fill.cost, amount, fill.amount),
        fees=tuple(
            FeeReport(fee.asset, ratio_of(fee.amount, amount, fill.amount)) for fee in fill.fees
        ),
        executed_at=fill.executed_at,
    )


def _quote_of_rest(order: OrderFacts, rest: Decimal, known_quote: Decimal) -> Decimal | None:
    total = order.cost or (exact_mul(order.average, order.filled) if order.average else None)
    if total is not None:
        quote = difference(total, exact_sum((order.opening_cost, known_quote)))
        if quote > 0:
            return quote
    return exact_mul(order.price, rest) if order.price else None


def fees_by_asset(fees: Iterable[FeeReport]) -> dict[str, Decimal]:
    amounts: defaultdict[str, list[Decimal]] = defaultdict(list)
    for fee in fees:
        amounts[fee.asset].append(fee.amount)
    return {asset: exact_sum(values) for asset, values in amounts.items()}


def opening_cost(filled: Decimal, *, average: Decimal | None, price: Decimal | None) -> Decimal:
    """Quote units behind what was filled before the books took over, as well as they are known."""
    unit_price = average or price
    return exact_mul(unit_price, filled) if unit_price else ZERO


def lock(order: OrderFacts, remaining: Decimal) -> tuple[str, Decimal]:
    """Asset and amount that the open rest of an order locks: quote for a buy, base for a sell.

    A market order has no price to lock at; its lock is not known and counted as none.
    """
    if order.side is OrderSide.SELL:
        return order.base, remaining
    return order.quote, exact_mul(order.price, remaining) if order.price else ZERO
