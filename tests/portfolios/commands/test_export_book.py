from __future__ import annotations

import io
import json

import pytest
from django.core.management import call_command

from portfolios.services.book import export_book
from tests.desk import Desk


def test_it_prints_the_book_and_nothing_else(desk: Desk) -> None:
    desk.deposit("EUR", "10")
    desk.open_portfolio("10")
    out, err = io.StringIO(), io.StringIO()

    call_command("export_book", stdout=out, stderr=err)

    assert json.loads(out.getvalue()) == export_book()
    assert err.getvalue() == ""


@pytest.mark.django_db
def test_books_without_anything_are_empty_lists() -> None:
    out = io.StringIO()

    call_command("export_book", stdout=out)

    empty: dict[str, list[object]] = {
        "accounts": [],
        "portfolios": [],
        "positions": [],
        "orders": [],
        "asset_rules": [],
        "claim_rules": [],
    }
    assert json.loads(out.getvalue()) == empty
