"""Books recomputed from their facts, and the places where what is stored is something else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from portfolios.amounts import difference, exact, exact_sum
from portfolios.reconciliation.booking import Booked, Pending, Traded, cost_and_gain, pending
from portfolios.reconciliation.execution import (
    OrderFacts,
    covers,
    execution,
    fees_by_asset,
)
from portfolios.reconciliation.lots import Change, OpenLots
from providers.reports import FeeReport, FillReport, OrderSide

ZERO = Decimal(0)
Key = TypeVar("Key", bound=Hashable)


class Check(StrEnum):
    POSITION = "position"
    COST = "cost"
    ORDER = "order"
    ENTRY = "entry"
    CLAIM = "claim"
    FEES = "fees"
    FILL = "fill"
    PLACE = "place"
    LOOSE_FILL = "loose_fill"
    ATTACHED_FILL = "attached_fill"
    FLOW = "flow"
    OVERFILL = "overfill"
    RESERVED = "reserved"
    GAIN = "gain"
    REALIZED_GAIN = "realized_gain"
    SALE = "sale"
    OPENING = "opening"
    OPENING_OPPOSITE = "opening_opposite"
    NET_SIZE = "net_size"
    TOTAL = "total"
    RELEASE = "release"
    DECISION = "decision"
    BASELINE = "baseline"
    REFERENCE = "reference"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where the books are not what their facts make them.

    Parameters
    ----------
    stored, recomputed : Decimal or None
        None where there is nothing stored, or nothing that should be.
    owner : int or None
        The portfolio; None for the unassigned part of the account.
    order : str
        The exchange's id, or the portfolio's own where the exchange gave none.
    fill, flow : str
        The exchange's id of the fill without an order, or of the flow.
    decision : int or None
        Of a person who booked it.
    why : str
        What is wrong where it is no amount.
    """

    check: Check
    stored: Decimal | None
    recomputed: Decimal | None
    asset: str = ""
    owner: int | None = None
    order: str = ""
    fill: str = ""
    flow: str = ""
    decision: int | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A ledger entry.

    Parameters
    ----------
    owner : int or None
        The portfolio; None for the unassigned part.
    side : OrderSide or None
        Side of the order whose base this entry traded; None for every other entry.
    """

    key: str
    asset: str
    amount: Decimal
    owner: int | None = None
    cost: Decimal = ZERO
    gain: Decimal = ZERO
    is_execution: bool = False
    is_fee: bool = False
    side: OrderSide | None = None


def add_up(rows: Iterable[tuple[Key, Decimal]]) -> dict[Key, Decimal]:
    """Sum the amounts of each key exactly, holding no more than the sums."""
    sums: dict[Key, Decimal] = {}
    with exact():
        for key, amount in rows:
            sums[key] = sums.get(key, ZERO) + amount
    return sums


def unequal(
    stored: Mapping[Key, Decimal], recomputed: Mapping[Key, Decimal]
) -> Iterator[tuple[Key, Decimal | None, Decimal]]:
    """Yield each key whose stored amount is not the recomputed one; what is in neither, or zero, is equal."""
    for key in dict.fromkeys([*stored, *recomputed]):
        is_amount, should_be = stored.get(key), recomputed.get(key, ZERO)
        if (is_amount or ZERO) != should_be:
            yield key, is_amount, should_be


def order_differences(
    order: int,
    owner: int | None,
    facts: OrderFacts,
    fills: Sequence[FillReport],
    entries: Sequence[Entry],
) -> Iterator[Difference]:
    """Compare all ledger entries of one order with what its facts say it has moved."""
    series = f"order:{order}:{owner or 0}:"
    yield from _strays(order, owner, entries)
    of_series = [entry for entry in entries if entry.key.startswith(series)]
    for found in _not_as_moved(facts, fills, of_series):
        yield replace(found, owner=owner)
    yield from _claims(entries)
    yield from _releases(owner, entries)
    yield from _gains(facts, entries)


def _strays(order: int, owner: int | None, entries: Sequence[Entry]) -> Iterator[Difference]:
    owners = {str(owner or 0), "0", *_released(entries)}
    for entry in entries:
        booking = entry.key.removeprefix("claim:")
        is_claim = booking != entry.key
        kind, number, holder, *_rest = [*booking.split(":"), "", "", ""]
        if (kind, number) == ("order", str(order)) and holder in owners:
            holds = entry.owner is None if is_claim else str(entry.owner or 0) == holder
            # A fee in a coin that the portfolio never had is paid out of the unassigned part.
            is_explained = holds or (entry.is_fee and entry.owner is None)
        else:
            is_explained = entry.key.startswith(f"before:order:{order}:") and entry.owner is None
        if not is_explained:
            yield Difference(Check.ENTRY, entry.amount, None, entry.asset, entry.owner)


def _released(entries: Iterable[Entry]) -> set[str]:
    """List the portfolios that the order was taken from again, as in the keys of their entries."""
    return {_series(entry) for entry in entries if _is_release(entry)}


def _series(entry: Entry) -> str:
    booking = entry.key.removeprefix("claim:")
    return booking.split(":")[2] if booking.startswith("order:") else "0"


def _is_release(entry: Entry) -> bool:
    return ":decision-" in entry.key


def _releases(owner: int | None, entries: Sequence[Entry]) -> Iterator[Difference]:
    """Check that an order which was taken from a portfolio left nothing there, nor what was taken out for it.

    Of the portfolio that has claimed it again since, that holds up to its last release.
    """
    for holder in sorted(_released(entries)):
        booked = [entry for entry in entries if _series(entry) == holder]
        if holder == str(owner):
            last = max(number for number, entry in enumerate(booked) if _is_release(entry))
            booked = booked[: last + 1]
        left = add_up(
            ((entry.key.startswith("claim:"), entry.owner, entry.is_fee, entry.asset), entry.amount)
            for entry in booked
        )
        for (_is_claim, whose, _is_fee, asset), amount in left.items():
            if amount:
                yield Difference(Check.RELEASE, amount, ZERO, asset, whose)


def _not_as_moved(
    facts: OrderFacts, fills: Sequence[FillReport], entries: Sequence[Entry]
) -> Iterator[Difference]:
    booked = _booked(facts, entries)
    change = pending(facts, execution(facts, fills), booked)
    fees = booked.fees or {}
    for asset, stored, missing in (
        (facts.base, booked.base, change.base),
        (facts.quote, booked.quote, change.quote),
        *((asset, fees.get(asset, ZERO), missing) for asset, missing in change.fees.items()),
    ):
        if missing:
            yield Difference(Check.ORDER, stored, exact_sum((stored, missing)), asset)


def _booked(facts: OrderFacts, entries: Sequence[Entry]) -> Booked:
    traded = add_up((entry.asset, entry.amount) for entry in entries if entry.is_execution)
    fees = (FeeReport(entry.asset, entry.amount) for entry in entries if entry.is_fee)
    return Booked(
        base=traded.get(facts.base, ZERO),
        quote=traded.get(facts.quote, ZERO),
        fees=fees_by_asset(fees),
    )


def _claims(entries: Iterable[Entry]) -> Iterator[Difference]:
    """Compare what a claimed order brought its portfolio with what was taken out of the unassigned part for it."""
    by_key = {entry.key: entry for entry in entries if not _is_release(entry)}
    taken = {key.removeprefix("claim:") for key in by_key if key.startswith("claim:")}
    claimed = {_booking(key) for key in taken}
    brought = {key for key in by_key if _booking(key) in claimed}
    for key in sorted(brought | taken):
        given, opposite = by_key.get(key), by_key.get(f"claim:{key}")
        stored = opposite.amount if opposite else None
        should_be = given.amount.copy_negate() if given else None
        if stored != should_be:
            asset = (given or by_key[f"claim:{key}"]).asset
            yield Difference(Check.CLAIM, stored, should_be, asset)


def _booking(key: str) -> str:
    """Name the booking that wrote an entry: `order:7:2:0` of `order:7:2:0:fee:BNB`."""
    return ":".join(key.split(":")[:4])


def _gains(facts: OrderFacts, entries: Iterable[Entry]) -> Iterator[Difference]:
    """Compare each gain with the cash that was moved beyond the change of the cost."""
    traded = [entry for entry in entries if entry.is_execution and entry.owner is not None]
    cash = {_booking(entry.key): entry.amount for entry in traded if entry.asset == facts.quote}
    for entry in traded:
        if entry.asset == facts.base:
            gain = exact_sum((cash.get(_booking(entry.key), ZERO), entry.cost))
            if entry.gain != gain:
                yield Difference(Check.GAIN, entry.gain, gain, entry.asset, entry.owner)


def fee_differences(
    facts: OrderFacts, fills: Sequence[FillReport], fees: Mapping[str, Decimal]
) -> Iterator[Difference]:
    """Compare the fees that an order shows with those of its fills, where these are all of it and tell any."""
    told = fees_by_asset(fee for fill in fills for fee in fill.fees)
    filled = exact_sum(fill.amount for fill in fills)
    if told and covers(filled, facts.opening_filled, facts.filled):
        for asset, stored, should_be in unequal(fees, told):
            yield Difference(Check.FEES, stored, should_be, asset)


def fill_differences(
    facts: OrderFacts, symbol: str, fills: Sequence[FillReport], *, has_ended: bool
) -> Iterator[Difference]:
    """Find fills of another symbol or side than their order's, and more of them than an ended order has filled.

    Those of an open order may have been read after it.
    """
    for fill in fills:
        if (fill.symbol, fill.side) != (symbol, facts.side):
            yield Difference(Check.FILL, fill.amount, None, fill.symbol.split("/", 1)[0])
    of_fills = exact_sum(fill.amount for fill in fills)
    if has_ended and of_fills > facts.filled:
        yield Difference(Check.OVERFILL, facts.filled, of_fills, facts.base)


def fill_moves(fill: FillReport, base: str, quote: str) -> dict[str, Decimal]:
    """Tell what one execution has moved: signed changes by the cause and asset in their entries' keys, none zero."""
    sign = 1 if fill.side is OrderSide.BUY else -1
    with exact():
        moved = {f"execution:{base}": sign * fill.amount, f"execution:{quote}": -sign * fill.cost}
    for asset, fee in fees_by_asset(fill.fees).items():
        moved[f"fee:{asset}"] = fee.copy_negate()
    return {name: amount for name, amount in moved.items() if amount}


def loose_fill_differences(
    fill: int, moved: Mapping[str, Decimal], entries: Iterable[Entry], *, has_joined: bool
) -> Iterator[Difference]:
    """Compare the entries of a fill that was booked without an order with what it has moved.

    Parameters
    ----------
    moved : Mapping of str to Decimal
        As `fill_moves` tells it; empty if the fill is part of the account's baseline.
    has_joined : bool
        Whether its order has come to be known and books it: what had been booked is then taken back.
    """
    booked = {f"fill:{fill}:{name}": amount for name, amount in moved.items()}
    by_key = {entry.key: entry for entry in entries}
    for key, entry in by_key.items():
        if entry.owner is not None or key.removeprefix("attached:") not in booked:
            yield Difference(Check.ENTRY, entry.amount, None, entry.asset, entry.owner)
    for key, should_be in booked.items():
        asset = key.split(":", 3)[3]
        stored, back = _amount(by_key.get(key)), _amount(by_key.get(f"attached:{key}"))
        if stored != should_be and not (stored is None and has_joined):
            yield Difference(Check.LOOSE_FILL, stored, should_be, asset)
        opposite = stored.copy_negate() if stored is not None and has_joined else None
        if back != opposite:
            yield Difference(Check.ATTACHED_FILL, back, opposite, asset)


def _amount(entry: Entry | None) -> Decimal | None:
    return None if entry is None else entry.amount


def flow_differences(
    flow: int, due: Mapping[str, Decimal], entries: Sequence[Entry]
) -> Iterator[Difference]:
    """Compare the entries of a flow with the changes by asset that are due for it.

    All are of the unassigned part, but for those by which a person gave it to portfolios; these change no sum.
    """
    series = f"flow:{flow}:"
    for entry in entries:
        is_of_flow = entry.owner is None and entry.key.startswith(series)
        if not is_of_flow and not entry.key.startswith("decision:"):
            yield Difference(Check.ENTRY, entry.amount, None, entry.asset, entry.owner)
    stored = add_up((entry.asset, entry.amount) for entry in entries)
    for asset, is_amount, should_be in unequal(stored, due):
        yield Difference(Check.FLOW, is_amount, should_be, asset)


def sale_differences(history: Iterable[tuple[Entry, str]]) -> Iterator[Difference]:
    """Replay one position from its first entry and compare what each trade did to its cost.

    Parameters
    ----------
    history : iterable of (Entry, str)
        All entries of one asset of one portfolio in the order of their booking, each with the id of its order.
    """
    lots, orders = OpenLots(), defaultdict[str, Traded](Traded)
    for entry, order in history:
        if entry.side is not None:
            # All bookings of one order for one owner.
            series = ":".join(entry.key.split(":")[:3])
            cost = _cost(entry, entry.side, lots, orders[series])
            if entry.cost != cost:
                yield Difference(Check.SALE, entry.cost, cost, entry.asset, entry.owner, order)
            orders[series] = orders[series].with_more(entry.amount, entry.cost, entry.gain)
        lots.apply(Change(entry.amount, entry.cost, is_trade=not entry.is_fee))


def _cost(entry: Entry, side: OrderSide, lots: OpenLots, booked: Traded) -> Decimal:
    cash = difference(entry.gain, entry.cost)
    facts = OrderFacts(base=entry.asset, quote="", side=side, filled=ZERO)
    return cost_and_gain(facts, Pending(entry.amount, cash, {}), lots, booked)[0]


def opening_differences(
    entries: Iterable[Entry], needs_opposite: Iterable[str]
) -> Iterator[Difference]:
    """Compare the openings of an account's portfolios with what was taken out of the unassigned part for them.

    Parameters
    ----------
    needs_opposite : iterable of str
        Keys of the openings that were booked on an account which had its baseline.
    """
    given: dict[str, Entry] = {}
    taken: dict[str, Entry] = {}
    for entry in entries:
        named = f"opening:{entry.owner}:{entry.asset}"
        if entry.owner is None and entry.key.endswith(f":{entry.asset}:unassigned"):
            taken[entry.key.removesuffix(":unassigned")] = entry
        elif entry.key == named:
            given[named] = entry
        else:
            yield Difference(Check.OPENING, entry.amount, None, entry.asset, entry.owner)
    for key in sorted(taken.keys() | set(needs_opposite)):
        stored = taken[key].amount if key in taken else None
        should_be = given[key].amount.copy_negate() if key in given else None
        if stored != should_be:
            opened = given.get(key) or taken[key]
            yield Difference(Check.OPENING_OPPOSITE, stored, should_be, opened.asset, opened.owner)


def decision_differences(
    decision: int, due: Mapping[tuple[int | None, str], Decimal], entries: Sequence[Entry]
) -> Iterator[Difference]:
    """Compare what a person's decision booked with what it was given, by owner and asset."""
    for entry in entries:
        if not entry.key.startswith(f"decision:{decision}:"):
            yield Difference(Check.ENTRY, entry.amount, None, entry.asset, entry.owner)
    booked = add_up(((entry.owner, entry.asset), entry.amount) for entry in entries)
    for (owner, asset), stored, should_be in unequal(booked, due):
        yield Difference(Check.DECISION, stored, should_be, asset, owner)
