"""What a browser's own rules and a keyboard say of the pages."""

from __future__ import annotations

import re
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from portfolios.models import SyncRun
from tests.builders import make_account
from tests.portfolios.views.test_every_page import PARTS, a_world

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

BAD = ("serious", "critical")
# WCAG 2.2 A and AA. Whatever has no colour in it is the same in both themes.
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
IN_LIGHT = {"resultTypes": ["violations"], "runOnly": WCAG}
IN_DARK = {"resultTypes": ["violations"], "runOnly": ["color-contrast"]}


def test_axe_finds_nothing_serious_on_any_page_in_either_theme(admin_page: Page) -> None:
    urls = {name: url for name, url in a_world().items() if name not in PARTS}

    found = {}
    for name, url in urls.items():
        admin_page.emulate_media(color_scheme="light")
        admin_page.goto(url)
        admin_page.evaluate(AXE_SCRIPT)
        bright = _violations(admin_page, IN_LIGHT)
        admin_page.emulate_media(color_scheme="dark")
        found[name] = bright + _violations(admin_page, IN_DARK)

    assert {name: told for name, told in found.items() if told} == {}


def _violations(page: Page, options: dict[str, Any]) -> list[str]:
    violations = page.evaluate("async options => (await axe.run(options)).violations", options)
    return [
        f"{one['id']}: {one['help']}: {[node['html'][:150] for node in one['nodes'][:3]]}"
        for one in violations
        if one["impact"] in BAD
    ]


def test_the_main_action_is_reached_and_pressed_by_keyboard_alone(admin_page: Page) -> None:
    make_account(label="main")
    admin_page.goto("/accounts/")

    admin_page.keyboard.press("Tab")
    expect(admin_page.get_by_role("link", name="Skip to content")).to_be_focused()
    admin_page.keyboard.press("Enter")
    _tab_to(admin_page, "Sync now")
    assert admin_page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    admin_page.keyboard.press("Enter")

    expect(admin_page.locator(".progress-panel")).to_contain_text("Sync of main")
    assert SyncRun.objects.get().trigger == SyncRun.Trigger.MANUAL


def _tab_to(page: Page, word: str, most: int = 30) -> None:
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.locator("button:focus", has_text=word).count():
            return
    pytest.fail(f"{word} is not reached by {most} presses of Tab.")


def test_language_and_theme_are_switched_and_stay(admin_page: Page) -> None:
    admin_page.emulate_media(color_scheme="light")
    admin_page.goto("/accounts/?sort=market")
    admin_page.get_by_role("button", name="Switch between light and dark").click()

    admin_page.get_by_role("button", name="简体中文").click()

    expect(admin_page).to_have_url(re.compile(r"/accounts/\?sort=market$"))
    expect(admin_page.get_by_role("heading", level=1)).to_contain_text("账户")
    expect(admin_page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(admin_page.locator("html")).to_have_attribute("lang", "zh-hans")
    admin_page.get_by_role("button", name="English").click()
    expect(admin_page.get_by_role("heading", level=1)).to_contain_text("Accounts")
