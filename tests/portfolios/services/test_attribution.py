"""What is stored of a proposal; whole stories are in the scenarios."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from portfolios.models import Discrepancy, ExchangeAccount, LedgerEntry, Order
from portfolios.services.attribution import attribute_open
from providers.reports import FlowStatus
from tests.builders import (
    NOON,
    make_account,
    make_discrepancy,
    make_flow,
)
from tests.portfolios.services.differences import (
    attributed,
    differs,
    kinds,
    lost_order,
    outcome,
)

D = Decimal
Code = Discrepancy.Code
State = Discrepancy.State


@pytest.fixture
def account(db: None) -> ExchangeAccount:
    return make_account(label="main", baseline_at=NOON - timedelta(days=1))


def test_fills_that_were_never_read_are_named_beside_it(account: ExchangeAccount) -> None:
    row = differs(account, "BTC", "0.004")
    make_discrepancy(
        account, code=Code.FILL_COVERAGE_GAP, symbol="BTC/USDT", cause="pages", key="coverage"
    )

    found = attributed(row).attribution

    assert (found["outcome"], found["gaps"]) == ("unexplained", ["BTC/USDT: pages"])


def test_a_cause_that_no_longer_fits_is_taken_back(account: ExchangeAccount) -> None:
    row = differs(account, "BTC", "0.004")
    differs(account, "USDT", "-200")
    order = lost_order(account)
    attributed(row)
    Order.objects.filter(pk=order.pk).update(missing_since=None)

    assert (attributed(row).cause, row.attribution["explanations"]) == ("unexplained", [])


def test_what_the_numbers_say_stays_where_nothing_explains_it(account: ExchangeAccount) -> None:
    row = differs(account, "BTC", "0.004", cause="new asset")

    assert attributed(row).cause == "new asset"


def test_differences_that_have_nothing_to_do_with_each_other_are_explained_apart(
    account: ExchangeAccount,
) -> None:
    bitcoin, unknown = differs(account, "BTC", "0.25"), differs(account, "DOGE", "9")
    make_flow(account, status=FlowStatus.PENDING)

    assert (outcome(bitcoin), outcome(unknown)) == ("explained", "unexplained")


def test_a_difference_is_explained_by_itself_where_its_neighbour_is_not(
    account: ExchangeAccount,
) -> None:
    """The order connects the two, and explains neither."""
    bitcoin, dollars = differs(account, "BTC", "0.25"), differs(account, "USDT", "-9")
    lost_order(account, amount=D(1))
    make_flow(account, status=FlowStatus.PENDING)

    assert (kinds(bitcoin), outcome(dollars)) == ([["flow"]], "unexplained")


def test_an_interval_leaves_every_amount_that_fits(account: ExchangeAccount) -> None:
    base = differs(account, "BTC", "0.005", low=D("0.0035"), high=D("0.0065"))
    differs(account, "USDT", "-240", low=D(-300), high=D(-200))
    lost_order(account, amount=D("0.01"))

    [[part]] = attributed(base).attribution["explanations"]

    assert (part["low"], part["high"]) == ("0.004", "0.006")


def test_an_acknowledged_difference_is_attributed_too(account: ExchangeAccount) -> None:
    row = differs(account, "BTC", "0.25", state=State.ACKNOWLEDGED)
    make_flow(account, status=FlowStatus.PENDING)

    assert outcome(row) == "explained"


def test_nothing_is_booked(account: ExchangeAccount) -> None:
    base = differs(account, "BTC", "0.004")
    differs(account, "USDT", "-200")
    order = lost_order(account)

    attributed(base)

    order.refresh_from_db()
    assert (order.filled, LedgerEntry.objects.exists()) == (D(0), False)
    assert base.state == State.OPEN


def test_saying_the_same_again_writes_nothing(
    account: ExchangeAccount, django_assert_max_num_queries: Any
) -> None:
    base = differs(account, "BTC", "0.004")
    differs(account, "USDT", "-200")
    lost_order(account)
    attributed(base)

    with django_assert_max_num_queries(20) as asked:
        attribute_open(account, NOON)

    assert [query["sql"] for query in asked if query["sql"].startswith("UPDATE")] == []


def test_an_account_without_an_open_difference_costs_one_query(
    account: ExchangeAccount, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        attribute_open(account, NOON)
