"""What is different about kraken, okx and bybit, and about markets that can do less."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs

import pytest

from providers import catalogue
from providers.credentials import Credentials
from providers.reports import (
    BalanceReport,
    Depth,
    FillReport,
    KnownOrder,
    Leg,
    LegKind,
    LegStatus,
    OrderReport,
    OrderStatus,
    Snapshot,
)
from tests.providers.accounts import (
    PRACTICE,
    fetch,
    leg_of,
    legs_of,
    make_known,
    make_provider,
    make_request,
)
from tests.providers.stub_exchange import (
    BYBIT,
    GATE,
    KRAKEN,
    OKX,
    Answer,
    Received,
    Route,
    StubExchange,
    bybit_order,
    json_answer,
    okx_order,
)

CREDENTIALS = {
    "kraken": Credentials({"apiKey": "k", "secret": "c2VjcmV0"}),
    "okx": Credentials({"apiKey": "k", "secret": "s", "password": "p"}),
    "bybit": PRACTICE,
    "gate": PRACTICE,
}
ROUTES = {"kraken": KRAKEN, "okx": OKX, "bybit": BYBIT, "gate": GATE}
OPEN_ORDERS = {
    "kraken": "/0/private/OpenOrders",
    "okx": "/api/v5/trade/orders-pending",
    "bybit": "/v5/order/realtime",
}
BALANCES = {
    "kraken": "/0/private/BalanceEx",
    "okx": "/api/v5/account/balance",
    "bybit": "/v5/account/wallet-balance",
}


def sync(market: str, routes: dict[str, Route], **facts: Any) -> tuple[Snapshot, StubExchange]:
    with StubExchange({**ROUTES[market], **routes}) as stub:
        request = make_request(
            stub.url, **{"market": market, "credentials": CREDENTIALS[market], **facts}
        )
        return fetch(make_provider(), request), stub


def okx_pages(count: int) -> Route:
    """Serve `count` open orders, newest first, in pages as okx does."""
    newest_first = [okx_order(number) for number in reversed(range(count))]

    def page(received: Received) -> Answer:
        before = int(received.query.get("after", 10**18))
        limit = int(received.query["limit"])
        rows = [row for row in newest_first if int(row["ordId"]) < before][:limit]
        return json_answer({"code": "0", "data": rows})

    return page


def bybit_pages(count: int) -> Route:
    orders = [bybit_order(number) for number in range(count)]

    def page(received: Received) -> Answer:
        start, limit = int(received.query.get("cursor", 0)), int(received.query["limit"])
        rows = orders[start : start + limit]
        result = {"category": "spot", "list": rows, "nextPageCursor": str(start + len(rows))}
        return json_answer({"retCode": 0, "result": result})

    return page


@pytest.mark.parametrize("market", ["kraken", "okx", "bybit"])
def test_an_account_is_read(market: str) -> None:
    snapshot, _ = sync(market, {})

    held = BalanceReport("BTC", Decimal(1), Decimal("0.5"), Decimal("1.5"))
    assert snapshot.error is None
    assert leg_of(snapshot, LegKind.OPEN_ORDERS).complete
    assert leg_of(snapshot, LegKind.BALANCES).rows == (held,)


@pytest.mark.parametrize("market", ["kraken", "okx", "bybit"])
@pytest.mark.parametrize("paths", [OPEN_ORDERS, BALANCES])
@pytest.mark.parametrize(
    "body", [b"", b"<html>maintenance</html>", b"null", b'{"data": [', b"{}", b"[]", b'"x"', b"7"]
)
def test_a_broken_200_is_never_an_empty_account(
    market: str, paths: dict[str, str], body: bytes
) -> None:
    snapshot, _ = sync(market, {paths[market]: Answer(body)})

    failed = [leg for leg in snapshot.legs if leg.status is LegStatus.FAILED]
    assert len(failed) == 1
    assert failed[0].error is not None
    assert failed[0].error.category == "parse"
    assert failed[0].rows == ()


@pytest.mark.parametrize(
    ("market", "document"),
    [
        ("kraken", {"error": [], "result": None}),
        ("okx", {"code": "0", "data": None}),
        ("okx", {"code": "0", "data": {}}),
        ("bybit", {"retCode": 0, "result": {}}),
        ("bybit", {"retCode": 0, "result": {"list": None}}),
    ],
)
def test_an_answer_without_its_documented_keys_is_never_an_empty_account(
    market: str, document: Any
) -> None:
    snapshot, _ = sync(market, {BALANCES[market]: json_answer(document)})

    assert leg_of(snapshot, LegKind.BALANCES).status is LegStatus.FAILED


@pytest.mark.parametrize("count", [0, 99, 100, 101, 250])
def test_okx_is_read_to_the_last_page(count: int) -> None:
    snapshot, _ = sync("okx", {OPEN_ORDERS["okx"]: okx_pages(count)})

    leg = leg_of(snapshot, LegKind.OPEN_ORDERS)
    assert leg.complete
    assert leg.pages == count // 100 + 1
    ids = [row.external_id for row in leg.rows if isinstance(row, OrderReport)]
    assert sorted(ids) == [str(10_000 + number) for number in range(count)]


@pytest.mark.parametrize("count", [0, 49, 50, 120])
def test_bybit_is_read_to_the_last_page(count: int) -> None:
    snapshot, _ = sync("bybit", {OPEN_ORDERS["bybit"]: bybit_pages(count)})

    leg = leg_of(snapshot, LegKind.OPEN_ORDERS)
    assert leg.complete
    assert len(leg.rows) == count
    assert leg.pages == count // 50 + 1


def test_a_page_that_comes_again_is_no_end_of_the_list() -> None:
    same = json_answer({"code": "0", "data": [okx_order(number) for number in range(100)]})

    snapshot, _ = sync("okx", {OPEN_ORDERS["okx"]: same}, known_orders=(make_known("7"),))

    leg = leg_of(snapshot, LegKind.OPEN_ORDERS)
    assert (leg.status, leg.complete, len(leg.rows)) == (LegStatus.OBSERVED, False, 100)
    assert "page 2 is full" in leg.why_incomplete
    # What is not in half a list has not left it.
    assert legs_of(snapshot, LegKind.ORDER) == []


def test_a_page_that_fails_fails_the_list() -> None:
    pages = okx_pages(150)

    def second_fails(received: Received) -> Answer:
        assert callable(pages)
        return Answer(b"", 502) if "after" in received.query else pages(received)

    snapshot, _ = sync("okx", {OPEN_ORDERS["okx"]: second_fails})

    leg = leg_of(snapshot, LegKind.OPEN_ORDERS)
    assert (leg.status, leg.rows) == (LegStatus.FAILED, ())


def test_one_bad_row_costs_no_other_and_is_told() -> None:
    rows = [okx_order(1), okx_order(2, sz="NaN"), okx_order(3, px="1" * 80), okx_order(4)]

    snapshot, _ = sync(
        "okx",
        {OPEN_ORDERS["okx"]: json_answer({"code": "0", "data": rows})},
        known_orders=tuple(make_known(10_000 + number) for number in range(1, 5)),
    )

    leg = leg_of(snapshot, LegKind.OPEN_ORDERS)
    assert [row.external_id for row in leg.rows if isinstance(row, OrderReport)] == [
        "10001",
        "10004",
    ]
    assert (leg.status, leg.complete) == (LegStatus.OBSERVED, False)
    assert leg.error is not None
    assert leg.error.category == "parse"
    assert "(10002): ValueError in its parser" in leg.why_incomplete
    # The bad rows are open orders all the same: they have not left.
    assert legs_of(snapshot, LegKind.ORDER) == []


def test_bybit_learns_once_what_kind_of_account_it_reads(tmp_path: Any) -> None:
    with StubExchange(BYBIT) as stub:
        request = make_request(stub.url, market="bybit")
        snapshots = [fetch(make_provider(cache_dir=tmp_path), request) for _ in range(2)]

    assert [snapshot.http_requests for snapshot in snapshots] == [1 + 2 + 2, 2]


def kept_kinds(folder: Path, *facts: dict[str, Any]) -> set[str]:
    """Read a bybit account for each of `facts`; return the files that keep what kind of account it is."""
    with StubExchange(BYBIT) as stub:
        for each in facts:
            request = make_request(stub.url, market="bybit", **each)
            fetch(make_provider(cache_dir=folder), request)
    return {path.name for path in folder.glob("mode-*")}


def test_no_secret_is_in_the_name_of_what_is_kept_of_an_account(tmp_path: Path) -> None:
    other = Credentials({"apiKey": "other-key", "secret": "other-secret"})

    assert len(kept_kinds(tmp_path, {}, {"credentials": other})) == 1


def test_each_account_of_a_market_has_its_kind_kept_whatever_its_label(tmp_path: Path) -> None:
    assert len(kept_kinds(tmp_path, {"account": "../a"}, {"account": "ä" * 100})) == 2


def test_a_kind_of_account_that_cannot_be_learned_is_not_guessed() -> None:
    # ccxt takes a gate account for an ordinary one if it cannot ask.
    broken: dict[str, Route] = {"/api/v4/account/detail": Answer(b"", 503)}

    snapshot, stub = sync("gate", broken)
    sound, _ = sync("gate", {})

    assert {leg.status for leg in snapshot.legs} == {LegStatus.FAILED}
    assert stub.paths().count("/api/v4/account/detail") == 2 * 3
    assert {leg.status for leg in sound.legs} == {LegStatus.OBSERVED}


def test_bybit_is_asked_for_spot_orders() -> None:
    _, stub = sync("bybit", {})

    queries = [r.query for r in stub.received if r.path == OPEN_ORDERS["bybit"]]
    assert [query["category"] for query in queries] == ["spot"]


# O24
def test_of_an_order_that_is_listed_twice_the_copy_that_knows_most_stays() -> None:
    newer, older = okx_order(1, accFillSz="0.004", uTime="1790000009000"), okx_order(1)

    for rows in ([newer, older], [older, newer]):
        answer = json_answer({"code": "0", "data": rows})
        (report,) = leg_of(sync("okx", {OPEN_ORDERS["okx"]: answer})[0], LegKind.OPEN_ORDERS).rows
        assert isinstance(report, OrderReport)
        assert report.filled == Decimal("0.004")


# F02, F34
@pytest.mark.parametrize("text", ["EOrder:Invalid order", "EOrder:Unknown order"])
def test_kraken_has_its_own_words_for_an_unknown_order(text: str) -> None:
    answer = json_answer({"error": [text]})

    snapshot, _ = sync(
        "kraken",
        {"/0/private/QueryOrders": answer},
        known_orders=(make_known("OABCDE-12345-ABCDEF", "BTC/USD"),),
    )

    leg = leg_of(snapshot, LegKind.ORDER)
    assert leg.error is not None
    assert leg.error.category == "not_found"


def kraken_trade(number: int, order: str) -> dict[str, str]:
    return {
        "ordertxid": order,
        "pair": "XXBTZUSD",
        "time": f"{1_790_000_000 + number}.5",
        "type": "buy",
        "ordertype": "limit",
        "price": "50000.1",
        "cost": "500.001",
        "fee": "0.8",
        "vol": "0.01",
    }


def kraken_trades(order: str, of_order: int, others: int) -> Route:
    """Serve trades of two orders, newest first, 50 a page."""
    trades = [kraken_trade(n, order) for n in range(of_order)]
    trades += [kraken_trade(of_order + n, "OOTHER") for n in range(others)]
    trades.reverse()

    def page(received: Received) -> Answer:
        start = int(parse_qs(received.body).get("ofs", ["0"])[0])
        rows = {f"T{start + n}": row for n, row in enumerate(trades[start : start + 50])}
        return json_answer({"error": [], "result": {"trades": rows, "count": len(trades)}})

    return page


def sync_kraken_fills(filled: str, of_order: int, others: int) -> Leg:
    order = {
        "status": "open",
        "descr": {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "50000.1"},
        "vol": "5",
        "vol_exec": filled,
        "cost": "1",
        "fee": "0",
        "opentm": "1789999999.5",
    }
    snapshot, _ = sync(
        "kraken",
        {
            OPEN_ORDERS["kraken"]: json_answer({"error": [], "result": {"open": {"OMINE": order}}}),
            "/0/private/TradesHistory": kraken_trades("OMINE", of_order, others),
        },
        known_orders=(make_known("OMINE", "BTC/USD"),),
    )
    return leg_of(snapshot, LegKind.FILLS)


def test_fills_are_read_until_they_add_up() -> None:
    leg = sync_kraken_fills("0.6", of_order=60, others=70)

    fills = [row for row in leg.rows if isinstance(row, FillReport)]
    assert leg.complete
    assert len(fills) == 60
    assert {fill.order_external_id for fill in fills} == {"OMINE"}
    assert leg.pages == 3
    assert fills[0].fees[0].asset == "USD"


def test_fills_that_do_not_add_up_are_not_all() -> None:
    leg = sync_kraken_fills("0.7", of_order=60, others=0)

    assert (leg.status, leg.complete) == (LegStatus.OBSERVED, False)
    assert leg.why_incomplete == "the fills add up to 0.60 of 0.7"


@pytest.fixture
def lesser_kraken(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let the catalogue tell less of kraken than there is; returns what to leave out or change."""
    facts: dict[str, Any] = {"without": (), "by_symbol": False}
    full = catalogue.market("kraken")

    def lesser(market_id: str) -> catalogue.Market:
        has = {**full.capabilities, **dict.fromkeys(facts["without"], False)}
        return replace(
            full,
            capabilities=MappingProxyType(has),
            open_orders_need_symbol=facts["by_symbol"],
        )

    monkeypatch.setattr(catalogue, "market", lesser)
    return facts


# F37
@pytest.mark.parametrize(
    ("capability", "kind", "functionality"),
    [
        ("fetchBalance", LegKind.BALANCES, "get_balance"),
        ("fetchOpenOrders", LegKind.OPEN_ORDERS, "get_open_orders"),
    ],
)
def test_what_a_market_cannot_do_is_no_failure(
    lesser_kraken: dict[str, Any], capability: str, kind: LegKind, functionality: str
) -> None:
    lesser_kraken["without"] = (capability,)

    snapshot, _ = sync("kraken", {})

    leg = leg_of(snapshot, kind)
    message = f"Market service kraken does not support functionality {functionality}"
    assert (leg.status, leg.complete) == (LegStatus.UNSUPPORTED, False)
    assert leg.why_incomplete == message


# F37
def test_without_a_read_of_one_order_the_lists_are_searched(lesser_kraken: dict[str, Any]) -> None:
    lesser_kraken["without"] = ("fetchOrder",)
    closed = {
        "status": "canceled",
        "descr": {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "50000.1"},
        "vol": "5",
        "vol_exec": "0",
        "opentm": "1790000000.5",
    }
    lists = json_answer({"error": [], "result": {"closed": {"OMINE": closed}, "count": 1}})

    snapshot, _ = sync(
        "kraken",
        {"/0/private/ClosedOrders": lists},
        known_orders=(make_known("OMINE", "BTC/USD"), make_known("OGONE", "BTC/USD")),
    )

    found, gone = legs_of(snapshot, LegKind.ORDER)
    assert isinstance(found.rows[0], OrderReport)
    assert found.rows[0].status is OrderStatus.CANCELED
    assert gone.status is LegStatus.UNSUPPORTED
    assert "OGONE is not among the latest" in gone.why_incomplete


# F37
def test_without_any_read_of_orders_it_says_so(lesser_kraken: dict[str, Any]) -> None:
    lesser_kraken["without"] = ("fetchOrder", "fetchClosedOrders")

    snapshot, _ = sync("kraken", {}, known_orders=(make_known("OMINE", "BTC/USD"),))

    leg = leg_of(snapshot, LegKind.ORDER)
    assert leg.status is LegStatus.UNSUPPORTED
    assert leg.why_incomplete.endswith("does not support functionality get_order")


# F38
def test_open_orders_that_are_listed_by_symbol_are_read_for_each(
    lesser_kraken: dict[str, Any],
) -> None:
    lesser_kraken["by_symbol"] = True

    snapshot, _ = sync(
        "kraken", {}, symbols=("BTC/USD",), known_orders=(make_known("OMINE", "ETH/USD"),)
    )

    legs = legs_of(snapshot, LegKind.OPEN_ORDERS)
    assert [(leg.subject, leg.status) for leg in legs] == [
        ("BTC/USD", LegStatus.OBSERVED),
        ("ETH/USD", LegStatus.UNSUPPORTED),
        ("*", LegStatus.SKIPPED),
    ]
    assert legs[-1].why_incomplete == "other symbols than BTC/USD, ETH/USD are not covered"


def test_orders_by_symbol_without_a_symbol_are_not_read(lesser_kraken: dict[str, Any]) -> None:
    lesser_kraken["by_symbol"] = True

    leg = leg_of(sync("kraken", {})[0], LegKind.OPEN_ORDERS)

    assert (leg.status, leg.complete) == (LegStatus.SKIPPED, False)
    assert "by symbol" in leg.why_incomplete


def test_a_fill_that_cannot_be_told_keeps_the_cursor_but_not_the_other_fills() -> None:
    trades = {"T1": kraken_trade(1, "OMINE"), "T2": {**kraken_trade(2, "OMINE"), "price": "abc"}}
    answer = json_answer({"error": [], "result": {"trades": trades, "count": 2}})
    since = datetime.fromtimestamp(1_790_000_000, UTC)

    snapshot, _ = sync(
        "kraken", {"/0/private/TradesHistory": answer}, depth=Depth.FULL, facts_since=since
    )

    leg = leg_of(snapshot, LegKind.ACCOUNT_FILLS)
    assert [row.external_id for row in leg.rows if isinstance(row, FillReport)] == ["T1"]
    assert (leg.status, leg.complete, leg.until) == (LegStatus.OBSERVED, False, None)
    assert leg.error is not None
    assert "price" in leg.error.message


def test_fills_older_than_an_exchange_tells_are_a_hole() -> None:
    fills = json_answer({"code": "0", "data": []})
    since = datetime.now(UTC) - timedelta(days=200)

    snapshot, _ = sync(
        "okx", {"/api/v5/trade/fills-history": fills}, depth=Depth.FULL, facts_since=since
    )

    leg = leg_of(snapshot, LegKind.ACCOUNT_FILLS)
    assert leg.since is not None
    assert leg.until is not None
    assert leg.until - leg.since == timedelta(days=90)
    assert leg.why_incomplete.startswith("the exchange tells no fills before")


def test_a_closed_order_without_a_filled_amount_is_not_called_filled() -> None:
    row = {**okx_order(1, state="filled"), "accFillSz": ""}

    snapshot, _ = sync(
        "okx",
        {"/api/v5/trade/order": json_answer({"code": "0", "data": [row]})},
        known_orders=(make_known("10001"),),
    )

    report = leg_of(snapshot, LegKind.ORDER).rows[0]
    assert isinstance(report, OrderReport)
    assert (report.status, report.filled, report.cost) == (OrderStatus.CLOSED, None, None)


def test_another_order_than_asked_for_is_refused() -> None:
    other = json_answer({"code": "0", "data": [okx_order(2)]})

    snapshot, _ = sync("okx", {"/api/v5/trade/order": other}, known_orders=(make_known("10001"),))

    leg = leg_of(snapshot, LegKind.ORDER)
    assert leg.error is not None
    assert "was asked for order 10001 and answered with 10002" in leg.error.message


def _listing(requests: list[str], new: list[str]) -> dict[str, Any]:
    """Answer with the symbols of `new` besides the usual ones, and note each question for them in `requests`."""

    def instruments(_: Received) -> Answer:
        requests.append("instruments")
        document = json.loads(OKX["/api/v5/public/instruments"].body)  # type: ignore[union-attr]
        listed = [
            {"instType": "SPOT", "instId": f"{base}-USDT", "baseCcy": base, "quoteCcy": "USDT"}
            for base in new
        ]
        return json_answer({**document, "data": document["data"] + listed})

    return {**OKX, "/api/v5/public/instruments": instruments}


def test_orders_of_two_symbols_may_share_an_id() -> None:
    rows = [okx_order(1), okx_order(1, instId="ETH-USDT")]

    orders = json_answer({"code": "0", "data": rows})

    snapshot, _ = sync("okx", {**_listing([], ["ETH"]), OPEN_ORDERS["okx"]: orders})

    listed = leg_of(snapshot, LegKind.OPEN_ORDERS).rows
    symbols = {row.symbol for row in listed if isinstance(row, OrderReport)}
    assert symbols == {"BTC/USDT", "ETH/USDT"}


def test_of_two_orders_of_one_id_the_one_that_left_is_asked_for_by_its_symbol_too() -> None:
    def answer(received: Received) -> Answer:
        ended = okx_order(1, instId=received.query["instId"], state="canceled")
        return json_answer({"code": "0", "data": [ended]})

    listed = json_answer({"code": "0", "data": [okx_order(1, instId="ETH-USDT")]})
    known = (make_known("10001"), make_known("10001", "ETH/USDT"))

    snapshot, _ = sync(
        "okx",
        {
            **_listing([], ["ETH"]),
            OPEN_ORDERS["okx"]: listed,
            "/api/v5/trade/order": answer,
        },
        known_orders=known,
    )

    leg = leg_of(snapshot, LegKind.ORDER)
    assert leg.subject == "10001 BTC/USDT"
    [report] = leg.rows
    assert isinstance(report, OrderReport)
    assert (report.symbol, report.status) == ("BTC/USDT", OrderStatus.CANCELED)


def _open_order(symbol_id: str) -> Answer:
    return json_answer({"code": "0", "data": [okx_order(1, instId=symbol_id)]})


def test_a_new_symbol_of_the_books_is_learned_before_its_order_is_asked_for() -> None:
    new: list[str] = []
    provider = make_provider()
    with StubExchange(_listing([], new)) as stub:
        request = make_request(stub.url, market="okx", credentials=CREDENTIALS["okx"])
        fetch(provider, request)
        new.append("NEW")
        ended = okx_order(1, instId="NEW-USDT", state="filled")
        stub.routes["/api/v5/trade/order"] = json_answer({"code": "0", "data": [ended]})
        known = KnownOrder("10001", "NEW/USDT", Decimal(0))
        leg = leg_of(fetch(provider, replace(request, known_orders=(known,))), LegKind.ORDER)

    assert [row.symbol for row in leg.rows if isinstance(row, OrderReport)] == ["NEW/USDT"]


def test_a_symbol_that_the_market_does_not_list_is_looked_for_once() -> None:
    asked: list[str] = []
    provider = make_provider()
    with StubExchange(_listing(asked, [])) as stub:
        stub.routes[OPEN_ORDERS["okx"]] = _open_order("GONE-USDT")
        request = make_request(stub.url, market="okx", credentials=CREDENTIALS["okx"])
        fetch(provider, request)
        before = len(asked)
        fetch(provider, request)

    assert (before, len(asked)) == (2, 2)


def test_one_bad_balance_costs_no_other_asset() -> None:
    details = [
        {"ccy": "BTC", "eq": "1.5", "availBal": "1", "frozenBal": "0.5"},
        {"ccy": "BAD", "eq": "NaN", "availBal": "1", "frozenBal": "x"},
    ]
    document = {"code": "0", "data": [{"details": details}]}

    snapshot, _ = sync("okx", {BALANCES["okx"]: json_answer(document)})

    leg = leg_of(snapshot, LegKind.BALANCES)
    assert [row.asset for row in leg.rows if isinstance(row, BalanceReport)] == ["BTC"]
    assert (leg.status, leg.complete) == (LegStatus.OBSERVED, False)
    assert "BAD" in leg.why_incomplete
