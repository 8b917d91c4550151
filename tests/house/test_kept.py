from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from portfolios.models import ExchangeAccount, SyncRun
from tests.builders import make_account, make_run
from tests.kept import kept, rows_of_all_tables
from tests.portfolios.services.reads import balances, look, make_books, open_orders

pytestmark = pytest.mark.django_db
seen: list[Any] = []


@kept
def account() -> ExchangeAccount:
    opened = make_books(positions={"BTC": "2"})
    look(opened, open_orders(), balances(EUR="100", BTC="2"))
    return opened


@pytest.mark.parametrize("time", ["first", "second", "third"])
def test_what_a_test_spoils_the_next_one_has_as_it_was(account: ExchangeAccount, time: str) -> None:
    seen.append((rows_of_all_tables(), account.label))

    account.label = "spoilt"
    account.save()
    account.positions.all().delete()
    make_run(account)

    assert all(one == seen[0] for one in seen), time


@pytest.mark.parametrize("time", ["first", "second"])
def test_new_rows_have_the_ids_that_follow(account: ExchangeAccount, time: str) -> None:
    last = SyncRun.objects.latest("pk").pk

    assert (make_account().pk, make_run(account).pk) == (account.pk + 1, last + 1), time


@pytest.mark.parametrize("time", ["first", "second"])
def test_the_clock_goes_on_from_when_it_was_made(account: ExchangeAccount, time: str) -> None:
    finished = account.runs.get().finished_at
    assert finished is not None

    assert timedelta(0) <= timezone.now() - finished < timedelta(seconds=1), time


@pytest.fixture
def january() -> Iterator[None]:
    with time_machine.travel("2026-01-05T12:00Z"):
        yield


@pytest.mark.parametrize("time", ["first", "second"])
def test_where_the_clock_was_moved_it_is_made_at_that_time(
    january: None, account: ExchangeAccount, time: str
) -> None:
    assert account.baseline_at is not None

    assert account.baseline_at.month == 1, time
