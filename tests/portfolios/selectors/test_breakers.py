from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.template.loader import render_to_string
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portfolios.models import ExchangeAccount
from portfolios.selectors.breakers import held_back
from portfolios.services.breakers import note_failure, set_aside
from portfolios.services.budgets import hold_all
from providers.reports import LegError
from tests.builders import make_account

pytestmark = pytest.mark.django_db


def fail(account: ExchangeAccount, times: int) -> None:
    for _run in range(times):
        note_failure(account, LegError("transport", "ExchangeNotAvailable", "binance <b>503</b>"))


def shown(account: ExchangeAccount) -> str:
    found = held_back(account, timezone.now())
    return " ".join(render_to_string("portfolios/_breaker.html", {"held_back": found}).split())


def test_nothing_is_told_of_an_account_that_is_well_or_has_failed_once() -> None:
    account = make_account()
    fail(account, 1)

    assert not held_back(account, timezone.now())
    assert shown(account) == ""


def test_an_open_circuit_tells_since_when_until_when_and_why() -> None:
    account = make_account()
    fail(account, 3)

    text = shown(account)

    assert "3 syncs in a row failed. The schedule does not try before <time" in text
    assert "Failing since" in text
    assert "binance &lt;b&gt;503&lt;/b&gt;" in text


def test_a_half_open_one_tells_that_the_next_sync_decides() -> None:
    account = make_account()
    fail(account, 3)

    with time_machine.travel(timezone.now() + timedelta(minutes=5)):
        [circuit] = held_back(account, timezone.now()).circuits
        assert circuit.state == "half_open"
        assert "The schedule tries now" in shown(account)


def test_the_circuit_of_the_market_is_told_to_all_its_accounts() -> None:
    one, other, third = make_account(), make_account(), make_account()
    fail(one, 3)
    fail(other, 2)

    [circuit] = held_back(third, timezone.now()).circuits
    assert circuit.is_of_market
    assert "Several accounts at this market" in shown(third)


def test_an_account_that_is_set_aside_says_why() -> None:
    account = make_account()
    set_aside(account, timezone.now())

    assert "Set aside: every attempt to sync this account ended its worker" in shown(account)


def test_what_the_exchange_asked_of_all_is_told_to_each() -> None:
    one, other = make_account(), make_account()
    hold_all(one, 600)

    until = held_back(other, timezone.now()).asked_until
    assert until is not None
    assert "The exchange asked not to be read" in shown(other)


def test_it_takes_two_queries() -> None:
    account = ExchangeAccount.objects.select_related("credential").get(pk=make_account().pk)

    with CaptureQueriesContext(connection) as queries:
        held_back(account, timezone.now())

    assert len(queries) == 2
