"""What a stranger does with a fresh installation: start it, log in, press "Sync now", look around."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.house.processes import ROOT, Running, free_port, product_environment, running

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, str]]:
    folder: Path = tmp_path_factory.mktemp("demo")
    port = free_port()
    environment = product_environment(folder, PORT=str(port))
    with running((sys.executable, ROOT / "manage.py", "up"), environment) as process:
        process.line(r"^PosSync is at ", seconds=90)
        yield process, f"http://127.0.0.1:{port}"
        process.stop()


@pytest.fixture
def visitor(browser: Browser, started: tuple[Running, str]) -> Iterator[Page]:
    process, url = started
    password = process.line(r"^admin password: ").removeprefix("admin password: ")
    context = browser.new_context(base_url=url)
    page = context.new_page()
    page.goto("/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    yield page
    context.close()


def sync_now(page: Page, account: str) -> None:
    page.goto("/")
    page.get_by_role("link", name=account, exact=True).click()
    page.get_by_role("button", name="Sync now").click()
    panel = page.locator(".progress-panel")
    expect(panel).to_contain_text(f"Sync of {account}")
    expect(panel).to_contain_text("checked", timeout=30_000)


def test_sync_now_shows_progress_and_then_positions(visitor: Page) -> None:
    sync_now(visitor, "Main desk")

    visitor.get_by_role("link", name="alpha", exact=True).first.click()

    positions = visitor.get_by_role("table", name="Positions")
    expect(positions.get_by_role("row", name=re.compile("^BTC"))).to_be_visible()
    expect(positions.get_by_role("row", name=re.compile("^USDT"))).to_be_visible()


def test_a_movement_without_record_becomes_an_open_difference(visitor: Page) -> None:
    difference = visitor.get_by_role("row").filter(has_text="BTC").filter(has_text="Open")
    for _press in range(12):
        sync_now(visitor, "Main desk")
        visitor.goto("/discrepancies/?state=OPEN")
        if difference.count():
            break
        visitor.wait_for_timeout(3_000)  # the demo's lag and grace lie between two looks

    expect(difference.first).to_contain_text("0.0137")


def test_the_failure_of_an_account_is_in_the_exception_history(visitor: Page) -> None:
    visitor.goto("/exceptions/")

    expect(visitor.get_by_role("row").filter(has_text="Grid bot").first).to_be_visible()
