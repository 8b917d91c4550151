"""The ways that people go in a browser: from a tile to the cause of a failure, and through decisions."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from portfolios.models import Discrepancy, Order
from tests.builders import make_account, make_discrepancy, make_incident, make_occurrence, make_run
from tests.portfolios.services.decisions.cases import a_claim

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_failure_is_followed_from_its_tile_to_its_cause_and_its_run(admin_page: Page) -> None:
    account = make_account(label="main")
    run = make_run(account, status="failed")
    incident = make_incident(
        account, category="auth", type="AuthenticationError", message="The key was refused."
    )
    make_occurrence(incident, run, trace="File providers/legs.py, line 59")
    admin_page.goto("/")

    admin_page.get_by_role("link", name="See what to do").click()
    admin_page.get_by_role("link", name="The key was refused.").click()

    expect(admin_page.get_by_role("heading", name="What to do")).to_be_visible()
    expect(admin_page.get_by_text("providers/legs.py, line 59")).to_be_visible()
    admin_page.get_by_role("link", name=f"Run {run.pk}").first.click()
    expect(admin_page.get_by_role("heading", name=f"Run {run.pk} of main")).to_be_visible()


def test_a_difference_is_dismissed_and_opened_again(admin_page: Page) -> None:
    row = make_discrepancy(make_account(), state="OPEN", asset="BTC", wallet="spot")
    admin_page.goto(f"/discrepancies/{row.pk}/")

    admin_page.get_by_role("link", name="Dismiss").click()
    admin_page.get_by_label("Reason").fill("known to us")
    admin_page.get_by_role("button", name="Dismiss").click()

    expect(admin_page.get_by_role("heading", level=1)).to_contain_text("Dismissed")
    expect(admin_page.get_by_text("known to us").first).to_be_visible()
    admin_page.get_by_role("link", name="Open again").click()
    admin_page.get_by_role("button", name="Open again").click()
    expect(admin_page.get_by_role("heading", level=1)).to_contain_text("Open")
    assert Discrepancy.objects.values_list("state", flat=True).get() == "OPEN"


def test_an_order_that_nobody_booked_is_given_to_a_portfolio(admin_page: Page) -> None:
    proposal = a_claim()
    order = Order.objects.get(pk=proposal.given["order"])
    admin_page.goto(f"/accounts/{proposal.account.pk}/orders/")

    row = admin_page.get_by_role("row").filter(has_text=order.external_id)
    row.get_by_label("Portfolio that the order belongs to").select_option(
        str(proposal.given["portfolio"])
    )
    row.get_by_role("button", name="Give").click()
    expect(admin_page.get_by_role("heading", name="What it changes")).to_be_visible()
    admin_page.locator("form[method=post].panel button[type=submit]").click()

    expect(admin_page.get_by_text("Done:")).to_be_visible()
    assert (
        Order.objects.values_list("portfolio", flat=True).get(pk=order.pk)
        == (proposal.given["portfolio"])
    )
