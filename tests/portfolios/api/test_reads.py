from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from portfolios.selectors.report import full_report
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
    make_position,
    make_run,
)

Bot = Callable[..., Client]
REPORTED = ("accounts", "portfolios", "orders", "balances", "discrepancies", "incidents", "runs")


@pytest.fixture
def reader(bot: Bot) -> Client:
    return bot("read")


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


def answer(client: Client, path: str) -> Any:
    response = client.get(f"/api/v1{path}")
    assert response.status_code == 200, response.content
    return response.json()


@pytest.mark.usefixtures("one_of_each")
@pytest.mark.parametrize("name", REPORTED)
def test_a_list_holds_what_the_report_holds(reader: Client, name: str) -> None:
    told = json.loads(json.dumps(full_report()[name]))

    assert answer(reader, f"/{name}") == {"items": told, "count": 1}


@pytest.mark.usefixtures("one_of_each")
@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("fills", "symbol", "BTC/USDT"),
        ("flows", "kind", "deposit"),
        ("ledger", "portfolio", "alpha"),
    ],
)
def test_facts_are_listed(reader: Client, name: str, field: str, value: str) -> None:
    [row] = answer(reader, f"/{name}")["items"]

    assert (row["account"], row[field]) == ("main", value)


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
        "/orders?offset=1",
    ],
)
def test_what_is_not_asked_for_is_left_out(reader: Client, path: str) -> None:
    assert answer(reader, path)["items"] == []


@pytest.mark.usefixtures("one_of_each")
def test_one_is_shown_by_its_name(reader: Client) -> None:
    assert answer(reader, "/accounts/main")["market"] == "binance"
    assert answer(reader, "/portfolios/alpha")["account"] == "main"


@pytest.mark.parametrize("path", ["/accounts/none", "/portfolios/none", "/runs/77"])
def test_what_does_not_exist_is_not_found(reader: Client, path: str) -> None:
    response = reader.get(f"/api/v1{path}")

    assert (response.status_code, response.json()) == (
        404,
        {"detail": "There is nothing of this name."},
    )


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "offset=-1", "limit=x"])
def test_a_page_that_cannot_be_is_refused(reader: Client, query: str) -> None:
    assert reader.get(f"/api/v1/orders?{query}").status_code == 422


def test_pages_follow_one_another(reader: Client) -> None:
    account = make_account()
    for number in range(3):
        make_order(account, external_id=str(number))

    pages = [answer(reader, f"/orders?limit=2&offset={offset}") for offset in (0, 2)]

    ids = [[row["external_id"] for row in page["items"]] for page in pages]
    assert (ids, pages[0]["count"]) == ([["2", "1"], ["0"]], 3)


def test_the_documentation_needs_a_log_in_and_no_other_host(admin_client: Client) -> None:
    page = admin_client.get("/api/v1/docs").content.decode()

    assert Client().get("/api/v1/docs").status_code == 302
    assert "/api/v1/portfolios/{name}/orders/{client_order_id}" in page
    assert "http" not in page.replace("http://www.w3.org", "")
