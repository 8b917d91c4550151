"""More sold than the books hold: owed until it is bought back, and gained only then."""

from __future__ import annotations

from decimal import Decimal

import pytest

from portfolios.models import Decision, LedgerEntry, Portfolio, Position
from portfolios.services.decisions.booking import Line, book
from portfolios.services.integrity import first_break, rebuild_positions
from tests.builders import make_order, make_portfolio
from tests.portfolios.services.reads import apply_report, make_order_report

D = Decimal
pytestmark = pytest.mark.django_db


@pytest.fixture
def alpha() -> Portfolio:
    return make_portfolio(name="alpha", trading_symbol="EUR")


def trade(alpha: Portfolio, side: str, amount: str, price: str, symbol: str = "ADA/EUR") -> None:
    number = str(alpha.orders.count() + 1)
    terms = {"symbol": symbol, "side": side, "amount": D(amount), "price": D(price)}
    order = make_order(alpha, external_id=number, created_at=None, **terms)
    cost = D(amount) * D(price)
    apply_report(order, make_order_report(number, **terms, filled=D(amount), cost=cost))


def state(alpha: Portfolio, asset: str = "ADA") -> tuple[Decimal, Decimal, Decimal]:
    alpha.refresh_from_db()
    position = Position.objects.get(portfolio=alpha, asset=asset)
    return position.amount, position.cost, alpha.realized_gain


def test_nothing_is_gained_of_what_was_never_held(alpha: Portfolio) -> None:
    trade(alpha, "buy", "5", "2")

    trade(alpha, "sell", "8", "3")

    assert state(alpha) == (D(-3), D(-9), D(5))


def test_bought_back_its_gain_is_real_and_the_cost_starts_anew(alpha: Portfolio) -> None:
    trade(alpha, "buy", "5", "2")
    trade(alpha, "sell", "8", "3")

    trade(alpha, "buy", "4", "2.5")

    assert state(alpha) == (D(1), D("2.5"), D("6.5"))


def test_sold_again_the_last_of_it_leaves_no_cost(alpha: Portfolio) -> None:
    for side, amount, price in (("sell", "3", "3"), ("buy", "4", "2.5"), ("sell", "1", "4")):
        trade(alpha, side, amount, price)

    assert state(alpha) == (D(0), D(0), D(3))


def test_a_purchase_that_is_told_after_its_sale_gains_what_both_brought(alpha: Portfolio) -> None:
    trade(alpha, "sell", "5", "3")

    trade(alpha, "buy", "5", "2")

    assert state(alpha) == (D(0), D(0), D(5))


def test_bought_back_with_another_asset_it_gains_over_what_that_had_cost(alpha: Portfolio) -> None:
    trade(alpha, "buy", "1", "8", "BTC/EUR")
    trade(alpha, "sell", "3", "3")

    trade(alpha, "buy", "4", "0.25", "ADA/BTC")

    assert state(alpha) == (D(1), D(2), D(3))
    assert state(alpha, "BTC")[:2] == (D(0), D(0))


def test_what_a_person_gives_covers_what_is_owed(alpha: Portfolio) -> None:
    trade(alpha, "sell", "3", "3")
    decision = Decision.objects.create(account=alpha.account, kind=Decision.Kind.ASSIGN_FLOW)

    book(alpha.account, decision, [Line(alpha, "ADA", D(4), LedgerEntry.Cause.ASSIGNMENT)])

    assert state(alpha) == (D(1), D(0), D(9))


def test_the_books_prove_and_rebuild_it(alpha: Portfolio) -> None:
    for side, amount, price in (("buy", "5", "2"), ("sell", "8", "3"), ("buy", "4", "2.5")):
        trade(alpha, side, amount, price)
    before = state(alpha)
    assert first_break(alpha.account, is_thorough=True) is None

    Position.objects.update(cost=D(77))
    rebuild_positions(alpha.account)

    assert state(alpha) == before
