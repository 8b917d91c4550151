from __future__ import annotations

import re
from decimal import Decimal

import pytest
from django.utils import timezone
from playwright.sync_api import ConsoleMessage, Page, expect

from portfolios.models import AssetBalance, SyncRun, WorkerBeat
from tests.builders import make_account, make_balance, make_run
from tests.portfolios.views.test_every_page import HOSTILE, a_world

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


def move(run: SyncRun, **fields: object) -> None:
    SyncRun.objects.filter(pk=run.pk).update(**fields)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_phone_and_breaks_no_policy(admin_page: Page, scheme: str) -> None:
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    urls = a_world(HOSTILE * 3)
    urls.pop("run_progress")  # a part of pages
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


def test_the_theme_is_switched_and_stays(admin_page: Page) -> None:
    admin_page.emulate_media(color_scheme="light")
    admin_page.goto("/")

    admin_page.get_by_role("button", name="Switch between light and dark").click()

    expect(admin_page.locator("html")).to_have_attribute("data-theme", "dark")
    admin_page.reload()
    expect(admin_page.locator("html")).to_have_attribute("data-theme", "dark")


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
