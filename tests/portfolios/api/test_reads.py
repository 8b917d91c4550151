from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from portfolios.api.application import api
from portfolios.models import Decision, ExchangeAccount, SyncRun
from portfolios.selectors.report import full_report
from portfolios.services.api_tokens import make_token
from tests.builders import (
    make_account,
    make_balance,
    make_discrepancy,
    make_entry,
    make_fill,
    make_flow,
    make_incident,
    make_leg,
    make_order,
    make_portfolio,
    make_portfolio_snapshot,
    make_position,
    make_run,
)

Bot = Callable[..., Client]
REPORTED = ("accounts", "portfolios", "orders", "balances", "discrepancies", "incidents", "runs")
LISTS = (
    *(*REPORTED, "fills", "flows", "ledger", "positions", "decisions", "schedules"),
    *("history", "audit"),
)


@pytest.fixture
def reader(db: None) -> Client:
    """Sign in a program of somebody who may see everything."""
    chief = User.objects.create_superuser("chief")
    _token, text = make_token("her bot", ["read"], chief)
    return Client(headers={"authorization": f"Bearer {text}"})


@pytest.fixture
def one_of_each(db: None) -> None:
    portfolio = make_portfolio(make_account(label="main"), name="alpha")
    order = make_order(portfolio, external_id="77")
    make_position(portfolio)
    make_fill(order)
    make_flow(portfolio.account)
    make_entry(portfolio)
    make_balance(portfolio.account, total=Decimal("0.100000000000000001"))
    make_discrepancy(portfolio.account)
    make_incident(portfolio.account)
    make_leg(make_run(portfolio.account))
    make_portfolio_snapshot(portfolio, SyncRun.objects.get())
    Decision.objects.create(account=portfolio.account, kind=Decision.Kind.ADJUST, subject="BTC")


def answer(client: Client, path: str) -> Any:
    response = client.get(f"/api/v1{path}")
    assert response.status_code == 200, response.content
    return response.json()


@pytest.mark.usefixtures("one_of_each")
@pytest.mark.parametrize("name", REPORTED)
def test_a_list_holds_what_the_report_holds(reader: Client, name: str) -> None:
    [told] = json.loads(json.dumps(full_report()[name]))

    page = answer(reader, f"/{name}")

    assert page["count"] == 1
    assert page["items"] == [page["items"][0] | told]


@pytest.mark.usefixtures("one_of_each")
@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("fills", "symbol", "BTC/USDT"),
        ("flows", "kind", "deposit"),
        ("ledger", "portfolio", "alpha"),
        ("positions", "portfolio", "alpha"),
        ("decisions", "subject", "BTC"),
        ("schedules", "interval_seconds", 300),
    ],
)
def test_facts_are_listed(reader: Client, name: str, field: str, value: object) -> None:
    [row] = answer(reader, f"/{name}")["items"]

    assert (row["account"], row[field]) == ("main", value)


@pytest.mark.usefixtures("one_of_each")
def test_many_rows_are_asked_for_as_often_as_few(reader: Client) -> None:
    answer(reader, "/runs")  # notes once that the token is used
    few = _queries(reader)
    account = ExchangeAccount.objects.get()
    for number in range(3):
        portfolio = make_portfolio(make_account(label=f"other {number}"))
        order = make_order(portfolio)
        make_fill(order)
        make_entry(portfolio, order=order, flow=make_flow(account))
        make_position(portfolio)
        make_balance(portfolio.account)
        make_discrepancy(account, order=order, portfolio=portfolio)
        make_incident(portfolio.account)
        run = make_run(account)
        make_leg(run)
        make_portfolio_snapshot(portfolio, run)
        Decision.objects.create(account=account, kind=Decision.Kind.ADJUST, subject="BTC")

    assert _queries(reader) == few


def _queries(client: Client) -> dict[str, int]:
    counts = {}
    for name in LISTS:
        with CaptureQueriesContext(connection) as asked:
            answer(client, f"/{name}")
        counts[name] = len(asked)
    return counts


@pytest.mark.usefixtures("one_of_each")
def test_amounts_keep_every_digit(reader: Client) -> None:
    assert answer(reader, "/balances")["items"][0]["total"] == "0.100000000000000001"


@pytest.mark.usefixtures("one_of_each")
@pytest.mark.parametrize(
    "path",
    [
        "/orders?account=other",
        "/orders?portfolio=other",
        "/orders?status=closed",
        "/portfolios?account=other",
        "/balances?verdict=DIFFERS",
        "/discrepancies?state=RESOLVED",
        "/discrepancies?severity=info",
        "/incidents?state=resolved",
        "/runs?status=failed",
        "/ledger?portfolio=other",
        "/fills?portfolio=other",
        "/flows?kind=withdrawal",
        "/history?portfolio=other",
        "/history?account=other",
        "/decisions?kind=reverse",
        "/schedules?account=other",
        "/audit?source=admin",
        "/audit?account=other",
        "/audit?by=nobody",
        "/orders?offset=1",
    ],
)
def test_what_is_not_asked_for_is_left_out(reader: Client, path: str) -> None:
    assert answer(reader, path)["items"] == []


@pytest.mark.usefixtures("one_of_each")
def test_one_is_shown_by_its_name(reader: Client) -> None:
    assert answer(reader, "/accounts/main")["market"] == "binance"
    assert answer(reader, "/portfolios/alpha")["account"] == "main"


@pytest.mark.parametrize(
    "path",
    [
        *("/accounts/none", "/portfolios/none", "/runs/77", "/runs/77/verdicts"),
        *("/discrepancies/77", "/discrepancies/77/events", "/incidents/77/occurrences"),
        *("/incidents/77", "/coverage?account=none", "/comparison?portfolio=none"),
        *("/nothing", "/runs/", "/orders/1"),
    ],
)
def test_what_does_not_exist_is_not_found(reader: Client, path: str) -> None:
    response = reader.get(f"/api/v1{path}")

    assert (response.status_code, response.json()) == (
        404,
        {"detail": "There is nothing of this name."},
    )


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=501", "offset=-1", "limit=x", "status=lost", "acount=a", "limit=1&limit=2"],
)
def test_what_cannot_be_asked_for_is_refused(reader: Client, query: str) -> None:
    assert reader.get(f"/api/v1/orders?{query}").status_code == 422


def test_the_audit_is_told_to_whose_maker_may_see_it(reader: Client, bot: Bot) -> None:
    [row] = answer(reader, "/audit?by=chief")["items"]
    refused = bot("read").get("/api/v1/audit")

    assert (row["what"], row["about"]) == ("token", "her bot")
    assert refused.status_code == 403
    assert "made by nobody who may see the audit" in refused.json()["detail"]


def test_the_start_of_the_api_leads_to_its_documentation(admin_client: Client) -> None:
    assert admin_client.get("/api/v1/").headers["Location"] == "/api/v1/docs"


def test_pages_follow_one_another(reader: Client) -> None:
    account = make_account()
    for number in range(3):
        make_order(account, external_id=str(number))

    pages = [answer(reader, f"/orders?limit=2&offset={offset}") for offset in (0, 2)]

    ids = [[row["external_id"] for row in page["items"]] for page in pages]
    assert (ids, pages[0]["count"]) == ([["2", "1"], ["0"]], 3)


def test_the_documentation_speaks_the_readers_language(admin_client: Client) -> None:
    page = admin_client.get("/api/v1/docs", headers={"accept-language": "zh-hans"})

    told = page.content.decode()
    schema = api.get_openapi_schema(path_prefix="/api/v1/")
    for methods in schema["paths"].values():
        for operation in methods.values():
            assert operation["summary"] not in told
    assert "列出订单" in told


def test_the_documentation_needs_a_log_in_and_no_other_host(admin_client: Client) -> None:
    page = admin_client.get("/api/v1/docs").content.decode()

    assert Client().get("/api/v1/docs").status_code == 302
    assert "/api/v1/portfolios/{name}/orders/{client_order_id}" in page
    assert "http" not in page.replace("http://www.w3.org", "")
