"""From ccxt's unified rows to reports; pure. A row that cannot be told is refused with its name."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, localcontext
from typing import Any, Final, Generic, TypeVar

from providers.errors import UnexpectedReport
from providers.reports import (
    SPOT,
    BalanceReport,
    FeeReport,
    FillReport,
    FlowReport,
    OrderReport,
    OrderSide,
    OrderStatus,
    OrderType,
)

MAX_DIGITS: Final = 72
MAX_DECIMALS: Final = 36
MAX_ID: Final = 128
MAX_SYMBOL: Final = 64

# Marks a row that stands in for one that could not be parsed; its value says why.
UNREADABLE: Final = "unreadable"

# Before an id that was made of a row's content.
_CONTENT_MARK: Final = "~"

Raw = Mapping[str, Any]
T = TypeVar("T")
Identified = TypeVar("Identified", FillReport, FlowReport)

EXACT: Final = Context(prec=400)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_NUMBER_TEXT: Final = 400
# As nearly all are written, and short enough in any case.
_USUAL_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,35})(?:\.[0-9]{1,36})?", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?", re.ASCII)
_NOT_ASSETS: Final = frozenset({"info", "timestamp", "datetime", "free", "used", "total", "debt"})

_STATUSES: Final[Mapping[str, OrderStatus]] = {
    "open": OrderStatus.OPEN,
    "pending": OrderStatus.OPEN,
    "canceling": OrderStatus.OPEN,
    "cancelling": OrderStatus.OPEN,
    "closed": OrderStatus.CLOSED,
    "filled": OrderStatus.CLOSED,
    "canceled": OrderStatus.CANCELED,
    "cancelled": OrderStatus.CANCELED,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
    "failed": OrderStatus.REJECTED,
}
# Spaces, dashes and underscores apart: every exchange has its own.
_TYPES: Final[Mapping[str, OrderType]] = {
    "limit": OrderType.LIMIT,
    "limitmaker": OrderType.LIMIT,
    "market": OrderType.MARKET,
    "stop": OrderType.STOP,
    "stoploss": OrderType.STOP,
    "stopmarket": OrderType.STOP,
    "stoplimit": OrderType.STOP_LIMIT,
    "stoplosslimit": OrderType.STOP_LIMIT,
}
_SIDES: Final = {side.value: side for side in OrderSide}
# How exchanges name what ccxt finds the id and the time of a row in.
_OWN: Final = {
    "id": re.compile(r"(tid|((trade|fill|exec|deal|match)_?)?id)", re.IGNORECASE),
    "timestamp": re.compile(
        r"(ts|date|((trade|fill|exec|transact|created?|insert|apply|div)_?)?(time|at|timestamp)(_?ms)?)",
        re.IGNORECASE,
    ),
}


@dataclass(frozen=True, slots=True)
class Reports(Generic[T]):
    """The rows that could be told, and what is wrong with each of the others.

    Parameters
    ----------
    refused_ids : tuple of str or None
        Id of each refused row; None if not even that can be told.
    """

    rows: tuple[T, ...]
    problems: tuple[str, ...] = ()
    refused_ids: tuple[str | None, ...] = ()

    @property
    def hidden_ids(self) -> frozenset[str] | None:
        """Ids of the rows that are there but could not be told; None if not all have one."""
        ids = frozenset(id_ for id_ in self.refused_ids if id_ is not None)
        return None if None in self.refused_ids else ids


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that could not be told: its id, if that can be, and what is wrong."""

    name: str | None
    why: str


def order_told(raw: Raw) -> OrderReport | Refused:
    return told(raw, order_report)


def fill_reports(raws: Iterable[Raw], order_id: str | None = None) -> Reports[FillReport]:
    """Tell executions, of one order or of whichever each row says.

    Equal rows without an id are numbered, so that the same rows get the same ids in every whole read.
    """
    reports = reports_of(raws, lambda raw: fill_report(raw, order_id))
    return replace(reports, rows=numbered(reports.rows))


def order_report(raw: Raw) -> OrderReport:
    """Tell one order.

    Raises
    ------
    UnexpectedReport
        If it has no id or symbol, or holds what cannot be a number.
    """
    refuse_unreadable(raw)
    kind = _TYPES.get(re.sub(r"[\s_-]", "", lower_word(raw.get("type"))))
    _value(_quantity(raw, "price"), _quantity(raw, "amount"))
    return OrderReport(
        external_id=identifier(raw.get("id"), "id", MAX_ID),
        client_order_id=_optional_identifier(raw.get("clientOrderId"), "clientOrderId"),
        symbol=identifier(raw.get("symbol"), "symbol", MAX_SYMBOL),
        side=_SIDES.get(lower_word(raw.get("side"))),
        type=kind,
        status=_STATUSES.get(lower_word(raw.get("status"))),
        raw_status=shown(raw.get("status")),
        amount=_quantity(raw, "amount"),
        filled=_quantity(raw, "filled"),
        remaining=_remaining(raw),
        # ccxt puts the average price there for a market order, which has no limit price.
        price=None if kind == OrderType.MARKET else _quantity(raw, "price"),
        average=_quantity(raw, "average"),
        cost=_quantity(raw, "cost"),
        fees=_fees(raw),
        created_at=time_of(raw.get("timestamp"), raw.get("datetime")),
        # Not the time of its last trade, which an amendment leaves as it is.
        updated_at=time_of(raw.get("lastUpdateTimestamp"), None),
    )


def most_advanced(orders: Iterable[OrderReport]) -> tuple[OrderReport, ...]:
    """Keep one copy of each order, the one that knows most: a list may tell an older one as well."""
    best: dict[tuple[str, str], OrderReport] = {}
    for order in orders:
        key = order.symbol, order.external_id
        if key not in best or _progress(order) > _progress(best[key]):
            best[key] = order
    return tuple(best.values())


def _progress(order: OrderReport) -> tuple[Decimal, datetime, bool]:
    has_ended = order.status is not None and order.status.is_terminal
    return order.filled or Decimal(0), order.updated_at or EPOCH, has_ended


def fill_report(raw: Raw, order_id: str | None = None) -> FillReport:
    """Tell one execution, of the order `order_id` or of the one that it says.

    Raises
    ------
    UnexpectedReport
        If it belongs to another order, or lacks its symbol, side, price or amount; or if the exchange's own row has
        null in the place of its id or time, which other rows tell.
    """
    refuse_unreadable(raw)
    refuse_emptied(raw)
    told_order = _optional_identifier(raw.get("order"), "order")
    if order_id is not None and told_order not in ("", order_id):
        raise UnexpectedReport(f"expected a fill of order {order_id}, was of another")
    side = _SIDES.get(lower_word(raw.get("side")))
    price, amount = _quantity(raw, "price"), _quantity(raw, "amount")
    if side is None or price is None or not amount:
        raise UnexpectedReport("expected a fill with side, price and amount")
    cost = _quantity(raw, "cost")
    value = _value(price, amount)
    if cost is None:
        cost = value
    fill = FillReport(
        external_id=_optional_identifier(raw.get("id"), "id"),
        order_external_id=told_order if order_id is None else order_id,
        symbol=identifier(raw.get("symbol"), "symbol", MAX_SYMBOL),
        side=side,
        price=price,
        amount=amount,
        cost=cost,
        fees=_fees(raw),
        executed_at=time_of(raw.get("timestamp"), raw.get("datetime")),
    )
    return fill if fill.external_id else replace(fill, external_id=_fill_id(fill))


def balance_reports(raw: Raw, wallet: str = SPOT) -> Reports[BalanceReport]:
    """Tell every asset of a wallet, but those of which the account is known to hold nothing."""
    assets = {key: value for key, value in raw.items() if key not in _NOT_ASSETS}
    named = ({"id": asset, "row": row} for asset, row in assets.items())
    reports = reports_of(named, lambda item: _balance_report(item["id"], item["row"], wallet))
    held = tuple(row for row in reports.rows if not _is_zero(row))
    return Reports(held, reports.problems, reports.refused_ids)


def base_and_quote(symbol: str) -> tuple[str, str]:
    """Split ``BTC/USDT:USDT`` into ``BTC`` and ``USDT``; the quote is empty if there is none."""
    base, _, rest = symbol.partition("/")
    return base, rest.partition(":")[0]


def exact(value: Any) -> Decimal | None:
    """Read a number as it is written, in plain notation; None stays None.

    Raises
    ------
    UnexpectedReport
        If it is no finite number, or has more than `MAX_DIGITS` digits or `MAX_DECIMALS` decimals.
    """
    if value is None or value == "":
        return None
    text = str(value)
    if _USUAL_NUMBER.fullmatch(text):
        return Decimal(text.rstrip("0").rstrip(".") if "." in text else text) or Decimal(0)
    if isinstance(value, bool) or len(text) > _MAX_NUMBER_TEXT or not _NUMBER.fullmatch(text):
        raise UnexpectedReport(f"expected a number, was {text[:40]!r}")
    sign, digits, exponent = Decimal(text).as_tuple()
    if not any(digits) or not isinstance(exponent, int):
        return Decimal(0)
    while digits[-1] == 0 and exponent < 0:
        digits, exponent = digits[:-1], exponent + 1
    decimals = max(0, -exponent)
    if decimals > MAX_DECIMALS or max(0, len(digits) + exponent) + decimals > MAX_DIGITS:
        raise UnexpectedReport(
            f"expected at most {MAX_DIGITS} digits with {MAX_DECIMALS} decimals, was {text[:90]}"
        )
    return Decimal(f"{Decimal((sign, digits, exponent)):f}")


def has_numbers(row: Any) -> bool:
    """Whether the balance `row`, or whatever else it is, holds nothing that is not a number."""
    if not isinstance(row, Mapping):
        return True
    try:
        for name in ("free", "used", "total", "debt"):
            exact(row.get(name))
    except UnexpectedReport:
        return False
    return True


def content_id(*facts: object) -> str:
    """Make the id of a row that has none of its own; `numbered` tells equal ones apart."""
    written = json.dumps([None if fact is None else str(fact) for fact in facts])
    return _CONTENT_MARK + hashlib.sha256(written.encode()).hexdigest()[:32]


def numbered(rows: Iterable[Identified]) -> tuple[Identified, ...]:
    """Give equal rows without an id of their own numbers: the same rows get the same ids in every whole read."""
    seen: Counter[str] = Counter()
    told: list[Identified] = []
    for row in rows:
        seen[row.external_id] += 1
        number = f":{seen[row.external_id]}" if has_made_id(row.external_id) else ""
        told.append(replace(row, external_id=row.external_id + number))
    return tuple(told)


def has_made_id(external_id: str) -> bool:
    """Whether the id is one of `content_id`, since its exchange gave none."""
    return external_id.startswith(_CONTENT_MARK)


def refuse_unreadable(raw: Raw) -> None:
    if UNREADABLE in raw:
        raise UnexpectedReport(str(raw[UNREADABLE]))


def refuse_emptied(raw: Raw) -> None:
    """Leave a row for the next read whose id or time is null: an exchange that tells none does not name it either.

    Without them what is stored of the row could not be found again, nor told from what the baseline holds.
    """
    row = raw.get("info")
    if not isinstance(row, Mapping):
        return
    for name, key in _OWN.items():
        emptied = [field for field, value in row.items() if value is None and key.fullmatch(field)]
        if raw.get(name) is None and emptied:
            raise UnexpectedReport(f"expected {emptied[0]}, was null")


def reports_of(raws: Iterable[Raw], report: Callable[[Raw], T]) -> Reports[T]:
    return sorted_out(told(raw, report) for raw in raws)


def told(raw: Raw, report: Callable[[Raw], T]) -> T | Refused:
    try:
        return report(raw)
    except UnexpectedReport as e:
        return Refused(_name_of(raw), str(e))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as e:
        return Refused(None, f"not a row that can be read ({type(e).__name__})")


def sorted_out(found: Iterable[T | Refused]) -> Reports[T]:
    """Part the rows that could be told from the others, which are named by their place in the list."""
    rows: list[T] = []
    problems: list[str] = []
    refused: list[str | None] = []
    for number, row in enumerate(found, start=1):
        if isinstance(row, Refused):
            problems.append(f"row {number}{f' ({row.name})' if row.name else ''}: {row.why}")
            refused.append(row.name)
        else:
            rows.append(row)
    return Reports(tuple(rows), tuple(problems), tuple(refused))


def _name_of(raw: Raw) -> str | None:
    try:
        return identifier(raw.get("id"), "id", MAX_ID)
    except UnexpectedReport:
        return None


def _balance_report(asset: Any, row: Any, wallet: str) -> BalanceReport:
    if not isinstance(row, Mapping):
        raise UnexpectedReport("expected free, used and total")
    return BalanceReport(
        asset=identifier(asset, "asset", MAX_SYMBOL),
        free=exact(row.get("free")),
        used=exact(row.get("used")),
        total=exact(row.get("total")),
        wallet=wallet,
    )


def _is_zero(row: BalanceReport) -> bool:
    is_whole = row.total is not None or None not in (row.free, row.used)
    return is_whole and not any((row.free, row.used, row.total))


def _number(raw: Raw, name: str) -> Decimal | None:
    try:
        return exact(raw.get(name))
    except UnexpectedReport as e:
        raise UnexpectedReport(f"{name}: {e}") from None


def _quantity(raw: Raw, name: str) -> Decimal | None:
    value = _number(raw, name)
    if value is not None and value < 0:
        raise UnexpectedReport(f"{name}: expected no negative number, was {value}")
    return value


def _value(price: Decimal | None, amount: Decimal | None) -> Decimal:
    """Multiply price and amount; zero if one is not told.

    Raises
    ------
    UnexpectedReport
        If the product has more digits than can be kept: what such an order locks could not be said.
    """
    try:
        return exact(EXACT.multiply(price or Decimal(0), amount or Decimal(0))) or Decimal(0)
    except UnexpectedReport as e:
        raise UnexpectedReport(f"price times amount: {e}") from None


def _remaining(raw: Raw) -> Decimal | None:
    """Read what is still to be filled; ccxt's own sum goes below zero where more was filled than ordered."""
    value = _number(raw, "remaining")
    return None if value is None else max(value, Decimal(0))


def _fees(raw: Raw) -> tuple[FeeReport, ...]:
    """Merge both ways of telling: ccxt repeats a lone fee of `fees` as `fee`; a fee in another asset is another."""
    listed = [fee for fee in raw.get("fees") or () if isinstance(fee, Mapping)]
    sums = fee_sums(listed)
    alone = raw.get("fee")
    if isinstance(alone, Mapping):
        for asset, amount in fee_sums([alone]).items():
            sums.setdefault(asset, amount)
    return tuple(FeeReport(asset, amount) for asset, amount in sums.items())


def fee_sums(fees: Iterable[Raw]) -> dict[str, Decimal]:
    """Add up exactly what is charged of each asset; a fee without amount or asset is left out."""
    sums: dict[str, Decimal] = {}
    for fee in fees:
        amount = exact(fee.get("cost"))
        if amount is None or fee.get("currency") is None:
            continue
        asset = identifier(fee["currency"], "fee asset", MAX_SYMBOL)
        with localcontext(EXACT):
            sums[asset] = sums.get(asset, Decimal(0)) + amount
    return sums


def identifier(value: Any, name: str, limit: int) -> str:
    """Read what `name` says, such as an id; raises UnexpectedReport unless it is short and printable."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not text or len(text) > limit or not text.isprintable():
        raise UnexpectedReport(f"expected {name} of 1 to {limit} printable characters")
    return text


def _optional_identifier(value: Any, name: str) -> str:
    return "" if value in (None, "") else identifier(value, name, MAX_ID)


def _fill_id(fill: FillReport) -> str:
    """Make an id of what never changes: not of the fees, which some exchanges tell later."""
    executed_at = fill.executed_at.isoformat() if fill.executed_at else ""
    return content_id(
        fill.order_external_id, executed_at, fill.side, fill.price, fill.amount, fill.cost
    )


def lower_word(value: Any) -> str:
    """Read a word of the exchange's for a table; empty if it is none."""
    return value.strip().lower() if isinstance(value, str) else ""


def shown(value: Any) -> str:
    """Keep what is printable of an exchange's word, for the eyes of a person."""
    text = "" if value is None else str(value)
    return "".join(char for char in text if char.isprintable())[:MAX_SYMBOL]


def time_of(milliseconds: Any, iso: Any) -> datetime | None:
    """Read a time from milliseconds since 1970 or, without these, from ISO 8601; None if neither can be read."""
    try:
        if milliseconds:
            return EPOCH + timedelta(milliseconds=int(milliseconds))
        moment = datetime.fromisoformat(iso) if iso else None
    except (OverflowError, TypeError, ValueError):
        return None
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
