from __future__ import annotations

from collections.abc import Iterator

import pytest

from portfolios.models import ExchangeAccount
from portfolios.services.verification import verify_books
from tests.desk import Desk
from tests.kept import kept
from tests.portfolios.services.reads import balances, look, make_books, open_orders


@pytest.fixture(autouse=True)
def the_books_add_up(db: None) -> Iterator[None]:
    """Recompute after each scenario everything that is stored from its facts."""
    yield
    verification = verify_books()
    assert verification.difference is None


@kept
def account() -> ExchangeAccount:
    """Open the books of an account that holds 100 EUR; differences open at the second look."""
    opened = make_books()
    look(opened, open_orders(), balances(EUR="100"))
    return opened


@pytest.fixture
def trader(desk: Desk) -> Desk:
    """Open a portfolio with 1000 EUR on an account that holds 100 EUR more."""
    desk.deposit("EUR", "1100")
    desk.open_portfolio("1000")
    desk.sync()
    return desk
