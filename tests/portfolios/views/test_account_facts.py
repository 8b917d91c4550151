"""What an account's pages say of its orders, its flows, and how far it was read."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from portfolios.models import Discrepancy, ExchangeAccount, Portfolio
from portfolios.selectors.coverage import MAX_ROWS
from portfolios.selectors.listing import PER_PAGE
from providers.reports import FlowKind, FlowSource, FlowStatus, LegKind, LegStatus
from tests.builders import (
    NOON,
    make_account,
    make_cursor,
    make_discrepancy,
    make_flow,
    make_leg,
    make_order,
    make_portfolio,
    make_quarantine,
    make_run,
    make_version,
)
from tests.portfolios.views.pages import html_of, shown

Code = Discrepancy.Code


def page_of(client: Client, account: ExchangeAccount, name: str) -> str:
    return shown(client, f"/accounts/{account.pk}/{name}/")


def an_hour_ago() -> datetime:
    return timezone.now() - timedelta(minutes=61)


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ({"filled": Decimal("0.004")}, "Open partly filled"),
        ({"filled": Decimal("0.01")}, "Open filled, not yet confirmed"),
        ({"fills_wanted": 3}, "Open its fills are still being read"),
        ({"frozen_because": "its ids are of two orders"}, "frozen: its ids are of two orders"),
    ],
)
def test_an_order_says_what_is_to_be_known_of_it(
    client: Client, order: dict[str, Any], said: str
) -> None:
    account = make_account()
    make_order(account, **order)

    assert said in page_of(client, account, "orders")


def test_an_order_that_is_missing_says_since_when_and_how_often_it_was_looked_for(
    client: Client,
) -> None:
    account = make_account()
    make_order(account, missing_since=an_hour_ago(), strikes=2)

    assert "not found for 1 h, 2 of 3 looks" in page_of(client, account, "orders")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (Code.ORDER_FILLS_INCOMPLETE, "Ended, but not all fills are read"),
        (Code.ORDER_FILLED_UNKNOWN, "Ended, but the exchange does not say how much was filled"),
    ],
)
def test_an_ended_order_says_what_is_missing_of_it(client: Client, code: Code, said: str) -> None:
    account = make_account()
    order = make_order(account, status="closed")
    found = make_discrepancy(account, order=order, code=code)

    html = html_of(client.get(f"/accounts/{account.pk}/orders/?orders=over"))

    assert f'href="/discrepancies/{found.pk}/">{said}</a>' in html


def test_what_is_settled_is_not_said_of_an_order(client: Client) -> None:
    account = make_account()
    order = make_order(account)
    make_discrepancy(account, order=order, code=Code.ORDER_OVERFILLED, state="RESOLVED")

    assert "More was filled than ordered" not in page_of(client, account, "orders")


def test_an_amended_order_shows_its_former_terms(client: Client) -> None:
    account = make_account()
    order = make_order(account, amount=Decimal("0.8"))
    make_version(order, amount=Decimal(1), price=Decimal(49000))

    page = page_of(client, account, "orders")

    assert "changed once" in page
    assert "1 at 49000 until 2026-11-22 12:00:00" in page


def test_an_external_order_can_be_given_to_the_live_portfolios_of_its_account(
    client: Client,
) -> None:
    account = make_account()
    make_order(account, external_id="77")
    make_portfolio(account, name="alpha")
    make_portfolio(account, name="paper", mode=Portfolio.Mode.BACKTEST)
    make_portfolio(name="elsewhere")

    assert "belongs to … alpha Give 77" in page_of(client, account, "orders")


def test_an_order_that_has_an_owner_is_not_offered(client: Client) -> None:
    portfolio = make_portfolio()
    make_order(portfolio)

    assert "belongs to …" not in page_of(client, portfolio.account, "orders")


def test_it_shows_flows_with_sign_state_and_the_exchanges_own_word(client: Client) -> None:
    account = make_account()
    make_flow(
        account,
        source=FlowSource.WITHDRAWALS,
        kind=FlowKind.WITHDRAWAL,
        asset="USDT",
        amount=Decimal("-100.000000000000000001"),
        fees=[{"asset": "USDT", "amount": "1.5"}],
        status=FlowStatus.PENDING,
        raw_kind="chain withdrawal",
        external_id="w-1",
        settled_at=None,
    )

    assert (
        "Withdrawal USDT spot · chain withdrawal Pending -100.000000000000000001 1.5 USDT w-1"
        in page_of(client, account, "flows")
    )


def test_a_flow_of_before_the_baseline_says_so(client: Client) -> None:
    account = make_account()
    make_flow(account, in_baseline=True)

    assert "Done before the baseline" in page_of(client, account, "flows")


def test_of_many_flows_the_newest_are_on_the_first_page(client: Client) -> None:
    account = make_account()
    make_flow(account, external_id="the-oldest")
    for number in range(PER_PAGE):
        make_flow(account, occurred_at=NOON + timedelta(seconds=number + 1))

    assert "the-oldest" not in page_of(client, account, "flows")


@pytest.mark.parametrize(
    ("leg", "said"),
    [
        ({"status": LegStatus.SKIPPED, "why_incomplete": "no time"}, "Skipped no time"),
        (
            {"status": LegStatus.UNSUPPORTED, "why_incomplete": "no such list"},
            "Not offered by the exchange no such list",
        ),
        ({"status": LegStatus.FAILED, "error_message": "no answer"}, "Failed no answer"),
        ({"why_incomplete": "a page is missing"}, "Read a page is missing"),
    ],
)
def test_what_the_last_run_did_not_read_whole_is_said_with_why(
    client: Client, leg: dict[str, Any], said: str
) -> None:
    run = make_run()
    make_leg(run, kind=LegKind.ACCOUNT_FILLS, subject="ADA/EUR", **{"complete": False} | leg)

    assert f"Fills of the account ADA/EUR {said}" in page_of(client, run.account, "coverage")


def test_a_run_that_read_everything_says_so(client: Client) -> None:
    run = make_run()
    make_leg(run)
    make_leg(
        run,
        kind=LegKind.ORDER,
        complete=False,
        status=LegStatus.FAILED,
        error_category="not_found",
    )

    assert "The last run read all that it asked for." in page_of(client, run.account, "coverage")


def test_only_the_last_run_counts(client: Client) -> None:
    account = make_account()
    make_leg(make_run(account), complete=False, why_incomplete="long ago")
    make_run(account)

    assert "long ago" not in page_of(client, account, "coverage")


def test_a_read_that_is_not_believed_yet_is_named(client: Client) -> None:
    account = make_account()
    make_quarantine(account, times_seen=2)

    page = page_of(client, account, "coverage")

    assert "Balances spot read something too strange to be believed, 2 times." in page


def test_it_says_how_far_each_list_was_read_the_furthest_back_first(client: Client) -> None:
    account = make_account()
    make_cursor(account, subject="ADA/EUR")
    make_cursor(
        account, kind=LegKind.FLOWS, subject="deposits", covered_until=NOON - timedelta(days=1)
    )

    page = page_of(client, account, "coverage")

    assert "Fills and flows are read without a gap until 2026-11-21 12:00:00" in page
    assert "Fills of the account ADA/EUR until 2026-11-22 12:00:00" in page
    assert page.index("Flows deposits until") < page.index("Fills of the account ADA/EUR")


def test_a_list_that_is_longer_than_the_page_says_so(client: Client) -> None:
    account = make_account()
    for number in range(MAX_ROWS):
        make_cursor(account, subject=f"A{number}/EUR")

    assert "Lists that were read further are not shown." in page_of(client, account, "coverage")
