from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from portfolios.models import Decision, Discrepancy, ExchangeAccount
from portfolios.services.decisions import DecisionRefused
from portfolios.services.decisions.bulk import (
    Selection,
    SelectionChanged,
    decide_many,
    selection_of,
)
from tests.builders import make_account, make_discrepancy, make_order, make_portfolio
from tests.portfolios.services.decisions.cases import REASON, Kind, a_lapse, stored

Code = Discrepancy.Code
State = Discrepancy.State
pytestmark = pytest.mark.django_db


def chosen(kind: Decision.Kind, *rows: Discrepancy) -> Selection:
    return selection_of(kind, [row.pk for row in rows])


def decided(shown: Selection, **kwargs: Any) -> list[Decision]:
    defaults: dict[str, Any] = {"given": {}, "actor": None, "reason": REASON, "token": shown.token}
    return decide_many(shown, **defaults | kwargs)


def states(*rows: Discrepancy) -> list[str]:
    return [Discrepancy.objects.get(pk=row.pk).state for row in rows]


def test_each_row_has_a_decision_that_says_who_and_why() -> None:
    rows = make_discrepancy(), make_discrepancy()
    alice = User.objects.create_user("alice")

    made = decided(chosen(Kind.DISMISS, *rows), actor=alice)

    assert states(*rows) == [State.DISMISSED] * 2
    told = {(one.account, one.actor_name, one.reason) for one in made}
    assert told == {(row.account, "alice", REASON) for row in rows}


def test_what_is_given_holds_for_all_of_them() -> None:
    rows = make_discrepancy(), make_discrepancy()
    until = timezone.now() + timedelta(days=1)

    decided(chosen(Kind.ACKNOWLEDGE, *rows), given={"until": until.isoformat()})

    assert {row.acknowledged_until for row in Discrepancy.objects.all()} == {until}


def test_none_is_decided_if_one_is_refused() -> None:
    rows = make_discrepancy(), make_discrepancy()
    before = stored()

    with pytest.raises(DecisionRefused):
        decided(chosen(Kind.ACKNOWLEDGE, *rows), given={"until": "2020-01-01T00:00:00Z"})

    assert stored() == before


@pytest.mark.parametrize(
    "change",
    [
        {"difference": Decimal("-0.2")},
        {"state": State.SUSPECTED},
        {"episode": 2},
        {"state": "RESOLVED"},
    ],
)
def test_what_is_not_what_was_shown_is_not_decided(change: dict[str, Any]) -> None:
    row, other = make_discrepancy(), make_discrepancy()
    shown = chosen(Kind.DISMISS, row, other)
    Discrepancy.objects.filter(pk=row.pk).update(**change)

    with pytest.raises(SelectionChanged):
        decided(shown)

    assert states(other) == [State.OPEN]


def test_what_was_only_seen_again_is_decided() -> None:
    row = make_discrepancy()
    shown = chosen(Kind.DISMISS, row)
    Discrepancy.objects.update(times_seen=9, last_seen=timezone.now())

    decided(shown)

    assert states(row) == [State.DISMISSED]


def test_nothing_is_decided_that_nobody_was_shown() -> None:
    with pytest.raises(SelectionChanged):
        decided(chosen(Kind.DISMISS, make_discrepancy()), token="")


def test_nothing_is_decided_without_a_reason() -> None:
    with pytest.raises(DecisionRefused, match="reason is missing"):
        decided(chosen(Kind.DISMISS, make_discrepancy()), reason=" ")


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        (Kind.DISMISS, State.RESOLVED),
        (Kind.ACKNOWLEDGE, State.ACKNOWLEDGED),
        (Kind.REOPEN, State.OPEN),
        (Kind.ACCEPT_LAPSE, State.OPEN),
    ],
)
def test_what_a_decision_does_not_fit_is_left_out(kind: Decision.Kind, state: str) -> None:
    row = make_discrepancy(state=state)

    selection = chosen(kind, row)

    assert selection.fitting == ()
    assert [left for left, _why in selection.left_out] == [row]


def test_an_account_that_is_only_observed_is_left_out() -> None:
    row = make_discrepancy(make_account(policy=ExchangeAccount.Policy.OBSERVE))

    [(left, why)] = chosen(Kind.DISMISS, row).left_out

    assert left == row
    assert "only observed" in why


def test_orders_of_several_accounts_lapse_together() -> None:
    orders = [a_lapse().given["order"] for _number in range(2)]
    rows = Discrepancy.objects.filter(order__in=orders)

    decided(chosen(Kind.ACCEPT_LAPSE, *rows))

    assert {row.order.status for row in rows.select_related("order") if row.order} == {"lapsed"}


def test_two_proofs_of_one_order_are_decided_once() -> None:
    order = make_order(make_portfolio())
    codes = (Code.ORDER_MISSING_AT_VENUE, Code.ORDER_RETENTION_EXPIRED)
    rows = [make_discrepancy(order.account, order=order, code=code) for code in codes]

    made = decided(chosen(Kind.ACCEPT_LAPSE, *rows))

    assert len(made) == 1
    assert states(*rows) == [State.RESOLVED] * 2
