from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from portfolios.models import Decision, Discrepancy
from portfolios.services.decisions import DecisionRefused
from tests.builders import make_discrepancy
from tests.portfolios.services.decisions.cases import REASON, Kind, do, done, reversal

D = Decimal
State = Discrepancy.State
pytestmark = pytest.mark.django_db


def test_the_reason_of_a_person_is_told_in_the_life_of_the_discrepancy() -> None:
    row = make_discrepancy()

    decision = do(row.account, Kind.DISMISS, discrepancy=row.pk)

    event = row.events.get()
    assert (event.decision, event.reason) == (decision, REASON)
    assert (event.before, event.after) == (State.OPEN, State.DISMISSED)


def test_it_is_acknowledged_until_a_time() -> None:
    row = make_discrepancy()
    until = timezone.now() + timedelta(days=1)

    do(row.account, Kind.ACKNOWLEDGE, discrepancy=row.pk, until=until.isoformat())

    row.refresh_from_db()
    assert (row.state, row.acknowledged_until) == (State.ACKNOWLEDGED, until)


@pytest.mark.parametrize("until", ["2020-01-01T00:00:00Z", "2100-01-01T00:00:00", "soon", 1])
def test_a_time_that_is_over_or_none_is_refused(until: object) -> None:
    row = make_discrepancy()

    with pytest.raises(DecisionRefused, match="until a time to come"):
        do(row.account, Kind.ACKNOWLEDGE, discrepancy=row.pk, until=until)


def test_what_its_state_does_not_allow_is_refused() -> None:
    row = make_discrepancy(state=State.RESOLVED)

    with pytest.raises(DecisionRefused, match=f"of account {row.account}"):
        do(row.account, Kind.DISMISS, discrepancy=row.pk)


def test_what_was_opened_again_goes_back_to_the_time_it_was_acknowledged_for() -> None:
    row = make_discrepancy()
    until = timezone.now() + timedelta(days=1)
    do(row.account, Kind.ACKNOWLEDGE, discrepancy=row.pk, until=until.isoformat())

    done(reversal(do(row.account, Kind.REOPEN, discrepancy=row.pk)))

    row.refresh_from_db()
    assert (row.state, row.acknowledged_until) == (State.ACKNOWLEDGED, until)


@pytest.mark.parametrize("kind", [Kind.DISMISS, Kind.ACKNOWLEDGE])
def test_what_has_grown_since_it_was_opened_again_is_not_put_aside_with_it(
    kind: Decision.Kind,
) -> None:
    row = make_discrepancy(difference=D(-2))
    do(row.account, kind, discrepancy=row.pk)
    row.refresh_from_db()
    then = row.fingerprint, row.acknowledged_difference
    again = do(row.account, Kind.REOPEN, discrepancy=row.pk)
    Discrepancy.objects.update(difference=D(-9))

    done(reversal(again))

    row.refresh_from_db()
    assert (row.fingerprint, row.acknowledged_difference) == then


@pytest.mark.parametrize("kind", [Kind.DISMISS, Kind.ACKNOWLEDGE])
def test_what_was_known_before_is_known_as_before_when_it_is_taken_back(
    kind: Decision.Kind,
) -> None:
    row = make_discrepancy(difference=D(-2))
    until = timezone.now() + timedelta(days=1)
    do(row.account, Kind.ACKNOWLEDGE, discrepancy=row.pk, until=until.isoformat())
    Discrepancy.objects.update(difference=D(-1))

    done(reversal(do(row.account, kind, discrepancy=row.pk)))

    row.refresh_from_db()
    assert (row.state, row.fingerprint) == (State.ACKNOWLEDGED, "")
    assert (row.acknowledged_difference, row.acknowledged_until) == (D(-2), until)
