"""What decisions booked is proved with the rest of the books: it is what the person gave, and nothing else."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from portfolios.models import Decision, ExchangeAccount, LedgerEntry, Order, Portfolio
from portfolios.reconciliation.verification import Check, Difference
from portfolios.services.journal import append_entries
from portfolios.services.verification import verify_books
from providers.reports import FlowKind
from tests.builders import make_account, make_flow
from tests.portfolios.services.decisions.cases import CASES, Kind, done, reversal

D = Decimal
pytestmark = pytest.mark.django_db


def found() -> Difference:
    difference = verify_books().difference
    assert difference is not None
    return difference


def sneak_in(**values: Any) -> None:
    """Write an entry as no service would."""
    account = ExchangeAccount.objects.get()
    entry = LedgerEntry(account=account, **{"asset": "USDT", "key": "sneaked"} | values)
    append_entries([entry])


@pytest.mark.parametrize("kind", [Kind.ADJUST, Kind.REBASELINE, Kind.ACCEPT_OPENING])
def test_a_decision_that_booked_more_than_was_given_is_found(kind: Kind) -> None:
    decision = done(CASES[kind]())
    asset = decision.ledger_entries.get().asset
    key = f"decision:{decision.pk}:more"
    sneak_in(decision=decision, cause="opening", amount=D(1), key=key, asset=asset)

    difference = found()

    assert (difference.check, difference.decision) == (Check.DECISION, decision.pk)
    assert difference.asset == asset


def test_a_decision_that_booked_nothing_of_what_was_given_is_found() -> None:
    given = {"portfolio": None, "asset": "BTC", "amount": "0.5"}
    Decision.objects.create(account=make_account(), kind=Kind.ADJUST, given=given)

    difference = found()

    assert (difference.stored, difference.recomputed) == (None, D("0.5"))


def test_a_reversal_that_booked_something_else_is_found() -> None:
    back = done(reversal(done(CASES[Kind.ADJUST]())))
    sneak_in(decision=back, cause="adjustment", amount=D(1), key=f"decision:{back.pk}:more")

    assert (found().check, found().decision) == (Check.DECISION, back.pk)


@pytest.mark.parametrize("cause", ["adjustment", "rebaseline", "assignment"])
def test_what_only_a_person_can_cause_is_found_without_a_decision(cause: str) -> None:
    flow = make_flow(kind=FlowKind.OTHER)
    sneak_in(flow=flow, cause=cause, amount=D(0), key="decision:0:nobody")

    assert found().check is Check.ENTRY


def test_an_entry_under_another_decision_than_its_own_is_found() -> None:
    decision = done(CASES[Kind.ADJUST]())
    sneak_in(decision=decision, cause="adjustment", amount=D(0), key="decision:0:another")

    assert found().check is Check.ENTRY


def test_what_a_release_left_in_the_portfolio_is_found() -> None:
    done(CASES[Kind.RELEASE_ORDER]())
    owner, order = Portfolio.objects.get(), Order.objects.get()
    key = f"order:{order.pk}:{owner.pk}:left:execution:BTC"
    values = {"asset": "BTC", "amount": D(1), "key": key}
    sneak_in(order=order, portfolio=owner, cause="execution", **values)

    difference = found()

    assert (difference.check, difference.stored) == (Check.RELEASE, D(1))
    assert difference.owner == owner.pk
