from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from django.db import connections
from django.utils import timezone
from playwright.sync_api import ConsoleMessage, Page, expect

from portfolios.models import AssetBalance, ExchangeAccount, SyncRun, WorkerBeat
from portfolios.services.connection_test import execute_connection_test
from providers.sandbox.server import SandboxServer
from tests.builders import (
    make_account,
    make_balance,
    make_discrepancy,
    make_incident,
    make_occurrence,
    make_order,
    make_portfolio,
    make_run,
)
from tests.desk import KEY, SECRET
from tests.portfolios.views.test_every_page import HOSTILE, PARTS, a_world

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_sync_now_shows_progress_and_then_the_result(admin_page: Page) -> None:
    account = make_account(label="main")
    make_balance(account, asset="BTC")
    admin_page.goto(f"/accounts/{account.pk}/")

    admin_page.get_by_role("button", name="Sync now").click()

    panel = admin_page.locator(".progress-panel")
    expect(panel).to_contain_text("Sync of main")
    run = SyncRun.objects.get()
    move(run, status="running", stage="fetching", progress_done=3, progress_total=9)
    expect(panel).to_contain_text("3 of 9")

    AssetBalance.objects.update(total=Decimal("0.75"))
    move(run, status="succeeded", stage="done", finished_at=timezone.now(), orders_checked=4)
    expect(panel).to_contain_text("4 orders checked")
    expect(admin_page.get_by_role("row", name="BTC")).to_contain_text("0.75")


def test_title_and_icon_tell_of_a_failure_without_a_reload(admin_page: Page) -> None:
    account = make_account()
    make_run(account)
    WorkerBeat.objects.create(name="dispatch", beat_at=timezone.now())
    admin_page.goto("/")
    icon = admin_page.locator('link[rel="icon"]')
    expect(icon).to_have_attribute("href", re.compile("favicon[.]"))

    make_run(account, status=SyncRun.Status.FAILED)
    admin_page.evaluate("htmx.trigger('#live', 'possync:refresh')")

    expect(admin_page).to_have_title(re.compile(r"^\(1\) Overview"))
    expect(icon).to_have_attribute("href", re.compile("favicon-alert"))


def test_what_is_ticked_stays_so_while_the_page_keeps_itself_up_to_date(admin_page: Page) -> None:
    make_discrepancy()
    admin_page.clock.install()
    admin_page.goto("/discrepancies/")
    tick = admin_page.locator("input[name=row]")
    tick.check()
    admin_page.get_by_role("heading", level=1).click()  # the focus leaves it

    admin_page.clock.run_for(16_000)
    admin_page.wait_for_load_state("networkidle")

    expect(tick).to_be_checked()


def test_what_has_the_focus_keeps_it_while_the_page_keeps_itself_up_to_date(
    admin_page: Page,
) -> None:
    make_discrepancy()
    admin_page.goto("/discrepancies/")
    link = admin_page.locator("#live tbody a").first
    link.focus()
    replaced = link.element_handle()

    admin_page.evaluate("htmx.trigger('#live', 'possync:refresh')")
    replaced.wait_for_element_state("hidden")

    expect(admin_page.locator("#live tbody a").first).to_be_focused()


def test_a_failure_is_followed_from_its_tile_to_its_cause(admin_page: Page) -> None:
    run = make_run(make_account(label="main"), status=SyncRun.Status.FAILED)
    incident = make_incident(run.account)
    make_occurrence(incident, run, trace="Traceback: no answer from 127.0.0.1")
    admin_page.goto("/")

    admin_page.get_by_role("link", name="Unresolved exceptions").click()
    admin_page.get_by_role("table").get_by_role("link", name=incident.message).click()

    expect(admin_page.get_by_text("no answer from 127.0.0.1")).to_be_visible()
    admin_page.get_by_role("link", name=f"Run {run.pk}").first.click()
    expect(admin_page).to_have_url(re.compile(rf"/runs/{run.pk}/"))


def test_a_difference_is_dismissed_and_opened_again(admin_page: Page) -> None:
    row = make_discrepancy()
    admin_page.goto(f"/discrepancies/{row.pk}/")

    for kind, state in (("Dismiss", "DISMISSED"), ("Open again", "OPEN")):
        admin_page.get_by_role("link", name=kind, exact=True).click()
        admin_page.get_by_label("Reason").fill("looked at it")
        admin_page.get_by_role("button", name=kind, exact=True).click()
        expect(admin_page.get_by_text(f"Done: {kind}")).to_be_visible()
        row.refresh_from_db()
        assert row.state == state


def test_an_external_order_is_given_to_a_portfolio(admin_page: Page) -> None:
    account = make_account()
    portfolio = make_portfolio(account, name="alpha")
    order = make_order(account)
    admin_page.goto(f"/accounts/{account.pk}/orders/")

    admin_page.get_by_label("Portfolio that the order belongs to").select_option("alpha")
    admin_page.get_by_role("button", name="Give").click()
    admin_page.get_by_role("button", name="Give an order to a portfolio").click()

    expect(admin_page.get_by_role("row", name="BTC/USDT")).to_contain_text("alpha")
    order.refresh_from_db()
    assert order.portfolio == portfolio


def move(run: SyncRun, **fields: object) -> None:
    SyncRun.objects.filter(pk=run.pk).update(**fields)


def work_off_the_test(account: ExchangeAccount) -> None:
    """Test the connection as a worker does: in a thread of its own, as the browser's event loop is in this one."""

    def work() -> None:
        try:
            execute_connection_test(account.pk)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


def test_a_wrong_key_is_told_and_a_right_one_accepted_without_a_reload(
    admin_page: Page, sandbox: SandboxServer
) -> None:
    admin_page.goto("/connect/")
    admin_page.get_by_label("Search").fill("binance us")
    expect(admin_page.locator(".markets li")).to_have_count(2)
    admin_page.goto("/connect/new/binance/")
    admin_page.get_by_label("Name").fill("main")
    admin_page.get_by_text("Test network, another address").click()
    admin_page.get_by_label("Endpoint").fill(sandbox.url)

    for key, told in (("wrong-key-of-mine", "refuses"), (KEY, "accepts")):
        admin_page.get_by_label("API key").fill(key)
        admin_page.get_by_label("Secret").fill(SECRET)
        admin_page.get_by_role("button", name="Store and test").click()
        expect(admin_page.get_by_text("Testing the connection")).to_be_visible()
        work_off_the_test(ExchangeAccount.objects.get())
        expect(admin_page.get_by_text(f"The exchange {told} the key.")).to_be_visible()
        if told == "refuses":
            admin_page.get_by_role("link", name="Enter another key").click()

    expect(admin_page.get_by_role("link", name="Continue")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_phone_and_breaks_no_policy(admin_page: Page, scheme: str) -> None:
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    urls = a_world(HOSTILE * 3)
    for part in PARTS:
        urls.pop(part)
    admin_page.on("console", note)
    admin_page.on("pageerror", lambda error: complaints.append(str(error)))
    admin_page.on("dialog", lambda dialog: complaints.append(dialog.message))
    admin_page.set_viewport_size({"width": 360, "height": 800})
    admin_page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")

    for name, url in urls.items():
        admin_page.goto(url)
        width = admin_page.evaluate("document.documentElement.scrollWidth")

        assert width <= 360, name
    assert complaints == []


def test_the_admin_breaks_no_policy_either(admin_page: Page) -> None:
    account = make_account()
    complaints: list[str] = []
    admin_page.on("console", lambda message: complaints.append(message.text))

    for path in (
        "",
        "portfolios/exchangeaccount/",
        f"portfolios/exchangeaccount/{account.pk}/change/",
    ):
        admin_page.goto(f"/admin/{path}")

    assert complaints == []
