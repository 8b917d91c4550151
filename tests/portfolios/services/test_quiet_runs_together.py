"""Many runs that changed nothing, closed in one transaction: each still only by the worker that holds its account."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from portfolios.models import ExchangeAccount, PortfolioSnapshot, SyncRun
from portfolios.services.portfolio_sync import confirm_runs
from portfolios.services.runs import claim_run, claim_runs, open_run
from portfolios.services.snapshot_requests import snapshot_request
from providers.reports import Depth, Snapshot
from tests.kept import kept
from tests.portfolios.services.reads import (
    balances,
    begin,
    look,
    make_books,
    open_orders,
)

pytestmark = pytest.mark.django_db
Read = tuple[SyncRun, Snapshot]


@kept
def accounts() -> list[ExchangeAccount]:
    """Have two accounts whose last syncs have found nothing to do."""
    made = [make_books(label) for label in ("one", "two")]
    for account in made:
        for _look in range(2):
            look(account, open_orders(), balances(EUR="100"))
        look(account, open_orders(), balances(EUR="100"), depth=Depth.CHEAP)
        assert account.quiet_run is not None
    return made


def read(account: ExchangeAccount, eur: str = "100") -> Read:
    run = begin(account)
    legs = (open_orders(), balances(EUR=eur))
    return run, Snapshot(snapshot_request(account), legs, Depth.CHEAP, http_requests=2)


def statuses() -> list[str]:
    newest = SyncRun.objects.order_by("account", "-pk")
    return [newest.filter(account=x)[0].status for x in ExchangeAccount.objects.order_by("pk")]


def test_two_are_closed_in_as_many_statements_as_one(accounts: list[ExchangeAccount]) -> None:
    alone = read(accounts[0])
    with CaptureQueriesContext(connection) as of_one:
        confirm_runs([alone])
    reads = [read(account) for account in accounts]
    with CaptureQueriesContext(connection) as of_two:
        confirmed = confirm_runs(reads)

    assert confirmed == {run.pk for run, _snapshot in reads}
    assert len(of_two) == len(of_one)
    assert statuses() == ["succeeded"] * 2
    for run, _snapshot in reads:
        account = ExchangeAccount.objects.get(pk=run.account_id)
        shown = account.balances.get()
        assert (account.quiet_run, account.lease_expires_at) == (run, None)
        assert account.verified_at == run.snapshot.seen_at == shown.observed_at == shown.newest_at
        assert PortfolioSnapshot.objects.get(portfolio__account=account).last_run == run
        assert (run.snapshot.settled_by, run.legs.count(), run.http_requests) == (run, 2, 2)


def test_one_that_was_taken_over_is_not_closed_by_the_old_worker(
    accounts: list[ExchangeAccount],
) -> None:
    late, *others = [read(account) for account in accounts]
    ExchangeAccount.objects.filter(pk=accounts[0].pk).update(
        lease_fence=late[0].account.lease_fence + 1
    )

    assert confirm_runs([late, *others]) == {run.pk for run, _snapshot in others}
    assert statuses() == ["running", "succeeded"]


def test_one_that_was_let_go_is_not_closed(accounts: list[ExchangeAccount]) -> None:
    gone = read(accounts[0])
    ExchangeAccount.objects.filter(pk=accounts[0].pk).update(lease_expires_at=None)

    assert confirm_runs([gone]) == set()


def test_one_that_read_something_else_is_left_to_be_booked(
    accounts: list[ExchangeAccount],
) -> None:
    changed, *others = [read(accounts[0], "99"), *map(read, accounts[1:])]

    assert confirm_runs([changed, *others]) == {run.pk for run, _snapshot in others}


def test_two_are_claimed_in_as_many_statements_as_one() -> None:
    accounts = [make_books(label) for label in ("one", "two", "three")]
    runs = [open_run(account, SyncRun.Trigger.SCHEDULE)[0] for account in accounts]
    with CaptureQueriesContext(connection) as of_one:
        claim_run(runs[0].pk)
    with CaptureQueriesContext(connection) as of_two:
        claimed = claim_runs([run.pk for run in runs])

    assert claimed == runs[1:]
    assert len(of_two) == len(of_one)
    for run in claimed:
        stored = SyncRun.objects.select_related("account").get(pk=run.pk)
        assert (run.fence, run.attempts, run.status) == (stored.account.lease_fence, 1, "running")
        assert (stored.fence, stored.attempts, stored.status) == (run.fence, 1, "running")
