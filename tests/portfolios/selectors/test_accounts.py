from __future__ import annotations

from datetime import timedelta

import pytest

from portfolios.models import ExchangeAccount, SyncRun
from portfolios.models.choices import Health
from portfolios.selectors.account import account_frame
from portfolios.selectors.accounts import STRIP, account_summaries, last_runs
from tests.builders import NOON, make_account, make_discrepancy, make_incident, make_run

pytestmark = pytest.mark.django_db


def summaries() -> dict[str, tuple[Health, int, int]]:
    rows = account_summaries(ExchangeAccount.objects.all(), NOON)
    return {row.account.label: (row.health, row.differences, row.failures) for row in rows}


def test_the_last_runs_are_the_newest_ones_of_each_account() -> None:
    busy, calm, new = make_account(), make_account(), make_account()
    runs = [make_run(busy) for _number in range(STRIP + 5)]
    only = make_run(calm, status=SyncRun.Status.FAILED)

    found = last_runs([busy.pk, calm.pk, new.pk])

    assert found[busy.pk] == [(run.pk, "succeeded") for run in runs[5:]]
    assert found[calm.pk] == [(only.pk, "failed")]
    assert found[new.pk] == []


def test_no_account_has_no_runs() -> None:
    assert last_runs([]) == {}


def test_the_open_run_does_not_decide_over_the_health() -> None:
    account = make_account(label="main")
    make_run(account, status=SyncRun.Status.FAILED)
    make_run(account, status=SyncRun.Status.RUNNING)

    assert summaries()["main"][0] is Health.FAILING


def test_an_overdue_account_is_late() -> None:
    account = make_account(label="main", next_sync_at=NOON - timedelta(hours=1))
    make_run(account)

    assert summaries()["main"][0] is Health.LATE


def test_counts_belong_to_their_account() -> None:
    first, second = make_account(label="first"), make_account(label="second")
    make_discrepancy(first)
    make_discrepancy(first, state="RESOLVED")
    make_incident(second)
    make_incident(second, state="resolved")

    assert summaries() == {"first": (Health.NEW, 1, 0), "second": (Health.NEW, 0, 1)}


@pytest.mark.parametrize("statuses", [["succeeded"], ["failed", "succeeded"], ["failed"], []])
def test_the_page_of_an_account_names_the_state_that_the_lists_name(statuses: list[str]) -> None:
    account = make_account()
    for status in statuses:
        make_run(account, status=status)
    make_run(account, status=SyncRun.Status.RUNNING)
    accounts = ExchangeAccount.objects.all()

    [summary], frame = account_summaries(accounts, NOON), account_frame(account.pk, NOON)

    assert frame is not None
    assert (frame.state, frame.health) == (summary.state, summary.health)
    assert summary.statuses == [*statuses, "running"]
    assert frame.last_run == summary.last_run
    assert summary.progress is not None
