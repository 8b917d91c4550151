"""What a sync asks of the exchange, and what it leaves when nothing has changed (row F38)."""

from __future__ import annotations

from collections import Counter
from urllib.parse import parse_qs

import pytest
from django.utils import timezone

from portfolios.models import ExchangeAccount, LegContent, Order
from tests.desk import Desk
from tests.portfolios.services.reads import everything_stored

READS_OF_SYMBOLS = {"GET /api/v3/exchangeInfo", "GET /api/v3/time"}
BALANCES, OPEN_ORDERS = "GET /api/v3/account", "GET /api/v3/openOrders"
ONE_ORDER, FILLS = "GET /api/v3/order", "GET /api/v3/myTrades"
# What a movement adds where one symbol can be held: its fills, and both lists of flows.
FULL_READ = (
    FILLS,
    "GET /sapi/v1/capital/deposit/hisrec",
    "GET /sapi/v1/capital/withdraw/history",
)


@pytest.fixture
def fifty(desk: Desk) -> Desk:
    """Open fifty orders on both sides; nothing was synced so far."""
    desk.deposit("EUR", "10000")
    desk.open_portfolio("10000")
    desk.buy_often(50, "1", "2")
    return desk


def requests_of_a_sync(desk: Desk) -> list[str]:
    desk.server.requests.clear()
    desk.sync()
    return desk.requests()


def test_f38_fifty_open_orders_cost_two_requests_beside_the_reads_of_the_market(
    fifty: Desk,
) -> None:
    asked = requests_of_a_sync(fifty)

    assert sorted(set(asked) - READS_OF_SYMBOLS) == [BALANCES, OPEN_ORDERS]
    assert (asked.count(BALANCES), asked.count(OPEN_ORDERS)) == (1, 1)


def test_f38_once_settled_a_sync_is_two_requests(fifty: Desk) -> None:
    fifty.sync()

    assert sorted(requests_of_a_sync(fifty)) == [BALANCES, OPEN_ORDERS]


def test_f38_the_requests_of_a_run_are_counted(fifty: Desk) -> None:
    fifty.sync()

    assert fifty.sync().http_requests == 2


def begin(desk: Desk) -> None:
    """Take the baseline, and take it as proved."""
    desk.sync()
    ExchangeAccount.objects.update(baseline_settled_at=timezone.now())


def test_f38_every_order_that_left_costs_one_read_and_its_fills_one_more(fifty: Desk) -> None:
    begin(fifty)
    filled, canceled, part = Order.objects.all()[:3]
    fifty.engine.fill_order(filled.external_id)
    fifty.engine.cancel_order(canceled.external_id)
    fifty.engine.fill_order(part.external_id, "0.5")

    asked = Counter(requests_of_a_sync(fifty)) - Counter(FULL_READ)

    assert asked == {BALANCES: 1, OPEN_ORDERS: 1, ONE_ORDER: 2, FILLS: 2}


def test_a_movement_costs_one_full_read_and_the_next_sync_is_two_requests_again(
    fifty: Desk,
) -> None:
    begin(fifty)
    fifty.deposit("EUR", "1")

    asked = Counter(requests_of_a_sync(fifty))

    assert asked == Counter([BALANCES, OPEN_ORDERS, *FULL_READ])
    assert sorted(requests_of_a_sync(fifty)) == [BALANCES, OPEN_ORDERS]


def test_the_first_full_read_asks_for_what_else_may_have_happened_at_the_baselines_time(
    fifty: Desk,
) -> None:
    fifty.sync()
    fifty.deposit("EUR", "1")

    asked = Counter(requests_of_a_sync(fifty)) - Counter([BALANCES, OPEN_ORDERS, *FULL_READ])

    # Rewards, and both ways between the spot wallet and six others.
    assert asked == {"GET /sapi/v1/asset/assetDividend": 1, "GET /sapi/v1/asset/transfer": 12}


def test_a_full_read_asks_for_the_fills_of_every_symbol_that_the_account_can_hold(
    fifty: Desk,
) -> None:
    fifty.sync()
    fifty.deposit("DOT", "1")
    fifty.deposit("BTC", "1")
    fifty.server.requests.clear()

    fifty.sync()

    fills = [request for request in fifty.server.requests if request.path == "/api/v3/myTrades"]
    symbols = [parse_qs(request.query)["symbol"] for request in fills]
    assert sorted(symbols) == [["ADAEUR"], ["BTCEUR"], ["DOTEUR"]]


def test_f38_a_settled_sync_changes_nothing_but_its_own_run_and_times(fifty: Desk) -> None:
    fifty.sync()
    fifty.sync()
    before = everything_stored()

    fifty.sync()

    assert everything_stored() == before


def test_what_was_read_before_is_not_stored_again(fifty: Desk) -> None:
    fifty.sync()
    stored = LegContent.objects.count()

    run = fifty.sync()

    assert LegContent.objects.count() == stored
    assert {leg.kind for leg in run.legs.all()} == {"open_orders", "balances"}
