from __future__ import annotations

import csv
import io
import json
import re
from datetime import timedelta
from decimal import Decimal
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from portfolios.models import (
    AuditEvent,
    Decision,
    ExchangeAccount,
    JudgedContent,
    JudgedSnapshot,
    LedgerEntry,
    Portfolio,
    SyncRun,
)
from portfolios.selectors.exports import EXPORTS, TABLES
from portfolios.services.audit import record
from portfolios.views.exports import cell
from providers.reports import LegKind, OrderStatus
from tests.builders import (
    NOON,
    make_account,
    make_balance,
    make_cursor,
    make_discrepancy,
    make_entry,
    make_fill,
    make_flow,
    make_incident,
    make_leg,
    make_occurrence,
    make_order,
    make_portfolio,
    make_portfolio_snapshot,
    make_position,
    make_quarantine,
    make_run,
)
from tests.portfolios.views.pages import html_of

HOUR = timedelta(hours=1)


def exported(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return b"".join(response).decode()


def rows_of(client: Client, url: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(exported(client, url).removeprefix("\ufeff"))))


# Of each list its page, a query that narrows it, and what the exported rows then say in a column.
NARROWED = (
    ("/accounts/", "q=two", "accounts", "label", ["two"]),
    ("/accounts/", "q=two", "portfolios", "name", ["beta"]),
    ("/accounts/", "state=paused", "schedules", "account", ["two"]),
    ("/runs/", "status=failed", "runs", "status", ["failed"]),
    ("/discrepancies/", "q=ETH", "discrepancies", "asset", ["ETH"]),
    ("/discrepancies/", "state=all&sort=oldest", "discrepancies", "asset", ["BTC", "ETH"]),
    ("/exceptions/", "category=auth", "exceptions", "category", ["auth"]),
    ("/exceptions/", "sort=count", "exceptions", "count", [7, 1]),
    ("/decisions/", "q=ETH", "decisions", "subject", ["ETH"]),
    ("/audit/", "kind=event-pause", "audit", "what", ["pause"]),
    ("/accounts/1/", "q=ETH", "balances", "asset", ["ETH"]),
    ("/accounts/1/orders/", "orders=over", "orders", "symbol", ["ETH/USDT"]),
    ("/accounts/1/fills/", "sort=oldest", "fills", "symbol", ["BTC/USDT", "ETH/USDT"]),
    ("/accounts/1/ledger/", "cause=adjustment", "ledger", "asset", ["ETH"]),
    ("/accounts/1/flows/", "kind=withdrawal", "flows", "asset", ["ETH"]),
    ("/accounts/1/ownership/", "q=eth", "ownership", "asset", ["ETH"]),
    ("/accounts/1/coverage/", "", "coverage", "what", ["hole", "quarantine", "cursor"]),
    ("/accounts/1/decisions/", "", "decisions", "subject", ["ETH", "BTC"]),
    ("/portfolios/1/", "", "positions", "asset", ["BTC", "ETH"]),
    ("/portfolios/1/orders/", "side=sell&orders=all", "orders", "symbol", ["ETH/USDT"]),
    ("/portfolios/1/fills/", "q=BTC", "fills", "symbol", ["BTC/USDT"]),
    ("/portfolios/1/ledger/", "sort=oldest", "ledger", "asset", ["BTC", "ETH"]),
    ("/portfolios/1/history/", "span=all", "history", "value_at_cost", ["1", "30000"]),
    ("/runs/1/", "", "legs", "kind", ["balances", "fills"]),
    ("/runs/1/", "", "ledger", "asset", ["ETH"]),
    ("/runs/1/verdicts/", "", "verdicts", "asset", ["ETH"]),
    ("/exceptions/1/", "", "occurrences", "message", ["later", "earlier"]),
    ("/discrepancies/1/", "", "history", "after", ["OPEN", "SUSPECTED"]),
)


def make_two_of_each() -> None:
    account = make_account(pk=1, label="one")
    portfolio = make_portfolio(account, pk=1, name="alpha")
    make_portfolio(make_account(pk=2, label="two", paused=True), name="beta")
    run = make_run(account, pk=1)
    make_run(account, status=SyncRun.Status.FAILED)
    _make_books(portfolio, run)
    _make_reads(account, run)
    _make_history(portfolio, run)


def _make_books(portfolio: Portfolio, run: SyncRun) -> None:
    buy = make_order(portfolio)
    later = {"created_at": NOON + HOUR, "side": "sell", "status": OrderStatus.CLOSED}
    sell = make_order(portfolio, symbol="ETH/USDT", **later)
    make_fill(sell, executed_at=NOON + HOUR)
    make_fill(buy)
    for asset in ("BTC", "ETH"):
        make_position(portfolio, asset=asset)
        make_balance(portfolio.account, asset=asset)
    make_entry(portfolio, asset="BTC")
    make_entry(portfolio, asset="ETH", cause=LedgerEntry.Cause.ADJUSTMENT, run=run)
    make_flow(portfolio.account)
    make_flow(portfolio.account, asset="ETH", kind="withdrawal")


def _make_reads(account: ExchangeAccount, run: SyncRun) -> None:
    make_leg(run)
    make_leg(run, kind=LegKind.FILLS, complete=False)
    # The coverage is that of the last run.
    make_leg(account.runs.latest("pk"), kind=LegKind.FILLS, complete=False)
    make_quarantine(account)
    make_cursor(account)
    said = dict.fromkeys(("expected", "total", "residual", "low", "high", "tolerance"), "1")
    rows = {"spot": {"ETH": said | {"verdict": "VERIFIED", "reason": ""}}}
    content = JudgedContent.objects.create(account=account, rows=rows)
    window = dict.fromkeys(("window_low", "window_high", "seen_at"), NOON)
    JudgedSnapshot.objects.create(account=account, run=run, content=content, **window)


def _make_history(portfolio: Portfolio, run: SyncRun) -> None:
    account = portfolio.account
    found = make_discrepancy(account, pk=1, asset="BTC")
    make_discrepancy(account, asset="ETH", first_seen=NOON + HOUR)
    for before, after in (("", "SUSPECTED"), ("SUSPECTED", "OPEN")):
        found.events.create(episode=1, before=before, after=after, run=run, at=NOON)
    incident = make_incident(account, pk=1)
    make_incident(account, category="auth", count=7)
    for message in ("earlier", "later"):
        make_occurrence(incident, run, message=message)
    for asset in ("BTC", "ETH"):
        Decision.objects.create(account=account, kind=Decision.Kind.ADJUST, subject=asset)
    for kind in (AuditEvent.Kind.PAUSE, AuditEvent.Kind.RESUME):
        record(kind, by=None, account=account)
    make_portfolio_snapshot(portfolio, run)
    make_portfolio_snapshot(portfolio, run, cost="1")


def link_of(client: Client, page: str, name: str) -> str:
    """Find where the page leads to for the JSON of the list."""
    found = re.search(rf'href="([^"]*/export/{name}\.json[^"]*)"', html_of(client.get(page)))
    assert found, f"{page} has no link to the export of {name}"
    return unescape(found[1])


def test_every_list_links_to_an_export_of_exactly_the_rows_that_it_shows(client: Client) -> None:
    make_two_of_each()

    for page, query, name, column, expected in NARROWED:
        link = link_of(client, f"{page}?{query}&page=1", name)
        rows = json.loads(exported(client, link))

        assert [row[column] for row in rows] == expected, link


def test_no_list_is_left_out_of_the_test_above() -> None:
    tested = {(page.split("/")[1] * (page.count("/") > 2), name) for page, _q, name, *_ in NARROWED}
    # These have no page for all accounts together.
    whole = {("", name) for name in TABLES} - tested

    assert tested | whole == {(of, name) for of, lists in EXPORTS.items() for name in lists}


def test_both_forms_hold_the_same_rows(client: Client) -> None:
    make_two_of_each()

    for of, lists in EXPORTS.items():
        for name in lists:
            start = f"/{of}/1/export/{name}" if of else f"/export/{name}"
            of_csv = rows_of(client, f"{start}.csv")
            of_json = json.loads(exported(client, f"{start}.json"))

            assert len(of_csv) == len(of_json) > 0, start
            assert list(of_csv[0]) == list(of_json[0]), start


def test_many_rows_are_asked_for_as_often_as_few(client: Client) -> None:
    make_two_of_each()
    portfolio, run = Portfolio.objects.get(pk=1), SyncRun.objects.get(pk=1)
    make_discrepancy(portfolio.account, order=make_order(portfolio), portfolio=portfolio)
    few = _queries(client)
    for number in range(3):
        order = make_order(portfolio, amount=Decimal(number + 2))
        make_fill(order)
        make_entry(portfolio, asset=f"A{number}", order=order, run=run)
        make_flow(portfolio.account)
        make_position(portfolio, asset=f"A{number}")
        make_balance(portfolio.account, asset=f"A{number}")
        make_discrepancy(portfolio.account, order=order, portfolio=portfolio)
        make_portfolio(make_account())
        make_leg(make_run(portfolio.account))
        make_incident(portfolio.account)
        make_portfolio_snapshot(portfolio, run, cost=str(number))

    assert _queries(client) == few


def _queries(client: Client) -> dict[str, int]:
    counts = {}
    for of, lists in EXPORTS.items():
        for name in lists:
            with CaptureQueriesContext(connection) as asked:
                exported(client, f"/{of}/1/export/{name}.json" if of else f"/export/{name}.json")
            counts[f"{of} {name}"] = len(asked)
    return counts


@pytest.mark.django_db
def test_an_empty_list_is_an_empty_export(client: Client) -> None:
    assert json.loads(exported(client, "/export/orders.json")) == []
    assert rows_of(client, "/export/orders.csv") == []


def test_amounts_keep_every_digit(client: Client) -> None:
    make_balance(total=Decimal("123456789012345678.000000000000000001"))

    assert rows_of(client, "/export/balances.csv")[0]["total"] == (
        "123456789012345678.000000000000000001"
    )


def test_the_rows_of_one_account_are_exported_alone(client: Client) -> None:
    make_balance(make_account(label="other"))
    wanted = make_balance(make_account(label="wanted"))

    rows = rows_of(client, f"/export/balances.csv?account={wanted.account_id}")

    assert [row["account"] for row in rows] == ["wanted"]


@pytest.mark.parametrize("name", ["accounts", "portfolios", "schedules"])
def test_what_belongs_to_one_account_is_exported_alone(client: Client, name: str) -> None:
    make_portfolio(make_account(label="other"), name="of other")
    wanted = make_portfolio(make_account(label="wanted"), name="of wanted").account

    [row] = rows_of(client, f"/export/{name}.csv?account={wanted.pk}")

    assert "wanted" in row.values()


@pytest.mark.parametrize(
    "text",
    [
        *("=1+1", "+1+cmd", "-2+3", "@SUM(A1)", "\t=1", "-", "+", "=", "--1", "-1e5"),
        *("\uff1d1+1", "\uff0b1", "\uff0d1+1", "\uff20SUM(A1)"),
    ],
)
def test_what_a_spreadsheet_would_calculate_stays_text(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-0.5", "-7", "0.000000000000000001", "alpha", "", "a=b"])
def test_numbers_and_plain_text_stay_as_they_are(text: str) -> None:
    assert cell(text) == text


def test_exchange_supplied_text_is_one_cell(client: Client) -> None:
    make_position(make_portfolio(), asset='=A1,"\n;x')

    assert rows_of(client, "/export/positions.csv")[0]["asset"] == "'=A1,\"\n;x"


@pytest.mark.parametrize(
    "url",
    [
        "/export/secrets.csv",
        "/export/orders.csv?account=77",
        "/export/orders.csv?account=x",
        "/accounts/77/export/orders.csv",
        "/nothing/1/export/orders.csv",
        "/accounts/1/export/orders.xml",
    ],
)
def test_what_does_not_exist_is_not_found(client: Client, url: str) -> None:
    assert client.get(url).status_code == 404


def test_a_stranger_gets_no_export() -> None:
    assert Client().get("/export/orders.csv").status_code == 302
