from __future__ import annotations

import pytest
from playwright.sync_api import Page


@pytest.mark.browser
def test_a_browser_shows_pages_to_an_administrator(admin_page: Page) -> None:
    answer = admin_page.goto("/admin/")

    assert answer is not None
    assert answer.status == 200
    assert "/login" not in admin_page.url
