from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portfolios.models import RateBudget, SyncRun
from portfolios.services.breakers import place_of
from portfolios.services.budgets import (
    StoredBudgets,
    Taken,
    bring_back,
    held_until,
    hold,
    hold_all,
    reserve,
)
from portfolios.services.snapshot_requests import snapshot_request
from providers.budgets import Pacing
from providers.ccxt_provider import CCXTPortfolioProvider
from providers.fetching import fetch_snapshots
from providers.reports import Snapshot
from providers.sandbox.faults import Fault, FaultKind
from providers.sandbox.server import SandboxServer
from tests.builders import make_account
from tests.desk import Desk

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
BOTH = ("binance", "binance key 1")
pytestmark = pytest.mark.django_db


@time_machine.travel(NOON, tick=False)
def test_what_one_process_takes_the_next_one_waits_for() -> None:
    starts = [reserve(["binance"], 2.0, 1.0).starts_in for _process in range(3)]

    assert starts == [-1, 1, 3]


@time_machine.travel(NOON, tick=False)
def test_of_two_budgets_the_fuller_one_decides() -> None:
    reserve(["binance"], 5.0, 0.0)

    assert reserve(BOTH, 1.0, 0.0).starts_in == 5
    assert reserve(["binance key 1"], 1.0, 0.0).starts_in == 6


@time_machine.travel(NOON, tick=False)
def test_nothing_is_spent_before_a_hold_ends() -> None:
    hold("binance", 60)
    hold("binance", 5)

    assert reserve(BOTH, 1.0, 1.0) == Taken(60, {"binance": 60})


def test_taking_of_known_budgets_is_one_read_and_one_write() -> None:
    reserve(BOTH, 1.0, 1.0)

    with CaptureQueriesContext(connection) as queries:
        reserve(BOTH, 1.0, 1.0)

    words = [query["sql"].split()[0] for query in queries]
    assert (words.count("SELECT"), words.count("UPDATE"), words.count("INSERT")) == (1, 1, 0)


def test_while_the_database_is_away_a_process_keeps_within_budgets_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("portfolios.services.budgets.reserve", _locked)
    store = StoredBudgets()

    assert store.reserve(["binance"], 9.0, 0.0) == 0
    assert store.reserve(["binance"], 1.0, 0.0) > 8.9


@pytest.mark.django_db(transaction=True)
def test_while_the_database_is_away_what_an_exchange_asked_others_is_not_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = StoredBudgets()
    hold("binance", 600)
    store.reserve(["binance"], 1.0, 0.0)

    monkeypatch.setattr("portfolios.services.budgets.reserve", _locked)

    assert store.reserve(["binance"], 1.0, 0.0) > 590


@pytest.mark.django_db(transaction=True)
def test_what_an_exchange_asked_while_the_database_was_away_is_told_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = StoredBudgets()
    with monkeypatch.context() as away:
        away.setattr("portfolios.services.budgets.hold", _locked)
        store.hold("binance", 600)
    assert not RateBudget.objects.exists()

    store.reserve(["kraken"], 1.0, 0.0)

    assert reserve(["binance"], 1.0, 0.0).starts_in > 590


@time_machine.travel(NOON, tick=False)
def test_what_a_clock_that_was_ahead_used_up_and_held_is_taken_back() -> None:
    with time_machine.travel(NOON + timedelta(days=30), tick=False):
        reserve(["binance"], 1.0, 0.0)
        hold("kraken", 600)
        reserve(["kraken"], 1.0, 0.0)

    bring_back()

    assert [reserve([name], 1.0, 0.0).starts_in for name in ("binance", "kraken")] == [0, 0]


@time_machine.travel(NOON, tick=False)
def test_what_an_exchange_may_ask_is_not_taken_back() -> None:
    hold("binance", 86_400)
    reserve(["binance"], 30.0, 0.0)

    bring_back()

    assert reserve(["binance"], 1.0, 0.0).starts_in == 86_430


def _locked(*_asked: object) -> float:
    raise OperationalError("database is locked")


def test_a_ban_of_one_account_counts_for_all_at_its_market(desk: Desk) -> None:
    other = {"apiKey": "other-key", "secret": "other-secret"}
    desk.engine.add_account(other["apiKey"], other["secret"])
    neighbour = Desk(desk.server, label="neighbour", credential=other)
    desk.server.faults.append(Fault(FaultKind.BANNED, retry_after=900, times=1))
    desk.sync()
    desk.server.requests.clear()

    run = neighbour.sync()

    assert (run.status, list(desk.server.requests)) == (SyncRun.Status.FAILED, [])
    assert "asked not to be read before" in run.message


def test_when_the_ban_is_over_they_are_read_again(desk: Desk) -> None:
    now = timezone.now()
    hold_all(desk.account, 900)

    with time_machine.travel(now + timedelta(seconds=901)):
        assert desk.sync().status == SyncRun.Status.SUCCEEDED


def test_where_keys_are_counted_another_key_is_not_held() -> None:
    account, other = make_account(market="kraken"), make_account(market="kraken")
    RateBudget.objects.create(name="kraken key 1", used_until=NOON, held_until=NOON)

    hold("kraken key 1", 3600)

    assert held_until(account, timezone.now()) is held_until(other, timezone.now()) is None


def test_an_exchange_that_asks_for_years_is_left_alone_for_a_day() -> None:
    account = make_account()

    hold_all(account, 1e12)

    until = held_until(account, timezone.now())
    assert until is not None
    assert until <= timezone.now() + timedelta(days=1)


def test_a_run_tells_how_long_it_waited(desk: Desk) -> None:
    assert desk.sync().waited_seconds == 0


@pytest.mark.django_db(transaction=True)
def test_a_provider_finds_what_another_process_has_used_up(sandbox: SandboxServer) -> None:
    desk = Desk(sandbox)
    request = snapshot_request(desk.account)
    place, key = sorted((place_of(desk.account), request.key_name))
    reserve([place], 1.4, 1.0)
    provider = CCXTPortfolioProvider(
        endpoint_allowlist=("127.0.0.1",), pacing=Pacing(StoredBudgets(), everywhere=True)
    )

    [snapshot] = [x for x in fetch_snapshots([(provider, request)]) if isinstance(x, Snapshot)]

    assert snapshot.waited_seconds > 0.1
    assert sorted(RateBudget.objects.values_list("name", flat=True)) == [place, key]
