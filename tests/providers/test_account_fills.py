"""The fills of a whole account since its cursors, over the practice exchange."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from providers.ccxt_provider import CCXTPortfolioProvider
from providers.credentials import Credentials
from providers.reports import (
    Cursor,
    Depth,
    FillReport,
    Leg,
    LegKind,
    LegStatus,
    OrderReport,
    Snapshot,
)
from providers.sandbox.books import Instrument
from providers.sandbox.engine import Engine
from providers.sandbox.faults import DistortionKind, Fault, FaultKind
from providers.sandbox.kraken import Kraken
from providers.sandbox.kraken_names import TRADE, shown_secret, txid
from providers.sandbox.server import SandboxServer
from tests.providers.accounts import (
    fetch,
    leg_of,
    legs_of,
    make_provider,
    make_request,
)

KEY = "practice-key"
SECRET = "practice-secret"
BTC, ETH, BNB = "BTC/USDT", "ETH/USDT", "BNB/USDT"
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class Clock:
    """The real time, or so much before."""

    def __init__(self) -> None:
        self.behind = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) - self.behind


@dataclass(slots=True)
class LateFault(Fault):
    """Happens from the request after the first `after` on."""

    after: int = 0

    def happens(self, path: str, api_key: str, now: datetime) -> bool:
        return Fault.happens(self, path, api_key, now) and self.happened > self.after


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(clock: Clock) -> Engine:
    bases = ("BTC", "ETH", "BNB", "ADA", "DOT", "SOL", "XRP")
    step = Decimal("0.00001")
    instruments = [Instrument(f"{x}/USDT", step, step, Decimal(100)) for x in bases]
    engine = Engine(instruments, clock=clock)
    engine.add_account(KEY, SECRET)
    engine.deposit(KEY, "USDT", "5000000")
    return engine


@pytest.fixture
def exchange(engine: Engine) -> Iterator[SandboxServer]:
    with SandboxServer(engine) as server:
        yield server


@pytest.fixture
def kraken(engine: Engine) -> Iterator[SandboxServer]:
    with SandboxServer(engine, dialect=Kraken(engine)) as server:
        yield server


@pytest.fixture
def provider() -> CCXTPortfolioProvider:
    return make_provider()


def sync(
    provider: CCXTPortfolioProvider, exchange: SandboxServer, *symbols: str, **facts: Any
) -> Snapshot:
    facts = {
        "symbols": symbols,
        "depth": Depth.FULL,
        "facts_since": datetime.now(UTC) - HOUR,
        **facts,
    }
    return fetch(provider, make_request(exchange.url, **facts))


def sync_kraken(provider: CCXTPortfolioProvider, exchange: SandboxServer, **facts: Any) -> Snapshot:
    credentials = Credentials({"apiKey": KEY, "secret": shown_secret(SECRET)})
    return sync(provider, exchange, market="kraken", credentials=credentials, **facts)


def trade(engine: Engine, count: int = 1, symbol: str = BTC) -> list[str]:
    order = engine.buy(KEY, symbol, "100", "1")
    return [engine.fill_order(order.id, "0.01", "1").id for _ in range(count)]


def fill_ids(*legs: Leg) -> list[str]:
    rows = (row for leg in legs for row in leg.rows)
    return sorted((row.external_id for row in rows if isinstance(row, FillReport)), key=int)


def fill_legs(snapshot: Snapshot) -> dict[str, Leg]:
    legs = legs_of(snapshot, LegKind.ACCOUNT_FILLS)
    return {leg.subject: leg for leg in legs if leg.subject != "*"}


# F04
def test_many_pages_of_fills_are_read_whole(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    made = trade(exchange.engine, 2350)

    leg = fill_legs(sync(provider, exchange, BTC))[BTC]

    assert fill_ids(leg) == made
    assert (leg.complete, leg.pages) == (True, 3)


# F05
def test_a_page_may_end_among_fills_of_one_millisecond(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    made = trade(exchange.engine, 998)
    with exchange.engine.standing_still():
        made += trade(exchange.engine, 4)

    leg = fill_legs(sync(provider, exchange, BTC))[BTC]

    assert (fill_ids(leg), leg.complete) == (made, True)


# F05
def test_more_fills_of_one_millisecond_than_a_page_has_are_read_by_id(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    with exchange.engine.standing_still():
        made = trade(exchange.engine, 1003)

    leg = fill_legs(sync(provider, exchange, BTC))[BTC]

    assert (fill_ids(leg), leg.complete) == (made, True)


# F06
def test_of_a_newest_first_list_a_first_page_alone_counts_for_nothing(
    provider: CCXTPortfolioProvider, kraken: SandboxServer
) -> None:
    made = trade(kraken.engine, 120)
    kraken.faults.append(LateFault(FaultKind.UNAVAILABLE, path="TradesHistory", after=1))

    broken = leg_of(sync_kraken(provider, kraken), LegKind.ACCOUNT_FILLS)
    kraken.faults.clear()
    whole = leg_of(sync_kraken(provider, kraken), LegKind.ACCOUNT_FILLS)

    assert (broken.status, broken.rows, broken.until) == (LegStatus.FAILED, (), None)
    assert (whole.complete, whole.until is None, whole.pages) == (True, False, 3)
    told = {row.external_id for row in whole.rows if isinstance(row, FillReport)}
    assert told == {txid(TRADE, number) for number in made}


# F07
def test_every_day_of_a_downtime_is_read(
    provider: CCXTPortfolioProvider, exchange: SandboxServer, clock: Clock
) -> None:
    made = []
    for days in (4.9, 4, 3, 1.5, 0):
        clock.behind = days * DAY
        made += trade(exchange.engine)
    since = datetime.now(UTC) - 5 * DAY
    cursor = Cursor(LegKind.ACCOUNT_FILLS, BTC, since)

    snapshot = sync(provider, exchange, BTC, facts_since=since - DAY, cursors=(cursor,))

    leg = fill_legs(snapshot)[BTC]
    assert (fill_ids(leg), leg.complete, leg.pages) == (made, True, 6)
    assert leg.since == since - timedelta(seconds=300)
    assert leg.until is not None
    assert leg.until <= leg.responded_at


# F08
def test_of_seven_symbols_those_read_before_a_rate_limit_stay(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    symbols = sorted(x.symbol for x in exchange.engine.instruments())
    for symbol in symbols:
        trade(exchange.engine, symbol=symbol)
    exchange.faults.append(
        LateFault(FaultKind.RATE_LIMITED, path="myTrades", retry_after=60, after=3)
    )

    legs = fill_legs(sync(provider, exchange, *symbols))

    read = [symbol for symbol, leg in legs.items() if leg.until is not None]
    assert read == symbols[:3]
    assert [len(legs[symbol].rows) for symbol in symbols] == [1, 1, 1, 0, 0, 0, 0]
    assert [legs[symbol].status for symbol in symbols[3:]] == [
        LegStatus.FAILED,
        *[LegStatus.SKIPPED] * 3,
    ]


# X06
def test_a_rate_limit_between_windows_keeps_those_before_it(
    provider: CCXTPortfolioProvider, exchange: SandboxServer, clock: Clock
) -> None:
    made = []
    for days in (3.9, 2.9, 1.9, 0.9):
        clock.behind = days * DAY
        made += trade(exchange.engine)
    clock.behind = timedelta(0)
    since = datetime.now(UTC) - 4 * DAY
    limit = LateFault(FaultKind.RATE_LIMITED, path="myTrades", retry_after=60, after=2)
    exchange.faults.append(limit)

    broken = fill_legs(sync(provider, exchange, BTC, facts_since=since))[BTC]
    exchange.faults.clear()
    assert broken.until is not None
    cursor = Cursor(LegKind.ACCOUNT_FILLS, BTC, broken.until)
    rest = fill_legs(sync(provider, exchange, BTC, facts_since=since, cursors=(cursor,)))[BTC]

    assert (broken.status, broken.complete) == (LegStatus.OBSERVED, False)
    assert broken.error is not None
    assert broken.error.category == "rate"
    assert since + DAY < broken.until < since + 2 * DAY
    assert rest.since is not None
    assert rest.since < broken.until
    assert sorted({*fill_ids(broken), *fill_ids(rest)}, key=int) == made


# X06
def test_a_rate_limit_between_windows_ends_the_reads_of_the_account(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    limit = LateFault(FaultKind.RATE_LIMITED, path="myTrades", retry_after=60, after=1)
    exchange.faults.append(limit)

    snapshot = sync(provider, exchange, BTC, ETH, facts_since=datetime.now(UTC) - 2 * DAY)

    statuses = {subject: leg.status for subject, leg in fill_legs(snapshot).items()}
    assert statuses == {BTC: LegStatus.OBSERVED, ETH: LegStatus.SKIPPED}


def test_symbols_that_are_not_read_are_shown(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    hole = legs_of(sync(provider, exchange, BTC, ETH), LegKind.ACCOUNT_FILLS)[-1]

    assert (hole.subject, hole.status) == ("*", LegStatus.SKIPPED)
    assert hole.why_incomplete == "other symbols than BTC/USDT, ETH/USDT are not covered"


def test_pairs_of_what_is_held_are_read(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    exchange.engine.deposit(KEY, "ETH", "1")

    snapshot = sync(provider, exchange, assets=("BNB",))

    assert list(fill_legs(snapshot)) == [BNB, ETH]


def test_kraken_tells_the_fills_of_all_symbols_at_once(
    provider: CCXTPortfolioProvider, kraken: SandboxServer
) -> None:
    trade(kraken.engine, symbol=BTC)
    trade(kraken.engine, symbol=ETH)

    leg = leg_of(sync_kraken(provider, kraken), LegKind.ACCOUNT_FILLS)

    assert (leg.subject, leg.complete) == ("", True)
    assert {row.symbol for row in leg.rows if isinstance(row, FillReport)} == {BTC, ETH}


def test_a_trade_with_oneself_is_two_fills(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    exchange.engine.deposit(KEY, "BTC", "10")
    buy = exchange.engine.buy(KEY, BTC, "1", "100")
    sell = exchange.engine.sell(KEY, BTC, "1", "100")
    exchange.engine.self_trade(buy.id, sell.id, "1")

    rows = fill_legs(sync(provider, exchange, BTC))[BTC].rows

    fills = [row for row in rows if isinstance(row, FillReport)]
    assert len({fill.external_id for fill in fills}) == 1
    assert {fill.order_external_id for fill in fills} == {buy.id, sell.id}


def test_twins_without_an_id_stay_two_and_keep_their_names(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    exchange.faults.append(Fault(DistortionKind.NO_TRADE_ID))
    with exchange.engine.standing_still():
        trade(exchange.engine, 2)

    first = fill_legs(sync(provider, exchange, BTC))[BTC]
    second = fill_legs(sync(provider, exchange, BTC))[BTC]

    assert len({row.external_id for row in first.rows if isinstance(row, FillReport)}) == 2
    assert first.rows == second.rows


def test_an_order_that_turns_up_by_its_fill_is_read(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    known, unknown = (exchange.engine.buy(KEY, BTC, "1", "100") for _ in range(2))
    for order in (known, unknown):
        exchange.engine.fill_order(order.id)

    snapshot = sync(provider, exchange, BTC, known_order_ids=frozenset({known.id}))

    (report,) = leg_of(snapshot, LegKind.ORDER).rows
    assert isinstance(report, OrderReport)
    assert report.external_id == unknown.id


def test_an_order_that_turns_up_by_its_fill_and_is_denied_is_not_searched(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    order = exchange.engine.buy(KEY, BTC, "1", "100")
    exchange.engine.fill_order(order.id)
    exchange.engine.forget_order(order.id)

    snapshot = sync(provider, exchange, BTC)

    leg = leg_of(snapshot, LegKind.ORDER)
    assert leg.error is not None
    assert leg.error.category == "not_found"
    assert not legs_of(snapshot, LegKind.ENDED_ORDERS)


def test_of_many_orders_that_turn_up_fifty_are_read_and_the_rest_is_told(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    for _ in range(53):
        trade(exchange.engine)
    for order in exchange.engine.open_orders(KEY):
        exchange.engine.cancel_order(order.id)

    legs = legs_of(sync(provider, exchange, BTC), LegKind.ORDER)

    assert [leg.status for leg in legs] == [LegStatus.OBSERVED] * 50 + [LegStatus.SKIPPED]
    assert legs[-1].why_incomplete == "3 more orders turned up by their fills"


def test_no_fills_of_the_account_are_read_at_the_first_look(
    provider: CCXTPortfolioProvider, exchange: SandboxServer
) -> None:
    trade(exchange.engine)

    snapshot = sync(provider, exchange, BTC, facts_since=None)

    assert not legs_of(snapshot, LegKind.ACCOUNT_FILLS)
    assert snapshot.http_requests == snapshot.symbol_requests + 2


def test_an_overlap_before_the_cursor_is_read_again(
    provider: CCXTPortfolioProvider, exchange: SandboxServer, clock: Clock
) -> None:
    clock.behind = timedelta(minutes=4)
    made = trade(exchange.engine)
    clock.behind = timedelta(0)
    cursor = Cursor(LegKind.ACCOUNT_FILLS, BTC, datetime.now(UTC) - timedelta(minutes=1))

    leg = fill_legs(sync(provider, exchange, BTC, cursors=(cursor,)))[BTC]

    assert fill_ids(leg) == made


@pytest.mark.parametrize(("ahead", "told"), [(90, 90), (-90, -90), (1, 0)])
def test_what_is_covered_is_told_by_the_clock_of_the_exchange(
    provider: CCXTPortfolioProvider, engine: Engine, clock: Clock, ahead: int, told: int
) -> None:
    clock.behind = timedelta(seconds=-ahead)
    with SandboxServer(engine, dialect=Kraken(engine)) as kraken:
        leg = leg_of(sync_kraken(provider, kraken), LegKind.ACCOUNT_FILLS)

    assert leg.until is not None
    assert abs((leg.until - leg.requested_at).total_seconds() - told) < 1
    assert abs(leg.clock_offset - told) <= 1
