from __future__ import annotations

from datetime import timedelta

import pytest

from portfolios.models import ExchangeAccount
from portfolios.selectors.incident_facts import incident_fact
from tests.builders import NOON, make_account, make_incident, make_leg, make_occurrence, make_run

LATER = NOON + timedelta(minutes=3)
pytestmark = pytest.mark.django_db


def fact(account: ExchangeAccount, category: str, **incident: str) -> str:
    return incident_fact(make_incident(account, category=category, **incident), None, NOON)


@pytest.mark.parametrize(("offset", "words"), [(42.25, "42.2 s ahead"), (-3.0, "3.0 s behind")])
def test_it_says_how_far_the_clocks_were_apart(offset: float, words: str) -> None:
    account = make_account()
    run = make_run(account)
    make_leg(run, clock_offset=offset)
    make_leg(make_run(account), clock_offset=99.0)
    incident = make_incident(account, category="clock")

    said = incident_fact(incident, make_occurrence(incident, run), NOON)

    assert words in said


def test_it_says_nothing_of_clocks_that_were_not_measured() -> None:
    assert fact(make_account(), "clock") == ""


def test_it_says_what_the_key_may_not_read() -> None:
    said = fact(make_account(), "permission", operation="fetch.balances")

    assert said == "The exchange refused to let this be read: balances."


def test_it_says_until_when_the_exchange_wants_to_be_left_alone() -> None:
    account = make_account(stay_away_until=LATER)

    assert fact(account, "rate") == (
        "The exchange asked not to be read until 2026-11-22 12:03:00 UTC."
    )


def test_what_the_exchange_asked_for_is_over_at_its_time() -> None:
    account = make_account(stay_away_until=NOON, next_sync_at=LATER)

    assert fact(account, "rate") == "The next try is at 2026-11-22 12:03:00 UTC."


def test_it_says_that_a_rejected_key_is_not_tried_again() -> None:
    assert "rejected 3 times" in fact(make_account(rejections=3), "auth")


def test_it_says_that_a_paused_account_is_not_tried_again() -> None:
    assert "paused" in fact(make_account(paused=True, next_sync_at=LATER), "maintenance")


def test_it_says_nothing_where_nothing_is_known() -> None:
    assert fact(make_account(), "bug") == ""
