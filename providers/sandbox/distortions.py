"""What an answer looks like that is well-formed and not the truth, or tells it strangely.

They work on the rows of an answer, which the dialect's `Table` tells how to find. A number keeps its value: it is only
written in another way.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import parse_qsl

from aiohttp import hdrs, web

from providers.sandbox.dialect import Dialect, DistortionKind, Request
from providers.sandbox.faults import Fault, body_of
from providers.sandbox.tables import Listing, Table

JSON = Any
DIGITS: Final = 36
# What differs from one request to the next though the same is asked, and what turns the page.
UNSTEADY: Final = frozenset({"timestamp", "signature", "recvWindow", "nonce"})
PAGING: Final = frozenset(
    {"offset", "ofs", "fromId", "orderId", "startTime", "endTime", "start", "end"}
)
NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")
# A string that is written without its quotes in the end.
BARE: Final = "bare number "
TROUBLE: Final = "Timeout waiting for response from backend server."


@dataclass(slots=True)
class Row:
    """A row; `key` is empty unless the rows are an object by id."""

    value: Any
    key: str = ""


@dataclass(slots=True)
class Distorted:
    """One answer while it is distorted.

    Parameters
    ----------
    rows : list of Row
        In the order of the answer.
    earlier : Mapping or None
        The answer to the page before, if this is a next page.
    """

    dialect: Dialect
    table: Table
    request: Request
    original: web.Response
    payload: JSON
    earlier: JSON = None
    rows: list[Row] = field(init=False)
    denied: web.Response | None = field(default=None, init=False)
    _is_changed: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.rows = self._rows_of(self.payload)

    @property
    def is_object(self) -> bool:
        return isinstance(self._container(self.payload), Mapping) and not self._is_bare

    @property
    def _is_bare(self) -> bool:
        """Whether the answer is a row itself."""
        return self.table.is_single and bool(self.table.id)

    def concerns(self, kind: DistortionKind) -> bool:
        return self.table.listing in CONCERNS[kind] and self.denied is None

    def apply(self, fault: Fault) -> bool:
        """Distort; tell whether there was anything to distort."""
        is_changed = DISTORTIONS[DistortionKind(fault.kind)](self, fault)
        self._is_changed = self._is_changed or is_changed
        return is_changed

    def response(self) -> web.Response:
        if not self._is_changed:
            return self.original
        response = self.denied or web.Response(
            text=_written(self._with_rows()), content_type="application/json"
        )
        for name, value in self.original.headers.items():
            if name not in (hdrs.CONTENT_TYPE, hdrs.CONTENT_LENGTH):
                response.headers[name] = value
        return response

    def id_of(self, row: Row) -> str:
        return row.key or str(row.value.get(self.table.id))

    def answer_of_before(self, fault: Fault) -> web.Response:
        return self.dialect.answer(replace(self.request, age=fault.age))

    def rows_of_before(self, fault: Fault) -> list[Row]:
        return self._rows_of(json.loads(body_of(self.answer_of_before(fault))))

    def show(self, payload: JSON) -> bool:
        """Put another answer in the place of this one; tell whether it differs."""
        is_other = bool(payload != self.payload)
        self.payload, self.rows = payload, self._rows_of(payload)
        return is_other

    def _rows_of(self, payload: JSON) -> list[Row]:
        container = self._container(payload)
        if self._is_bare:
            return [Row(container)] if isinstance(container, Mapping) else []
        if isinstance(container, Mapping):
            return [Row(value, key) for key, value in container.items()]
        return [Row(value) for value in container or ()]

    def _container(self, payload: JSON) -> Any:
        for key in self.table.place:
            payload = payload.get(key) if isinstance(payload, Mapping) else None
        return payload

    def _with_rows(self) -> JSON:
        if self._container(self.payload) is None:
            return self.payload
        if self._is_bare:
            return self.rows[0].value
        rows: Any = [row.value for row in self.rows]
        if self.is_object:
            rows = {row.key: row.value for row in self.rows}
        return _replaced(self.payload, self.table.place, rows)


class Distorter:
    """Makes answers ready to be distorted; knows the last page of each list that an account has read."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._pages: dict[tuple[str, ...], tuple[frozenset[tuple[str, str]], JSON]] = {}

    def begin(self, table: Table, request: Request, response: web.Response) -> Distorted:
        payload = json.loads(body_of(response))
        earlier = None if table.is_single else self._turn(request, payload)
        return Distorted(self._dialect, table, request, response, payload, earlier)

    def _turn(self, request: Request, payload: JSON) -> JSON:
        params = {*parse_qsl(request.query), *parse_qsl(request.body)}
        page = frozenset(x for x in params if x[0] in PAGING)
        steady = sorted(f"{k}={v}" for k, v in params if k not in PAGING | UNSTEADY)
        place = (self._dialect.account_of(request), request.path, *steady)
        last_page, last = self._pages.get(place, (page, None))
        self._pages[place] = (page, payload)
        return None if page == last_page else last


def _replaced(payload: JSON, place: tuple[str, ...], rows: JSON) -> JSON:
    if not place:
        return rows
    return {**payload, place[0]: _replaced(payload[place[0]], place[1:], rows)}


def _written(payload: JSON) -> str:
    return re.sub(f'"{BARE}([^"]*)"', r"\1", json.dumps(payload))


# Rows


def _shorten(shown: Distorted, fault: Fault) -> bool:
    kept = [row for row in shown.rows if fault.random.random() < 1 / 2]
    is_shorter = len(kept) < len(shown.rows)
    if shown.rows and not is_shorter:
        kept.pop(fault.random.randrange(len(kept)))
    is_shorter, shown.rows = bool(shown.rows), kept
    return is_shorter


def _empty(shown: Distorted, fault: Fault) -> bool:
    was_filled, shown.rows = bool(shown.rows), []
    return was_filled


def _halve(shown: Distorted, fault: Fault) -> bool:
    held = [row for row in shown.rows if shown.table.holds(row.value)]
    gone = fault.random.sample(held, (len(held) + 1) // 2)
    shown.rows = [row for row in shown.rows if all(row is not x for x in gone)]
    return bool(gone)


def _repeat_row(shown: Distorted, fault: Fault) -> bool:
    if shown.is_object or not shown.rows:
        return False
    row = fault.random.choice(shown.rows)
    shown.rows.insert(fault.random.randint(0, len(shown.rows)), row)
    return True


def _reorder(shown: Distorted, fault: Fault) -> bool:
    before = [*shown.rows]
    fault.random.shuffle(shown.rows)
    return any(row is not other for row, other in zip(shown.rows, before, strict=True))


def _add_older_copy(shown: Distorted, fault: Fault) -> bool:
    if shown.is_object:
        return False
    before = {shown.id_of(row): row for row in shown.rows_of_before(fault)}
    changed = [
        (place, before[shown.id_of(row)])
        for place, row in enumerate(shown.rows)
        if shown.id_of(row) in before and before[shown.id_of(row)].value != row.value
    ]
    if not changed:
        return False
    place, older = fault.random.choice(changed)
    shown.rows.insert(place + fault.random.randint(0, 1), older)
    return True


def _repeat_page(shown: Distorted, fault: Fault) -> bool:
    return shown.earlier is not None and shown.show(shown.earlier)


def _show_stale_page(shown: Distorted, fault: Fault) -> bool:
    response = shown.answer_of_before(fault)
    if response.status != shown.original.status:
        shown.denied = response
        return True
    return shown.show(json.loads(body_of(response)))


# Fields


def _drop_fields(shown: Distorted, names: tuple[str, ...]) -> bool:
    has_dropped = False
    for row in shown.rows:
        kept = {name: value for name, value in row.value.items() if name not in names}
        has_dropped = has_dropped or len(kept) < len(row.value)
        row.value = kept
    return has_dropped


def _drop_fee(shown: Distorted, fault: Fault) -> bool:
    return _drop_fields(shown, shown.table.fee)


def _drop_trade_id(shown: Distorted, fault: Fault) -> bool:
    return _drop_fields(shown, (shown.table.id,))


def _change_words(
    shown: Distorted, field_name: str, change: Callable[[str], Any], rows: list[Row]
) -> bool:
    has_changed = False
    for row in rows:
        if field_name in row.value:
            word = change(row.value[field_name])
            has_changed = has_changed or word != row.value[field_name]
            row.value = row.value | {field_name: word}
    return has_changed


def _say_unknown_status(shown: Distorted, fault: Fault) -> bool:
    rows = [fault.random.choice(shown.rows)] if shown.rows else []
    return _change_words(shown, shown.table.status, lambda _: shown.table.unknown_status, rows)


def _say_canceled(shown: Distorted, fault: Fault) -> bool:
    table = shown.table
    return _change_words(
        shown,
        table.status,
        lambda word: table.canceled if word == table.rejected else word,
        shown.rows,
    )


def _drop_filled(shown: Distorted, fault: Fault) -> bool:
    table, has_dropped = shown.table, False
    for row in shown.rows:
        if table.filled in row.value and row.value.get(table.status) == table.closed:
            row.value = {k: v for k, v in row.value.items() if k != table.filled}
            has_dropped = True
    return has_dropped


def _change_numbers(shown: Distorted, change: Callable[[str], str]) -> bool:
    has_changed = False
    for row in shown.rows:
        for name in shown.table.numbers:
            value = row.value.get(name)
            if isinstance(value, str) and NUMBER.fullmatch(value):
                row.value = row.value | {name: change(value)}
                has_changed = True
    return has_changed


def _lengthen_numbers(shown: Distorted, fault: Fault) -> bool:
    return _change_numbers(shown, _lengthened)


def _lengthened(number: str) -> str:
    whole, _, decimals = number.partition(".")
    return f"{whole}.{decimals.ljust(DIGITS - len(whole.lstrip('-')), '0')}"


def _unquote_numbers(shown: Distorted, fault: Fault) -> bool:
    return _change_numbers(shown, lambda number: f"{BARE}{number}")


def _set_null(shown: Distorted, fault: Fault) -> bool:
    if fault.name:
        return _set_all_null(shown, fault.name)
    rows = [row for row in shown.rows if row.value]
    if not rows:
        return False
    row = fault.random.choice(rows)
    name = fault.random.choice(sorted(row.value))
    row.value = row.value | {name: None}
    return True


def _set_all_null(shown: Distorted, name: str) -> bool:
    rows = [row for row in shown.rows if name in row.value]
    for row in rows:
        row.value = row.value | {name: None}
    return bool(rows)


# Single orders


def _deny(shown: Distorted, fault: Fault) -> bool:
    shown.denied = shown.dialect.denial()
    return True


def _deny_in_trouble(shown: Distorted, fault: Fault) -> bool:
    shown.denied = shown.dialect.denial(TROUBLE)
    return True


def _hide_orders(shown: Distorted, fault: Fault) -> bool:
    """Hide half of all orders, the same ones in every answer while it lasts."""
    kept = [
        row
        for row in shown.rows
        if zlib.crc32(f"{fault.seed}:{shown.id_of(row)}".encode()) % 2 == 0
    ]
    if len(kept) == len(shown.rows):
        return False
    if shown.table.is_single:
        return _deny(shown, fault)
    shown.rows = kept
    return True


ORDERS: Final = frozenset({Listing.OPEN_ORDERS, Listing.ORDERS})
WITH_SINGLE: Final = ORDERS | {Listing.ORDER}
LISTS: Final = ORDERS | {Listing.FILLS, Listing.FLOWS}
EVERYTHING: Final = frozenset(Listing)
DISTORTIONS: Final[dict[DistortionKind, Callable[[Distorted, Fault], bool]]] = {
    DistortionKind.SHORTENED: _shorten,
    DistortionKind.EMPTY_LIST: _empty,
    DistortionKind.EMPTY_BALANCES: _empty,
    DistortionKind.HALF_OF_BALANCES: _halve,
    DistortionKind.ROW_TWICE: _repeat_row,
    DistortionKind.REORDERED: _reorder,
    DistortionKind.OLDER_COPY: _add_older_copy,
    DistortionKind.PAGE_REPEATED: _repeat_page,
    DistortionKind.STALE_PAGE: _show_stale_page,
    DistortionKind.NO_FEE: _drop_fee,
    DistortionKind.NO_TRADE_ID: _drop_trade_id,
    DistortionKind.UNKNOWN_STATUS: _say_unknown_status,
    DistortionKind.NO_FILLED: _drop_filled,
    DistortionKind.LONG_NUMBER: _lengthen_numbers,
    DistortionKind.JSON_NUMBER: _unquote_numbers,
    DistortionKind.NULL_FIELD: _set_null,
    DistortionKind.ORDER_DENIED: _deny,
    DistortionKind.TROUBLE_AS_DENIAL: _deny_in_trouble,
    DistortionKind.ORDER_VANISHES: _hide_orders,
    DistortionKind.REJECTED_AS_CANCELED: _say_canceled,
}
CONCERNS: Final[dict[DistortionKind, frozenset[Listing]]] = {
    DistortionKind.SHORTENED: LISTS,
    DistortionKind.EMPTY_LIST: LISTS,
    DistortionKind.EMPTY_BALANCES: frozenset({Listing.BALANCES}),
    DistortionKind.HALF_OF_BALANCES: frozenset({Listing.BALANCES}),
    DistortionKind.ROW_TWICE: LISTS,
    DistortionKind.REORDERED: EVERYTHING - {Listing.ORDER},
    DistortionKind.OLDER_COPY: ORDERS,
    DistortionKind.PAGE_REPEATED: LISTS,
    DistortionKind.STALE_PAGE: EVERYTHING,
    DistortionKind.NO_FEE: frozenset({Listing.FILLS}),
    DistortionKind.NO_TRADE_ID: frozenset({Listing.FILLS}),
    DistortionKind.UNKNOWN_STATUS: WITH_SINGLE | {Listing.FLOWS},
    DistortionKind.NO_FILLED: WITH_SINGLE,
    DistortionKind.LONG_NUMBER: EVERYTHING,
    DistortionKind.JSON_NUMBER: EVERYTHING,
    DistortionKind.NULL_FIELD: EVERYTHING,
    DistortionKind.ORDER_DENIED: frozenset({Listing.ORDER}),
    DistortionKind.TROUBLE_AS_DENIAL: frozenset({Listing.ORDER}),
    DistortionKind.ORDER_VANISHES: WITH_SINGLE,
    DistortionKind.REJECTED_AS_CANCELED: WITH_SINGLE,
}
