"""The report has exactly the fields that the outside may rely on."""

from __future__ import annotations

import json
from datetime import timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from portfolios.models import Incident
from portfolios.selectors.report import full_report
from providers.reports import LegKind, LegStatus
from tests.builders import (
    NOON,
    make_account,
    make_balance,
    make_discrepancy,
    make_incident,
    make_leg,
    make_order,
    make_portfolio,
    make_position,
    make_run,
)
from tests.desk import KEY, SECRET, Desk

pytestmark = pytest.mark.django_db

D = Decimal
FIELDS = {
    "accounts": ["label", "market", "health", "verified_at", "next_sync_at"],
    "portfolios": [
        "name",
        "account",
        "trading_symbol",
        "initialized",
        "unallocated",
        "net_size",
        "positions",
    ],
    "orders": [
        "portfolio",
        "account",
        "external_id",
        "client_order_id",
        "symbol",
        "side",
        "type",
        "status",
        "price",
        "average",
        "amount",
        "filled",
        "remaining",
        "fees",
        "created_at",
        "updated_at",
        "external",
    ],
    "balances": [
        "account",
        "wallet",
        "asset",
        "free",
        "used",
        "total",
        "expected",
        "residual",
        "residual_low",
        "residual_high",
        "verdict",
        "provisional",
        "reason",
    ],
    "discrepancies": [
        "code",
        "severity",
        "state",
        "account",
        "portfolio",
        "asset",
        "symbol",
        "order",
        "book",
        "exchange",
        "difference",
        "first_seen",
        "last_seen",
        "times_seen",
        "cause",
    ],
    "incidents": [
        "category",
        "type",
        "message",
        "account",
        "operation",
        "count",
        "first_seen",
        "last_seen",
        "state",
    ],
    "runs": [
        "id",
        "account",
        "trigger",
        "status",
        "started_at",
        "finished_at",
        "http_requests",
        "orders_checked",
        "orders_changed",
        "legs",
    ],
}


def row(section: str) -> dict[str, Any]:
    [found] = full_report()[section]
    return found


def test_nothing_at_all_is_a_report_of_empty_lists() -> None:
    assert full_report() == {name: [] for name in FIELDS}


def test_every_row_has_exactly_its_fields(desk: Desk) -> None:
    desk.deposit("EUR", "1000")
    desk.open_portfolio("1000")
    desk.buy("100", "1")
    desk.sync()
    desk.take_away("EUR", "10")
    desk.sync()
    make_incident(desk.account)

    report = full_report()

    assert list(report) == list(FIELDS)
    for section, names in FIELDS.items():
        assert [list(found) for found in report[section]] == [names] * len(report[section])
        assert report[section]


def test_nested_rows_have_exactly_their_fields() -> None:
    portfolio = make_portfolio()
    make_position(portfolio)
    make_order(portfolio, fees=[{"asset": "BNB", "amount": "0.1"}])
    make_leg(make_run(portfolio.account))

    [position] = row("portfolios")["positions"]
    [leg] = row("runs")["legs"]
    assert list(position) == ["asset", "amount", "reserved", "available", "cost"]
    assert list(leg) == ["kind", "status", "error", "rows"]
    assert row("orders")["fees"] == [{"asset": "BNB", "amount": "0.1"}]


def test_f54_amounts_are_text_in_plain_notation() -> None:
    make_position(make_portfolio(), amount=D("1E-18"), reserved=D("0.50"), cost=D("3E+4"))

    [position] = row("portfolios")["positions"]

    assert (position["amount"], position["reserved"]) == ("0.000000000000000001", "0.5")
    assert (position["available"], position["cost"]) == ("-0.499999999999999999", "30000")


def test_a_report_holds_no_number_with_a_fraction(desk: Desk) -> None:
    desk.deposit("EUR", "1000.5")
    desk.open_portfolio("1000.25")
    desk.sync()

    def refuse(digits: str) -> None:
        raise AssertionError(digits)

    json.loads(json.dumps(full_report()), parse_float=refuse)


def test_f55_times_are_utc_with_a_z() -> None:
    in_china = NOON.astimezone(timezone(timedelta(hours=8)))
    make_order(make_account(next_sync_at=in_china), created_at=in_china)

    assert row("orders")["created_at"] == "2026-11-22T12:00:00Z"
    assert row("accounts")["next_sync_at"] == "2026-11-22T12:00:00Z"


def test_what_was_not_read_is_null() -> None:
    make_balance(free=None, used=None, total=None, expected=None, residual=None)
    make_order(make_account(), price=None, average=None, created_at=None)
    make_portfolio()

    balance, order = row("balances"), row("orders")
    assert [balance[name] for name in ("free", "used", "total", "expected")] == [None] * 4
    assert [balance[name] for name in ("residual", "residual_low", "residual_high")] == [None] * 3
    assert [order[name] for name in ("price", "average", "created_at", "updated_at")] == [None] * 4
    [portfolio] = full_report()["portfolios"]
    assert (portfolio["unallocated"], portfolio["net_size"]) == (None, None)


def test_a_leg_that_was_not_read_has_no_number_of_rows() -> None:
    run = make_run()
    make_leg(run, row_count=0)
    make_leg(run, kind=LegKind.FILLS, status=LegStatus.FAILED, error_message="It is down.")

    read, failed = row("runs")["legs"]

    assert read == {"kind": "balances", "status": "OBSERVED", "error": None, "rows": 0}
    assert failed == {"kind": "fills", "status": "FAILED", "error": "It is down.", "rows": None}


def test_orders_that_nobody_claims_are_told() -> None:
    make_order(make_account())

    assert (row("orders")["portfolio"], row("orders")["external"]) == (None, True)


def test_differences_that_are_over_are_told() -> None:
    make_discrepancy(state="RESOLVED")

    assert row("discrepancies")["state"] == "RESOLVED"


def test_a_difference_names_its_order_by_the_exchanges_id() -> None:
    order = make_order(make_account(), external_id="000123")
    make_discrepancy(order.account, order=order)

    assert row("discrepancies")["order"] == "000123"


def test_incidents_of_no_account_are_told_unless_one_is_asked_for() -> None:
    account = make_account(label="main")
    Incident.objects.filter(pk=make_incident(account).pk).update(account=None)

    assert row("incidents")["account"] is None
    assert full_report(["main"])["incidents"] == []


def test_only_the_accounts_asked_for_are_told() -> None:
    for label in ("first", "second"):
        account = make_account(label=label)
        make_order(make_portfolio(account))
        make_balance(account)
        make_discrepancy(account)
        make_incident(account)
        make_run(account)

    report = full_report(["second"])

    labels = {
        found.get("account", found.get("label")) for rows in report.values() for found in rows
    }
    assert labels == {"second"}
    assert all(len(rows) == 1 for rows in report.values())


def test_it_is_not_paged() -> None:
    account = make_account()
    for _ in range(120):
        make_run(account)

    assert len(full_report()["runs"]) == 120


def test_it_takes_the_same_number_of_queries_for_many_rows(
    django_assert_max_num_queries: Any,
) -> None:
    for _ in range(10):
        portfolio = make_portfolio()
        make_position(portfolio)
        make_discrepancy(portfolio.account, order=make_order(portfolio), portfolio=portfolio)
        make_incident(portfolio.account)
        make_leg(make_run(portfolio.account))

    with django_assert_max_num_queries(12):
        full_report()


def test_f08_no_secret_is_told(desk: Desk) -> None:
    desk.sync()

    text = json.dumps(full_report())

    assert KEY not in text
    assert SECRET not in text
