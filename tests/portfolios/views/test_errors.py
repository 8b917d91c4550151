from __future__ import annotations

from django.template.loader import render_to_string
from django.test import Client

from tests.portfolios.views.pages import text_of


def test_an_address_that_does_not_exist_has_a_page(client: Client) -> None:
    response = client.get("/nowhere/")

    assert response.status_code == 404
    assert "There is no such page" in text_of(response)


def test_a_fault_has_a_page_that_needs_neither_request_nor_database() -> None:
    assert "PosSync made a mistake" in render_to_string("500.html")


def test_what_is_not_allowed_has_a_page() -> None:
    assert "You may not do this" in render_to_string("403.html")
