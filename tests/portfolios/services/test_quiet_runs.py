"""Runs of accounts on which nothing has changed: what they leave, and what makes the next one look at everything."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portfolios.models import (
    AssetRule,
    CircuitBreaker,
    JudgedSnapshot,
    Portfolio,
    PortfolioSnapshot,
    SyncRun,
)
from portfolios.services.book import import_book
from portfolios.services.breakers import place_of
from portfolios.services.judged_contents import recomputed
from portfolios.services.portfolio_sync import execute_runs
from portfolios.services.runs import close_run, open_run
from tests.desk import Desk


@pytest.fixture
def quiet(desk: Desk) -> Desk:
    """Have a desk with three open orders whose last sync has found nothing to do."""
    desk.deposit("EUR", "100")
    desk.open_portfolio("100")
    desk.buy_often(3, "1", "2")
    desk.sync()
    assert desk.sync() == desk.account.quiet_run
    return desk


def statements_of_a_sync(desk: Desk) -> int:
    with CaptureQueriesContext(connection) as asked:
        desk.sync()
    return len(asked)


def test_a_quiet_run_is_a_run_like_any_other(quiet: Desk) -> None:
    run = quiet.sync()

    assert (run.status, run.orders_checked, run.orders_changed) == ("succeeded", 3, 0)
    assert (run.http_requests, run.balances_read, run.stage) == (2, True, "done")
    assert quiet.account.quiet_run == run
    assert (quiet.account.next_sync_at or timezone.now()) > timezone.now()


def test_a_quiet_run_asks_the_database_half_as_often(quiet: Desk) -> None:
    of_quiet_run = statements_of_a_sync(quiet)
    AssetRule.objects.create(account=quiet.account, kind="earn", asset="DOT")

    assert 2 * of_quiet_run < statements_of_a_sync(quiet)


def test_a_quiet_run_costs_the_database_the_same_however_many_orders(quiet: Desk) -> None:
    of_three = statements_of_a_sync(quiet)
    quiet.buy_often(20, "1", "2")
    quiet.sync()
    quiet.sync()

    assert statements_of_a_sync(quiet) == of_three


def test_the_verdicts_of_a_quiet_run_are_those_of_its_own_read(quiet: Desk) -> None:
    before = quiet.account.verified_at

    run = quiet.sync()

    snapshot = JudgedSnapshot.objects.get(run=run)
    assert before != snapshot.seen_at
    assert quiet.account.verified_at == snapshot.seen_at
    assert snapshot.settled_by == run
    assert {row.observed_at for row in quiet.account.balances.all()} == {snapshot.seen_at}


def test_a_past_verdict_of_a_quiet_run_is_recomputed_to_the_same(quiet: Desk) -> None:
    snapshot = JudgedSnapshot.objects.get(run=quiet.sync())

    assert snapshot.content is not None
    assert snapshot.content.rows
    assert recomputed(snapshot) == snapshot.content.rows


def test_a_quiet_run_confirms_what_the_portfolios_are(quiet: Desk) -> None:
    run = quiet.sync()

    assert PortfolioSnapshot.objects.get().last_run == run


def change_nothing_but_a_deposit(desk: Desk) -> None:
    desk.deposit("EUR", "1")


def change_an_order(desk: Desk) -> None:
    desk.engine.cancel_order(desk.account.orders.earliest("pk").external_id)


def add_a_rule(desk: Desk) -> None:
    AssetRule.objects.create(account=desk.account, kind="earn", asset="DOT")


def change_a_rule(desk: Desk) -> None:
    rule = AssetRule.objects.create(account=desk.account, kind="earn", asset="DOT")
    desk.sync()
    rule.asset = "BTC"
    rule.save()


def open_another_portfolio(desk: Desk) -> None:
    desk.open_portfolio("0", name="beta")


def book_an_order(desk: Desk) -> None:
    desk.note("999", "buy", "1", "2", "ADA/EUR")


def change_a_setting(desk: Desk) -> None:
    account = desk.account
    account.lag_seconds = 5
    account.save()


def change_a_setting_alone(desk: Desk) -> None:
    account = desk.account
    account.lag_seconds = 5
    account.save(update_fields=["lag_seconds"])


def import_a_setting(desk: Desk) -> None:
    import_book({"accounts": [{"label": desk.label, "market": "binance", "policy": "observe"}]})


def fail_once(desk: Desk) -> None:
    run, _is_new = open_run(desk.account, SyncRun.Trigger.MANUAL)
    account = desk.account
    account.lease_expires_at = timezone.now()
    account.save(update_fields=["lease_expires_at"])
    run.fence = account.lease_fence
    close_run(run, SyncRun.Status.FAILED)


@pytest.mark.parametrize(
    "change",
    [
        change_nothing_but_a_deposit,
        change_an_order,
        add_a_rule,
        change_a_rule,
        open_another_portfolio,
        book_an_order,
        change_a_setting,
        change_a_setting_alone,
        import_a_setting,
        fail_once,
    ],
)
def test_after_a_change_the_next_sync_looks_at_everything(
    quiet: Desk, change: Callable[[Desk], None]
) -> None:
    of_quiet_run = statements_of_a_sync(quiet)
    change(quiet)

    assert statements_of_a_sync(quiet) > 2 * of_quiet_run


def test_while_something_differs_no_run_is_quiet(quiet: Desk) -> None:
    quiet.take_away("EUR", "1")

    for _sync in range(3):
        quiet.sync()

    assert quiet.account.quiet_run is None
    assert [row.state for row in quiet.differences()] == ["OPEN"]


def test_a_quiet_run_closes_the_circuit_of_its_market(quiet: Desk) -> None:
    CircuitBreaker.objects.create(
        place=place_of(quiet.account), since=timezone.now(), failures=5, message="no answer"
    )

    quiet.sync()

    assert not CircuitBreaker.objects.exists()


def test_the_first_run_of_a_day_proves_the_books_however_quiet(quiet: Desk) -> None:
    SyncRun.objects.update(queued_at=timezone.now() - timedelta(days=1))
    # Only the whole proof sees it.
    Portfolio.objects.update(realized_gain="5")

    quiet.sync()

    assert quiet.account.read_only_because


def test_a_rule_that_is_made_while_a_run_is_under_way_is_looked_at_by_the_next(quiet: Desk) -> None:
    add_a_rule(quiet)
    run, _is_new = open_run(quiet.account, SyncRun.Trigger.MANUAL)
    with time_machine.travel(timezone.now() - timedelta(minutes=1)):
        execute_runs([run.pk])  # it began before the rule was made

    assert quiet.account.quiet_run is None
    assert quiet.sync() == quiet.account.quiet_run
