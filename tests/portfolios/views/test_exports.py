from __future__ import annotations

import csv
import io
import json
from decimal import Decimal

import pytest
from django.test import Client

from portfolios.models import Decision
from portfolios.selectors.exports import EXPORTS
from portfolios.views.exports import cell
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


def exported(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return b"".join(response).decode()


def rows_of(client: Client, url: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(exported(client, url).removeprefix("\ufeff"))))


def make_one_of_each() -> None:
    portfolio = make_portfolio(name="alpha")
    order = make_order(portfolio)
    make_position(portfolio)
    make_fill(order)
    make_flow(portfolio.account)
    make_entry(portfolio)
    make_balance(portfolio.account)
    make_discrepancy(portfolio.account)
    make_incident(portfolio.account)
    Decision.objects.create(account=portfolio.account, kind=Decision.Kind.ADJUST, subject="BTC")
    make_leg(make_run(portfolio.account))


@pytest.mark.parametrize("name", EXPORTS)
def test_both_forms_hold_the_same_row(client: Client, name: str) -> None:
    make_one_of_each()

    [of_csv] = rows_of(client, f"/export/{name}.csv")
    [of_json] = json.loads(exported(client, f"/export/{name}.json"))

    assert list(of_csv) == list(of_json)
    assert of_csv["account"] == of_json["account"] != ""


@pytest.mark.parametrize("name", EXPORTS)
def test_an_empty_list_is_an_empty_export(client: Client, name: str) -> None:
    assert json.loads(exported(client, f"/export/{name}.json")) == []
    assert rows_of(client, f"/export/{name}.csv") == []


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
    "url", ["/export/secrets.csv", "/export/orders.csv?account=77", "/export/orders.csv?account=x"]
)
def test_what_does_not_exist_is_not_found(client: Client, url: str) -> None:
    assert client.get(url).status_code == 404


def test_a_stranger_gets_no_export() -> None:
    assert Client().get("/export/orders.csv").status_code == 302


def test_the_list_links_to_its_export(client: Client) -> None:
    make_discrepancy()

    assert 'href="/export/discrepancies.csv"' in client.get("/discrepancies/").content.decode()
