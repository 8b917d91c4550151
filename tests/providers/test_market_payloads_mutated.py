"""Whatever a market leaves out or garbles becomes unknown or a refused row, never a number that it did not tell."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest

from providers.ccxt_client import HardenedExchange, translated_errors
from providers.errors import OperationalException
from providers.mapping import Reports, balance_reports, fill_reports, order_report, reports_of
from providers.reports import BalanceReport, FillReport, OrderReport
from providers.transport import HttpReply
from tests.providers.market_payloads import MARKETS, Case, Payloads, payloads

ORDER_AMOUNTS = ("amount", "filled", "remaining", "price", "average", "cost")
LONG = "123456789012345678.123456789012345678"
NO_NUMBER: tuple[Any, ...] = ("-1", "x", "NaN", "1e999", "", [], {}, True)

# Where several statements of fees are added up, and one of them may be missing.
FEES_ADD_UP = {"bitstamp", "gate"}
# Where a status may be anything, and the field that holds it.
STATUS_FIELDS = {
    **dict.fromkeys(
        ("binance", "bingx", "bitvavo", "coinbase", "cryptocom", "hitbtc", "kraken", "mexc"),
        "status",
    ),
    **dict.fromkeys(("bitget", "bitstamp", "hyperliquid", "whitebit"), "status"),
    **dict.fromkeys(("bithumb", "htx", "luno", "okx", "poloniex", "upbit"), "state"),
    "bybit": "orderStatus",
    "phemex": "ordStatus",
}

Path = tuple[str | int, ...]
GONE = object()


class Desk:
    """Tells rows of one market through its real class."""

    def __init__(self, market: str) -> None:
        self.payloads: Payloads = payloads(market)
        self.exchange = self.payloads.exchange()

    def order(self, case: Case, raw: Any) -> Reports[OrderReport]:
        symbol = self.exchange.markets[case.report["symbol"]]
        return reports_of([self.exchange.parse_order(deepcopy(raw), symbol)], order_report)

    def fill(self, case: Case, raw: Any) -> Reports[FillReport]:
        symbol = self.exchange.markets[case.report["symbol"]]
        row = self.exchange.parse_trade(deepcopy(raw), symbol)
        return fill_reports([row], case.report["order_external_id"])


@pytest.fixture(params=MARKETS)
def desk(request: pytest.FixtureRequest) -> Desk:
    return Desk(request.param)


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from leaves(inner, (*path, key))
    else:
        yield path


def changed(raw: Any, path: Path, value: Any) -> Any:
    copy = deepcopy(raw)
    holder = copy
    for key in path[:-1]:
        holder = holder[key]
    if value is GONE and isinstance(holder, dict):
        del holder[path[-1]]
    else:
        holder[path[-1]] = None if value is GONE else value
    return copy


def lacking(raw: Any) -> Iterator[tuple[Path, Any]]:
    for path in leaves(raw):
        yield path, changed(raw, path, None)
        yield path, changed(raw, path, GONE)


def invented(told: OrderReport, whole: OrderReport) -> dict[str, Decimal]:
    """Find amounts that only appear, or change, since something else is missing."""
    names = set(ORDER_AMOUNTS)
    if told.type is None:
        names.remove("price")  # of an order at the market it would be what it may spend
    amounts = {name: getattr(told, name) for name in names}
    return {
        name: amount
        for name, amount in amounts.items()
        if amount is not None and amount != getattr(whole, name)
    }


def test_nothing_that_is_missing_in_an_order_is_made_up(desk: Desk) -> None:
    for case in desk.payloads.orders:
        (whole,) = desk.order(case, case.raw).rows
        for path, raw in lacking(case.raw):
            reports = desk.order(case, raw)
            assert len(reports.rows) + len(reports.problems) == 1, path
            for told in reports.rows:
                assert invented(told, whole) == {}, (case.id, path)
                assert told.status in (None, whole.status), (case.id, path)
                assert told.side in (None, whole.side), (case.id, path)


def test_no_fee_appears_since_something_is_missing(desk: Desk) -> None:
    for case in desk.payloads.orders:
        (whole,) = desk.order(case, case.raw).rows
        for path, raw in lacking(case.raw):
            for told in desk.order(case, raw).rows:
                assert {fee.asset for fee in told.fees} <= {fee.asset for fee in whole.fees}, path
                if desk.payloads.market not in FEES_ADD_UP:
                    assert set(told.fees) <= set(whole.fees), (case.id, path)


def test_nothing_that_is_missing_in_a_fill_is_made_up(desk: Desk) -> None:
    for case in desk.payloads.fills:
        (whole,) = desk.fill(case, case.raw).rows
        product = whole.price * whole.amount
        for path, raw in lacking(case.raw):
            reports = desk.fill(case, raw)
            assert len(reports.rows) + len(reports.problems) == 1, path
            for told in reports.rows:
                facts = (told.price, told.amount, told.side)
                assert facts == (whole.price, whole.amount, whole.side), (case.id, path)
                assert told.cost in (whole.cost, product), (case.id, path)
                assert {fee for fee in told.fees if fee.amount} <= set(whole.fees), (case.id, path)


@pytest.mark.parametrize("market", sorted(STATUS_FIELDS))
def test_an_unknown_status_is_none_and_changes_nothing_else(market: str) -> None:
    desk, field = Desk(market), STATUS_FIELDS[market]
    for case in desk.payloads.orders:
        (whole,) = desk.order(case, case.raw).rows
        if field in case.raw:
            (told,) = desk.order(case, {**case.raw, field: "reviewing"}).rows

            assert (told.status, told.raw_status.lower()) == (None, "reviewing")
            assert invented(told, whole) == {}


def test_no_garbled_number_raises_or_becomes_negative(desk: Desk) -> None:
    for case in desk.payloads.orders[:2] + desk.payloads.orders[-2:]:
        for path in leaves(case.raw):
            for value in NO_NUMBER:
                reports = desk.order(case, changed(case.raw, path, value))
                assert len(reports.rows) + len(reports.problems) == 1, (path, value)
                for told in reports.rows:
                    amounts = [getattr(told, name) for name in ORDER_AMOUNTS]
                    assert all(amount is None or amount >= 0 for amount in amounts), (path, value)
    for case in desk.payloads.fills:
        for path in leaves(case.raw):
            for value in NO_NUMBER:
                fills = desk.fill(case, changed(case.raw, path, value))
                assert len(fills.rows) + len(fills.problems) == 1, (path, value)
                assert all(min(row.price, row.amount, row.cost) >= 0 for row in fills.rows)


def test_thirty_six_digits_are_kept_or_refused_but_never_rounded(desk: Desk) -> None:
    long, kept = Decimal(LONG), 0
    for case in desk.payloads.orders:
        for path in leaves(case.raw):
            for told in desk.order(case, changed(case.raw, path, LONG)).rows:
                amounts = {getattr(told, name) for name in ("amount", "filled", "price", "cost")}
                near = {a for a in amounts if a is not None and 0 < abs(a - long) < Decimal("1e-9")}
                assert near == set(), (case.id, path)
                kept += long in amounts
    # Scaled integers of phemex have no decimals.
    assert kept or desk.payloads.market == "phemex"


def test_numbers_without_quotes_are_the_same_numbers(desk: Desk) -> None:
    tellers: list[tuple[list[Case], Callable[[Case, Any], Reports[Any]]]] = [
        (desk.payloads.orders, desk.order),
        (desk.payloads.fills, desk.fill),
    ]
    for cases, tell in tellers:
        for case in cases:
            text = re.sub(r'(: |, |\[)"(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?)"', r"\1\2", _json(case))
            assert tell(case, HardenedExchange.on_json_response(text)) == tell(case, case.raw)


def test_a_row_that_cannot_be_read_costs_no_other(desk: Desk) -> None:
    good, other = desk.payloads.open[:2]
    broken = changed(good.raw, next(iter(leaves(good.raw))), {})
    shapeless: Any = {key: [{}] * 40 for key in good.raw}
    symbol = desk.exchange.markets[good.report["symbol"]]

    rows = [
        desk.exchange.parse_order(deepcopy(raw), symbol)
        for raw in (good.raw, shapeless, broken, other.raw)
    ]

    ids = [report.external_id for report in reports_of(rows, order_report).rows]
    assert ids[0] == good.id
    assert ids[-1] == other.id


class Replying:
    """Stands in for the transport: answers each path with a document."""

    headers: dict[str, str] = {}

    def __init__(self, bodies: dict[str, Any]) -> None:
        self.bodies = bodies

    def get(self, url: Any, **sent: Any) -> Replying:
        document = self.bodies[url.path]
        kind = document.get("by") if isinstance(document, dict) else None
        self.body = _json(document[json.loads(sent["data"])[kind]] if kind else document)
        return self

    post = get

    async def __aenter__(self) -> HttpReply:
        return HttpReply(200, "OK", {}, self.body.encode())

    async def __aexit__(self, *_: object) -> None:
        return None


def balances(desk: Desk, bodies: dict[str, Any]) -> Reports[BalanceReport]:
    exchange = desk.payloads.exchange(with_keys=True)
    exchange.session = Replying(bodies)
    with translated_errors(desk.payloads.market):
        return balance_reports(asyncio.run(exchange.fetch_balance()))


def test_nothing_that_is_missing_in_a_balance_is_made_up(desk: Desk) -> None:
    path, document = desk.payloads.balance_answer
    others = {
        other: answer for other, answer in desk.payloads.routes.items() if "$" not in str(answer)
    }
    for where, lacks in lacking(document):
        if where[0] == "by":
            continue  # says how these payloads are to be read
        try:
            reports = balances(desk, {**others, path: lacks})
        except OperationalException:
            continue
        gone = set(desk.payloads.balances) - {told.asset for told in reports.rows}
        assert not gone or reports.problems, where
        for told in reports.rows:
            whole = desk.payloads.balances.get(told.asset)
            if whole is None:
                assert {told.free, told.used, told.total} == {None}, where
                continue
            assert told.free in (None, whole.free), where
            assert told.used in (None, whole.used), where
            assert told.total in (None, whole.total), where


def _json(value: Any) -> str:
    return json.dumps(value.raw if isinstance(value, Case) else value)
