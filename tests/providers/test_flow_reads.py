"""Deposits, withdrawals and ledgers are read window by window and page by page, over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import pytest

from providers import catalogue
from providers.ccxt_client import HardenedExchange, make_exchange
from providers.credentials import Credentials
from providers.errors import CapabilityMissing, ExchangeUnavailable, UnexpectedReport
from providers.readings import Reading
from providers.reports import FeeReport, FlowKind, FlowReport, FlowSource, FlowStatus
from providers.sandbox.engine import Engine
from providers.sandbox.kraken import Kraken
from providers.sandbox.kraken_names import shown_secret
from providers.sandbox.server import SandboxServer
from tests.providers.flow_payloads import run_reads
from tests.providers.sandbox.exchange import INSTRUMENTS
from tests.providers.stub_exchange import Received, Route, StubExchange, json_answer

D = Decimal
KEY, SECRET = "practice-key", "practice-secret"
DEPOSITS = "/sapi/v1/capital/deposit/hisrec"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
MILLISECOND = timedelta(milliseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Rows = Callable[[dict[str, str]], list[Any]]


def read(
    market: str,
    routes: dict[str, Route],
    source: FlowSource,
    *,
    since: datetime = NOON - DAY,
    until: datetime = NOON,
) -> tuple[Reading, list[dict[str, str]]]:
    """Read a market's list from scripted answers, and tell what was asked for."""
    holder = without_symbols(market)
    modes = {"enableUnifiedMargin": False, "enableUnifiedAccount": True, "uta": False}
    holder.options.update({**modes, "unifiedMarginStatus": 6})
    credentials = Credentials({"apiKey": "k", "secret": "c2VjcmV0", "password": "p"})
    with StubExchange(routes) as stub:
        reading = run_reads(
            stub.url,
            market,
            lambda reads: reads.read(source, since, until),
            holder=holder,
            credentials=credentials,
        )
        return reading, [asked(received) for received in stub.received]


def without_symbols(market: str) -> HardenedExchange:
    holder = make_exchange(catalogue.market(market), None, Credentials())
    holder.set_markets([], {})
    return holder


def asked(received: Received) -> dict[str, str]:
    sent = {name: values[0] for name, values in parse_qs(received.body).items()}
    return {**received.query, **sent}


def page_of(rows: Rows) -> Route:
    return lambda received: json_answer(rows(asked(received)))


def deposit(number: int, at: datetime = NOON, **changes: Any) -> dict[str, Any]:
    at_ms = (at - EPOCH) // MILLISECOND
    row = {"id": str(number), "amount": "1", "coin": "BTC", "status": 1, "insertTime": at_ms}
    return {**row, **changes}


def ids(reading: Reading) -> list[str]:
    return [row.external_id for row in reading.rows if isinstance(row, FlowReport)]


def sources(market: str) -> tuple[FlowSource, ...]:
    async def answer(reads: Any) -> tuple[FlowSource, ...]:
        found: tuple[FlowSource, ...] = reads.sources()
        return found

    return run_reads("http://127.0.0.1:9", market, answer, holder=without_symbols(market))


# Which lists there are


@pytest.mark.parametrize(
    ("market", "expected"),
    [
        ("binance", (FlowSource.DEPOSITS, FlowSource.WITHDRAWALS)),
        ("cryptocom", (FlowSource.DEPOSITS, FlowSource.WITHDRAWALS)),
        ("kraken", (FlowSource.LEDGER,)),
        ("myokx", (FlowSource.LEDGER,)),
        ("luno", ()),
        ("hitbtc", ()),  # money arrives in a wallet that does not trade
    ],
)
def test_one_movement_is_read_from_one_list_only(
    market: str, expected: tuple[FlowSource, ...]
) -> None:
    assert sources(market) == expected


@pytest.mark.parametrize(
    ("market", "source"), [("binance", FlowSource.DEPOSITS), ("kraken", FlowSource.LEDGER)]
)
def test_a_site_without_the_list_is_told_from_one_that_failed(
    market: str, source: FlowSource
) -> None:
    with pytest.raises(CapabilityMissing, match="at this site"):
        read(market, {}, source)


def test_a_site_without_the_list_is_asked_once() -> None:
    with StubExchange({}) as stub:
        with pytest.raises(CapabilityMissing):
            run_reads(
                stub.url,
                "binance",
                lambda reads: reads.read(FlowSource.DEPOSITS, NOON - DAY, NOON),
                holder=without_symbols("binance"),
                credentials=Credentials({"apiKey": KEY, "secret": SECRET}),
            )
        assert stub.paths() == [DEPOSITS]


def test_a_market_without_the_list_is_not_asked_for_it() -> None:
    with pytest.raises(CapabilityMissing, match="does not support functionality get_deposits"):
        read("luno", {}, FlowSource.DEPOSITS)


# Windows


def test_a_long_time_is_read_in_windows_without_a_gap() -> None:
    since = NOON - 200 * DAY

    reading, requests = read(
        "binance", {DEPOSITS: json_answer([])}, FlowSource.DEPOSITS, since=since
    )

    spans = [(int(sent["startTime"]), int(sent["endTime"])) for sent in requests]
    assert [(end - start) // 86_400_000 for start, end in spans] == [90, 90, 20]
    assert [end for _, end in spans[:-1]] == [start for start, _ in spans[1:]]
    assert (reading.since, reading.until) == (since, NOON)


def test_what_happened_at_the_border_of_two_windows_is_told_once() -> None:
    twin = deposit(0, NOON - 90 * DAY, txId="one transaction")
    del twin["id"]
    twins = [twin, twin]

    reading, requests = read(
        "binance",
        {DEPOSITS: json_answer(twins)},
        FlowSource.DEPOSITS,
        since=NOON - 180 * DAY,
    )

    assert len(requests) == 2
    assert [id_.rpartition(":")[2] for id_ in ids(reading)] == ["1", "2"]
    assert len({id_.rpartition(":")[0] for id_ in ids(reading)}) == 1


def test_a_read_that_breaks_off_tells_the_end_of_its_last_whole_window() -> None:
    windows: list[str] = []

    def answer(received: Received) -> Any:
        start = received.query["startTime"]
        if start not in windows:
            windows.append(start)
        number = windows.index(start)
        failed = json_answer({"code": -1003, "msg": "Too many requests"}, 429)
        return failed if number == 2 else json_answer([deposit(number)])

    since = NOON - 200 * DAY
    reading, _ = read("binance", {DEPOSITS: answer}, FlowSource.DEPOSITS, since=since)

    assert ids(reading) == ["0", "1"]
    assert (reading.since, reading.until) == (since, since + 180 * DAY)
    assert getattr(reading.error, "category", "") == "rate"


def test_a_read_that_brings_nothing_fails() -> None:
    with pytest.raises(ExchangeUnavailable):
        read("binance", {DEPOSITS: json_answer({}, 503)}, FlowSource.DEPOSITS)


# Pages


def test_binance_is_paged_by_offset() -> None:
    def rows(sent: dict[str, str]) -> list[Any]:
        first = int(sent.get("offset", 0))
        return [deposit(number) for number in range(first, min(first + 1000, 2003))]

    reading, requests = read("binance", {DEPOSITS: page_of(rows)}, FlowSource.DEPOSITS)

    assert [sent.get("offset") for sent in requests] == [None, "1000", "2000"]
    assert len(set(ids(reading))) == 2003
    assert reading.pages == 3


def test_okx_is_paged_below_the_oldest_bill() -> None:
    def rows(received: Received) -> Any:
        newest = int(received.query.get("after", 1150)) - 1
        bills = [
            {"billId": str(id_), "ccy": "BTC", "balChg": "1", "type": "1", "ts": "1772366400000"}
            for id_ in range(newest, max(newest - 100, 999), -1)
        ]
        return json_answer({"code": "0", "data": bills})

    reading, requests = read("okx", {"/api/v5/account/bills-archive": rows}, FlowSource.LEDGER)

    assert [sent.get("after") for sent in requests] == [None, "1050"]
    assert len(set(ids(reading))) == 150


def test_bybit_is_paged_by_its_cursor() -> None:
    def rows(received: Received) -> Any:
        is_first = "cursor" not in received.query
        log = [
            {
                "id": f"{is_first}-{number}",
                "currency": "BTC",
                "change": "1",
                "type": "TRANSFER_IN",
                "transactionTime": "1772366400000",
            }
            for number in range(50 if is_first else 7)
        ]
        cursor = "to-the-next" if is_first else "to-nothing"
        return json_answer({"retCode": 0, "result": {"list": log, "nextPageCursor": cursor}})

    reading, requests = read("bybit", {"/v5/account/transaction-log": rows}, FlowSource.LEDGER)

    assert [sent.get("cursor") for sent in requests] == [None, "to-the-next"]
    assert len(set(ids(reading))) == 57


def test_bitstamp_is_read_back_to_the_time_that_was_asked_for() -> None:
    def rows(sent: dict[str, str]) -> list[Any]:
        hours = range(int(sent.get("offset", 0)), int(sent.get("offset", 0)) + 1000)
        dates = ((hour, NOON - timedelta(minutes=hour)) for hour in hours)
        return [
            {"id": hour, "type": "0", "btc": "0.5", "fee": "0", "datetime": f"{at:%Y-%m-%d %X}"}
            for hour, at in dates
        ]

    reading, requests = read(
        "bitstamp", {"/api/v2/user_transactions/": page_of(rows)}, FlowSource.LEDGER
    )

    assert [sent.get("offset") for sent in requests] == [None, "1000"]
    assert ids(reading) == [str(minutes) for minutes in range(24 * 60 + 1)]
    assert reading.why_incomplete == ""


def test_htx_is_read_from_its_first_row_on() -> None:
    def rows(received: Received) -> Any:
        first = max(1, int(received.query["from"]))
        data = [
            {"id": number, "currency": "btc", "amount": "1", "state": "safe", "created-at": at}
            for number in range(first, min(first + 100, 251))
            for at in [(NOON - (250 - number) * DAY - EPOCH) // MILLISECOND]
        ]
        return json_answer({"status": "ok", "data": data})

    reading, requests = read("htx", {"/v1/query/deposit-withdraw": rows}, FlowSource.DEPOSITS)

    assert [sent["from"] for sent in requests] == ["0", "100", "199"]
    assert ids(reading) == ["249", "250"]


def test_a_full_page_that_leads_nowhere_covers_nothing() -> None:
    def rows(received: Received) -> Any:
        data = [
            {"id": str(number), "currency": "BTC", "amount": "1", "status": "1", "fee": "0"}
            | {"create_time": (NOON - EPOCH) // MILLISECOND}
            for number in range(50)
        ]
        return json_answer({"code": 0, "result": {"deposit_list": data}})

    path = "/exchange/v1/private/get-deposit-history"
    reading, _ = read("cryptocom", {path: rows}, FlowSource.DEPOSITS)

    assert len(ids(reading)) == 50
    assert "page 1 is full with 50 rows" in reading.why_incomplete
    assert (reading.since, reading.until) == (None, None)


# Rows that cannot be told


@pytest.mark.parametrize(
    ("market", "path", "document"),
    [
        ("binance", DEPOSITS, {"rows": []}),
        ("mexc", "/api/v3/capital/deposit/hisrec", {"rows": []}),
        ("htx", "/v1/query/deposit-withdraw", {"status": "ok", "data": None}),
        ("bitget", "/api/v2/spot/account/bills", {"code": "00000", "data": {"rows": []}}),
        ("bitvavo", "/v2/account/history", {"page": 1}),
        ("bybit", "/v5/account/transaction-log", {"retCode": 0, "result": {"rows": []}}),
        ("gate", "/api/v4/spot/account_book", {"rows": []}),
        ("kraken", "/0/private/Ledgers", {"error": [], "result": {"count": 0}}),
        ("kucoin", "/api/v1/accounts/ledgers", {"code": "200000", "data": {"totalNum": 0}}),
        ("okx", "/api/v5/account/bills-archive", {"code": "0", "data": None}),
    ],
)
def test_an_answer_without_its_documented_rows_is_never_an_empty_list(
    market: str, path: str, document: Any
) -> None:
    source = sources(market)[0]

    with pytest.raises(UnexpectedReport, match="is not what is documented"):
        read(market, {path: json_answer(document)}, source)


def test_rows_that_a_parser_breaks_on_cost_no_other() -> None:
    rows = [
        {"id": "1", "currency": "BTC", "change": "1", "type": "deposit", "time": 1772366400000},
        {"id": "2", "currency": "BTC", "change": "1", "type": "deposit"},
    ]

    reading, _ = read("gate", {"/api/v4/spot/account_book": json_answer(rows)}, FlowSource.LEDGER)

    assert ids(reading) == ["1"]
    assert "(2): TypeError in its parser" in reading.why_incomplete
    assert reading.until is None


def test_a_malformed_row_costs_no_other_but_the_time_is_not_covered() -> None:
    rows = [deposit(1), deposit(2, amount="lots"), deposit(3)]

    reading, _ = read("binance", {DEPOSITS: json_answer(rows)}, FlowSource.DEPOSITS)

    assert ids(reading) == ["1", "3"]
    assert len(reading.problems) == 1
    assert reading.until is None


def test_rows_without_an_id_are_not_told_of_a_time_that_was_not_read_whole() -> None:
    twin = deposit(0, id=None)

    reading, _ = read(
        "binance", {DEPOSITS: json_answer([deposit(1), *[twin] * 999])}, FlowSource.DEPOSITS
    )

    assert "leads to no other" in reading.why_incomplete
    assert ids(reading) == ["1"]


# Over the practice exchange


@pytest.fixture
def engine() -> Engine:
    engine = Engine(INSTRUMENTS, clock=lambda: NOON)
    engine.add_account(KEY, SECRET)
    engine.deposit(KEY, "BTC", "1.234567890123456789")
    return engine


def practice(server: SandboxServer, market: str, source: FlowSource) -> list[FlowReport]:
    """Read a list of the account that the practice exchange holds."""
    shown = {"binance": SECRET, "kraken": shown_secret(SECRET)}
    reading = run_reads(
        server.url,
        market,
        lambda reads: reads.read(source, NOON - DAY, NOON + DAY),
        credentials=Credentials({"apiKey": KEY, "secret": shown[market]}),
    )
    assert (reading.why_incomplete, reading.until) == ("", NOON + DAY)
    return [row for row in reading.rows if isinstance(row, FlowReport)]


def facts(row: FlowReport) -> tuple[object, ...]:
    return row.kind, row.asset, row.amount, row.status


def test_deposits_are_told_with_their_state(engine: Engine) -> None:
    engine.announce_deposit(KEY, "ETH", "2")
    engine.fail_deposit(KEY, engine.announce_deposit(KEY, "BNB", "3").id)

    with SandboxServer(engine) as server:
        rows = practice(server, "binance", FlowSource.DEPOSITS)

    assert {facts(row) for row in rows} == {
        (FlowKind.DEPOSIT, "BTC", D("1.234567890123456789"), FlowStatus.DONE),
        (FlowKind.DEPOSIT, "ETH", D(2), FlowStatus.PENDING),
        (FlowKind.DEPOSIT, "BNB", D(3), FlowStatus.FAILED),
    }


def test_a_withdrawal_goes_out_with_its_fee_on_top(engine: Engine) -> None:
    done, failed, _ = (
        engine.withdraw(KEY, "BTC", amount, "0.001") for amount in (".1", ".2", ".3")
    )
    engine.complete_withdrawal(KEY, done.id)
    engine.fail_withdrawal(KEY, failed.id)

    with SandboxServer(engine) as server:
        rows = practice(server, "binance", FlowSource.WITHDRAWALS)

    assert {(row.amount, row.status) for row in rows} == {
        (D("-0.1"), FlowStatus.DONE),
        (D("-0.2"), FlowStatus.FAILED),
        (D("-0.3"), FlowStatus.PENDING),
    }
    assert {row.fees for row in rows} == {(FeeReport("BTC", D("0.001")),)}
    assert all((row.settled_at is not None) is (row.status is FlowStatus.DONE) for row in rows)


def test_rewards_and_both_ways_of_transfers_have_lists_of_their_own(engine: Engine) -> None:
    engine.reward(KEY, "BNB", "0.25")
    engine.transfer(KEY, "BTC", "0.3", target="funding")
    engine.transfer(KEY, "BTC", "0.1", source="funding", target="spot")

    with SandboxServer(engine) as server:
        rewards = practice(server, "binance", FlowSource.REWARDS)
        transfers = practice(server, "binance", FlowSource.TRANSFERS)

    assert [facts(row) for row in rewards] == [(FlowKind.REWARD, "BNB", D("0.25"), FlowStatus.DONE)]
    assert {facts(row) for row in transfers} == {
        (FlowKind.TRANSFER, "BTC", D("-0.3"), FlowStatus.DONE),
        (FlowKind.TRANSFER, "BTC", D("0.1"), FlowStatus.DONE),
    }


def test_a_time_of_more_rewards_than_one_page_holds_is_read_in_parts(engine: Engine) -> None:
    hands = [NOON]
    engine.clock = lambda: hands[0]
    for number in range(1, 502):
        hands[0] += timedelta(minutes=1)
        engine.reward(KEY, "BNB", number)
    hands[0] = NOON

    with SandboxServer(engine) as server:
        rows = practice(server, "binance", FlowSource.REWARDS)

    assert sorted(row.amount for row in rows) == [*map(D, range(1, 502))]


def test_a_ledger_tells_everything_but_trades(engine: Engine) -> None:
    engine.deposit(KEY, "USDT", "90000")
    engine.fill_order(engine.buy(KEY, "BTC/USDT", "0.5", "80000").id)
    engine.complete_withdrawal(KEY, engine.withdraw(KEY, "BTC", "0.1", "0.001").id)
    engine.reward(KEY, "BNB", "0.25")
    engine.convert(KEY, ("USDT", "100"), ("ETH", "0.03"))

    with SandboxServer(engine, dialect=Kraken(engine)) as server:
        rows = practice(server, "kraken", FlowSource.LEDGER)

    assert {facts(row)[:3] for row in rows} == {
        (FlowKind.DEPOSIT, "BTC", D("1.234567890123456789")),
        (FlowKind.DEPOSIT, "USDT", D(90_000)),
        (FlowKind.WITHDRAWAL, "BTC", D("-0.1")),
        (FlowKind.REWARD, "BNB", D("0.25")),
        (FlowKind.CONVERSION, "USDT", D(-100)),
        (FlowKind.CONVERSION, "ETH", D("0.03")),
    }


def test_kraken_is_paged_by_offset(engine: Engine) -> None:
    for number in range(1, 121):
        engine.deposit(KEY, "EUR", number)

    with SandboxServer(engine, dialect=Kraken(engine)) as server:
        rows = practice(server, "kraken", FlowSource.LEDGER)

    assert sorted(row.amount for row in rows if row.asset == "EUR") == [*map(D, range(1, 121))]
