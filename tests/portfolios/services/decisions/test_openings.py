from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from portfolios.models import AssetBalance, Portfolio
from portfolios.services.decisions import DecisionRefused, preview
from portfolios.services.decisions.openings import cash_there
from portfolios.services.ledger import rewrite_reserved
from tests.builders import make_order
from tests.portfolios.services.decisions.cases import an_opening, done, stored

D = Decimal
pytestmark = pytest.mark.django_db


def test_it_is_opened_with_what_is_free_and_what_its_own_orders_lock() -> None:
    proposal = an_opening()
    make_order(proposal.account.portfolios.get())

    assert cash_there(Portfolio.objects.get()) == D(1300)


def test_to_look_at_what_is_there_writes_nothing() -> None:
    an_opening()
    before = stored()

    cash_there(Portfolio.objects.get())

    assert stored() == before


def test_the_newest_read_counts_while_it_is_not_settled() -> None:
    an_opening()
    AssetBalance.objects.update(provisional=True, newest_free=D(750))

    assert cash_there(Portfolio.objects.get()) == D(750)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"free": None}, "is not known"),
        ({"free": D(-1)}, "is not known"),
        ({"asset": "EUR"}, "is not known"),
        ({"free": D(700)}, "There are 700 USDT for portfolio"),
    ],
)
def test_what_is_not_there_is_refused(values: dict[str, Any], why: str) -> None:
    proposal = an_opening()
    AssetBalance.objects.update(**values)

    with pytest.raises(DecisionRefused, match=why):
        preview(proposal)


def test_what_is_open_is_not_opened_again() -> None:
    proposal = an_opening()
    done(proposal)

    with pytest.raises(DecisionRefused, match="is open already"):
        done(proposal)


def test_what_its_orders_lock_is_not_available() -> None:
    proposal = an_opening()
    make_order(proposal.account.portfolios.get())
    rewrite_reserved(proposal.account)
    proposal = type(proposal)(proposal.account, proposal.kind, {**proposal.given, "amount": "1300"})

    done(proposal)

    held = proposal.account.positions.get()
    assert (held.amount, held.available) == (D(1300), D(800))
