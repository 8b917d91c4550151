"""An account's row that nobody can read keeps no other account from being synced."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from portfolios.models import ExchangeAccount, SyncRun
from portfolios.services.runs import open_run
from portfolios.tasks import dispatch_due, wake_if_needed
from tests.builders import make_account
from tests.damage import damage
from tests.portfolios.test_tasks import queued, queued_runs

pytestmark = pytest.mark.django_db
# What reading it raises; other times that are none are read as none.
NO_TIME = {"sqlite": "2001-99-99 12:00:00", "postgresql": "-infinity"}[connection.vendor]
# What a column holds on SQLite, whatever it is declared as.
NO_UUID = [("uuid", "zz")] if connection.vendor == "sqlite" else []


@pytest.fixture
def damaged() -> ExchangeAccount:
    return make_account(label="damaged")


@pytest.fixture
def whole() -> ExchangeAccount:
    return make_account(label="whole")


@pytest.mark.parametrize(("column", "value"), [("next_sync_at", NO_TIME), *NO_UUID])
def test_the_others_that_are_due_are_synced(
    damaged: ExchangeAccount, whole: ExchangeAccount, column: str, value: str
) -> None:
    damage("portfolios_exchangeaccount", column, value, pk=damaged.pk)

    wake_if_needed()
    assert [task["func"] for task in queued()] == ["portfolios.tasks.dispatch_due"]
    dispatch_due()

    assert list(SyncRun.objects.values_list("account", flat=True)) == [whole.pk]


def test_the_runs_of_others_that_lost_their_tasks_find_new_ones(
    damaged: ExchangeAccount, whole: ExchangeAccount
) -> None:
    runs = [open_run(each, SyncRun.Trigger.SCHEDULE)[0] for each in (damaged, whole)]
    SyncRun.objects.update(queued_at=timezone.now() - timedelta(minutes=5))
    damage("portfolios_exchangeaccount", "created_at", NO_TIME, pk=damaged.pk)

    dispatch_due()

    assert queued_runs() == [[runs[1].pk]]


def test_the_log_names_the_row(damaged: ExchangeAccount, caplog: pytest.LogCaptureFixture) -> None:
    damage("portfolios_exchangeaccount", "next_sync_at", NO_TIME, pk=damaged.pk)

    dispatch_due()

    told = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    assert ("ExchangeAccount", damaged.pk) in [(said.get("of"), said.get("row")) for said in told]
