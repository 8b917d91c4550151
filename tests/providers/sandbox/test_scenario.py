from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from providers.reports import OrderStatus
from providers.sandbox.books import Balance
from providers.sandbox.demo import DESKS, GRID_BOT, MAIN, TREASURY, Desk
from providers.sandbox.engine import Engine
from providers.sandbox.faults import DistortionKind, Fault, FaultKind
from providers.sandbox.scenario import DemoScenario
from providers.sandbox.state import engine_document, restore_engine

D = Decimal
START = datetime(2026, 11, 22, 12, tzinfo=UTC)
ENDPOINT = "http://127.0.0.1:9999"


class Demo:
    """The demo with a clock of its own."""

    def __init__(self, seed: int = 1) -> None:
        self.now = START
        self.engine = Engine(clock=lambda: self.now)
        self.scenario = DemoScenario(self.engine, seed)
        self.scenario.begin(START)

    def go_to(self, seconds: int) -> None:
        self.now = START + timedelta(seconds=seconds)
        self.scenario.step(self.now)

    def live_to(self, seconds: int) -> None:
        elapsed = (self.now - START) // timedelta(seconds=1)
        for second in range(elapsed, seconds + 1):
            self.go_to(second)

    def order(self, client_id: str) -> Any:
        (found,) = (x for x in self.engine.orders(MAIN.key) if x.client_order_id == client_id)
        return found


@pytest.fixture
def demo() -> Demo:
    return Demo()


def wanted_by_books(book: dict[str, Any], desk: Desk) -> dict[str, Decimal]:
    """Sum up what the portfolios of `desk` say they hold."""
    totals: dict[str, Decimal] = defaultdict(Decimal)
    names = set()
    for row in book["portfolios"]:
        if row["account"] == desk.label:
            names.add(row["name"])
            totals[row["trading_symbol"]] += D(row["initial_balance"])
    for row in book["positions"]:
        if row["portfolio"] in names:
            totals[row["asset"]] += D(row["amount"])
    return totals


# The book


def test_the_book_is_json() -> None:
    book = Demo().scenario.book(ENDPOINT)

    assert json.loads(json.dumps(book)) == book
    assert [x["label"] for x in book["accounts"]] == ["Main desk", "Grid bot", "Treasury"]


@pytest.mark.parametrize("desk", DESKS)
def test_the_portfolios_claim_no_more_than_there_is(demo: Demo, desk: Desk) -> None:
    wanted = wanted_by_books(demo.scenario.book(ENDPOINT), desk)
    held = demo.engine.balances(desk.key)

    left = {asset: held[asset].total - amount for asset, amount in wanted.items()}

    assert min(left.values()) >= 0


@pytest.mark.parametrize("desk", DESKS)
def test_a_little_is_left_unassigned(demo: Demo, desk: Desk) -> None:
    wanted = wanted_by_books(demo.scenario.book(ENDPOINT), desk)

    unassigned = {
        asset: held.total - wanted[asset]
        for asset, held in demo.engine.balances(desk.key).items()
        if held.total != wanted[asset]
    }

    assert unassigned == desk.spare


def test_the_orders_of_the_book_are_the_open_orders(demo: Demo) -> None:
    book = demo.scenario.book(ENDPOINT)
    rows = {
        (x["external_id"], x["client_order_id"], x["symbol"], x["side"], x["price"], x["amount"])
        for x in book["orders"]
    }

    open_orders = {
        (x.id, x.client_order_id, x.symbol, x.side.value, str(x.price), str(x.amount))
        for desk in DESKS
        for x in demo.engine.open_orders(desk.key)
    }

    assert rows == open_orders


@pytest.mark.parametrize(("desk", "count"), [(MAIN, 12), (GRID_BOT, 20), (TREASURY, 2)])
def test_each_account_has_its_orders(demo: Demo, desk: Desk, count: int) -> None:
    assert len(demo.engine.open_orders(desk.key)) == count


def test_no_portfolio_locks_more_than_it_has(demo: Demo) -> None:
    book = demo.scenario.book(ENDPOINT)
    free: dict[tuple[str, str], Decimal] = {
        (x["name"], x["trading_symbol"]): D(x["initial_balance"]) for x in book["portfolios"]
    } | {(x["portfolio"], x["asset"]): D(x["amount"]) for x in book["positions"]}

    for row in book["orders"]:
        base, _, quote = row["symbol"].partition("/")
        if row["side"] == "buy":
            free[row["portfolio"], quote] -= D(row["price"]) * D(row["amount"])
        else:
            free[row["portfolio"], base] -= D(row["amount"])

    assert min(free.values()) > 0


def test_the_book_stays_the_opening_book(demo: Demo) -> None:
    opening = demo.scenario.book(ENDPOINT)
    demo.live_to(400)
    document, scenario = engine_document(demo.engine), demo.scenario.document()
    later = Demo()
    later.now = START + timedelta(days=3)
    restore_engine(later.engine, document)
    later.scenario.restore(scenario)

    assert demo.scenario.book(ENDPOINT) == opening
    assert later.scenario.book(ENDPOINT) == opening


def test_the_keys_of_the_demo_may_only_read(demo: Demo) -> None:
    assert {str(x) for x in demo.engine.api_key(MAIN.key).permissions} == {"read"}


# The timeline


def test_nothing_happens_at_first(demo: Demo) -> None:
    before = engine_document(demo.engine)

    demo.go_to(11)

    assert engine_document(demo.engine) == before


def test_an_amount_vanishes_without_any_record(demo: Demo) -> None:
    before = demo.engine.balance(MAIN.key, "BTC")

    demo.go_to(12)

    after = demo.engine.balance(MAIN.key, "BTC")
    assert after == Balance(before.free - D("0.0137"), before.locked)
    assert demo.engine.fills(MAIN.key) == []
    assert demo.engine.movements(MAIN.key) == []


def test_somebody_trades_by_hand_with_what_no_portfolio_claims(demo: Demo) -> None:
    known = {x["external_id"] for x in demo.scenario.book(ENDPOINT)["orders"]}

    demo.go_to(18)

    (order,) = (x for x in demo.engine.orders(MAIN.key) if x.id not in known)
    assert (order.symbol, order.status, order.filled) == ("BNB/USDT", "closed", D("0.12"))
    assert order.cost < MAIN.spare["USDT"]


def test_an_order_fills_in_part_with_a_fee_in_a_third_coin(demo: Demo) -> None:
    demo.go_to(25)

    fill = demo.engine.fills(MAIN.key)[-1]
    assert demo.order("alpha-btc-1").filled == D("0.0213")
    assert fill.fee is not None
    assert fill.fee.asset == "BNB"
    assert fill.fee.amount > 0


def test_an_order_is_canceled_and_another_filled(demo: Demo) -> None:
    demo.go_to(100)

    assert demo.order("alpha-btc-3").status == OrderStatus.CANCELED
    assert demo.order("alpha-eth-2").status == OrderStatus.CLOSED


def test_a_deposit_arrives(demo: Demo) -> None:
    demo.go_to(110)

    deposit = demo.engine.deposits(MAIN.key)[-1]
    assert (deposit.asset, deposit.amount) == ("USDT", D("250"))


def test_what_happened_does_not_happen_again_after_a_restart(demo: Demo) -> None:
    demo.go_to(120)
    document, scenario = engine_document(demo.engine), demo.scenario.document()
    later = Demo()
    restore_engine(later.engine, document)
    later.scenario.restore(scenario)

    later.go_to(121)

    assert engine_document(later.engine) == document


def test_the_treasury_always_agrees(demo: Demo) -> None:
    before = demo.engine.balances(TREASURY.key)

    demo.live_to(2_000)

    assert demo.engine.balances(TREASURY.key) == before


def test_something_small_happens_every_ninety_seconds(demo: Demo) -> None:
    demo.live_to(299)
    before = [demo.engine.changes]

    for seconds in (389, 479, 569, 659):
        demo.live_to(seconds)
        before.append(demo.engine.changes)

    assert sorted(set(before)) == before


def test_between_them_nothing_happens(demo: Demo) -> None:
    demo.live_to(300)
    before = demo.engine.changes

    demo.live_to(389)

    assert demo.engine.changes == before


def test_it_ends_when_no_order_is_left(demo: Demo) -> None:
    for second in range(300, 60_000, 90):
        demo.go_to(second)
    before = demo.engine.changes

    for second in range(60_000, 62_000, 90):
        demo.go_to(second)

    assert demo.engine.open_orders(MAIN.key) == []
    assert demo.engine.open_orders(GRID_BOT.key) == []
    assert demo.engine.changes == before


def test_a_night_off_is_one_event(demo: Demo) -> None:
    demo.go_to(299)
    before = len(demo.engine.fills(MAIN.key)) + len(demo.engine.fills(GRID_BOT.key))

    demo.go_to(40_000)

    after = len(demo.engine.fills(MAIN.key)) + len(demo.engine.fills(GRID_BOT.key))
    assert after - before == 1


def test_the_seed_decides_what_happens() -> None:
    def story(seed: int) -> list[tuple[str, Decimal]]:
        demo = Demo(seed)
        demo.live_to(1_500)
        fills = demo.engine.fills(MAIN.key) + demo.engine.fills(GRID_BOT.key)
        return [(x.order_id, x.amount) for x in fills]

    assert story(1) == story(1)
    assert story(1) != story(2)


# The troubles


def kinds(faults: list[Fault], desk: Desk, seconds: int) -> list[FaultKind | DistortionKind]:
    now = START + timedelta(seconds=seconds)
    return [x.kind for x in faults if x.happens("/api/v3/account", desk.key, now)]


def test_the_grid_bot_is_not_served_at_first(demo: Demo) -> None:
    faults = demo.scenario.faults()

    assert kinds(faults, GRID_BOT, 0) == [FaultKind.UNAVAILABLE]
    assert kinds(faults, GRID_BOT, 75) == []
    assert kinds(faults, MAIN, 0) == []


def test_the_exchange_has_a_bad_minute(demo: Demo) -> None:
    faults = demo.scenario.faults()

    seen = [kinds(faults, MAIN, seconds)[:1] for seconds in (149, 150, 160, 209, 210)]

    assert seen == [
        [],
        [FaultKind.RATE_LIMITED],
        [FaultKind.UNAVAILABLE],
        [FaultKind.UNAVAILABLE],
        [],
    ]
