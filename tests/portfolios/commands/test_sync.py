from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django.fixtures import Settings

from portfolios.models import ExchangeAccount, SyncRun
from portfolios.selectors.report import full_report
from portfolios.services.manual_sync import sync_now
from portfolios.services.runs import claim_run, close_run, open_run
from providers.sandbox.faults import Fault, FaultKind
from tests.desk import Desk

pytestmark = pytest.mark.django_db

Status = SyncRun.Status


@dataclass
class Answer:
    exit_code: int
    out: str
    err: str

    @property
    def runs(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(self.out)
        return rows


def sync(*args: str) -> Answer:
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("sync", *args, stdout=out, stderr=err)
    assert isinstance(ended.value.code, int)
    return Answer(ended.value.code, out.getvalue(), err.getvalue())


def labels(answer: Answer) -> list[str]:
    return [run["account"] for run in answer.runs]


@pytest.fixture
def second(desk: Desk) -> Desk:
    desk.engine.add_account("second-key", "second-secret")
    return Desk(
        desk.server, label="second", credential={"apiKey": "second-key", "secret": "second-secret"}
    )


def test_without_a_name_every_account_is_synced(desk: Desk, second: Desk) -> None:
    assert labels(sync("--format", "json")) == ["desk", "second"]


def test_all_is_every_account(desk: Desk, second: Desk) -> None:
    assert labels(sync("--all", "--format", "json")) == ["desk", "second"]


def test_only_the_named_account_is_synced(desk: Desk, second: Desk) -> None:
    assert labels(sync("--account", "second", "--format", "json")) == ["second"]


def test_an_account_named_twice_is_synced_once(desk: Desk, second: Desk) -> None:
    answer = sync("--account", "second", "--account", "second", "--format", "json")

    assert labels(answer) == ["second"]


def test_an_unknown_account_is_one_line_and_no_sync(desk: Desk) -> None:
    with pytest.raises(CommandError, match=r"^There is no account nobody\.$") as refused:
        call_command("sync", "--account", "desk", "--account", "nobody")

    # 1 would say that something differs.
    assert refused.value.returncode == 2
    assert desk.requests() == []


def test_f43_a_paused_account_is_left_alone(desk: Desk, second: Desk) -> None:
    ExchangeAccount.objects.filter(label="desk").update(paused=True)

    assert labels(sync("--format", "json")) == ["second"]
    assert labels(sync("--all", "--format", "json")) == ["second"]


def test_a_paused_account_that_is_named_is_synced(desk: Desk, second: Desk) -> None:
    ExchangeAccount.objects.filter(label="desk").update(paused=True)

    assert labels(sync("--account", "desk", "--format", "json")) == ["desk"]
    assert labels(sync("--account", "desk", "--all", "--format", "json")) == ["desk", "second"]


def test_f43_a_backtest_makes_no_request(desk: Desk) -> None:
    desk.open_portfolio("100", mode="backtest")

    answer = sync("--format", "json")

    assert (answer.exit_code, desk.requests()) == (0, [])


def test_json_is_a_list_of_runs_as_the_report_has_them(desk: Desk) -> None:
    answer = sync("--format", "json")

    assert answer.runs == full_report()["runs"]
    assert answer.runs[0]["trigger"] == "cli"


def test_progress_goes_to_standard_error(desk: Desk) -> None:
    answer = sync("--format", "json")

    assert answer.err.splitlines() == ["desk: reading the exchange", "desk: Succeeded"]


def test_text_is_one_line_an_account(desk: Desk) -> None:
    answer = sync()

    assert answer.out.startswith("desk: succeeded, ")
    assert answer.out.endswith(" requests, 0 orders checked, 0 changed\n")


def test_text_says_what_went_wrong(desk: Desk) -> None:
    desk.server.faults.append(Fault(FaultKind.EXPIRED_KEY))

    assert sync().out.startswith("desk: failed, ")
    assert " - binance: " in sync().out


def test_no_account_at_all_is_nothing_to_do() -> None:
    assert sync("--format", "json").out == "[]\n"
    assert sync() == Answer(0, "There is no account to sync.\n", "")


# Exit codes: 0 in agreement, 1 something differs, 2 a run was not whole.


def test_agreement_is_exit_code_0(desk: Desk) -> None:
    desk.deposit("EUR", "100")
    desk.open_portfolio("100")

    assert [sync().exit_code, sync().exit_code] == [0, 0]


def test_an_open_difference_is_exit_code_1(desk: Desk) -> None:
    desk.deposit("EUR", "100")
    desk.open_portfolio("100")
    sync()
    desk.take_away("EUR", "10")

    assert [sync().exit_code, sync().exit_code] == [0, 1]


def test_a_difference_of_another_account_does_not_count(desk: Desk, second: Desk) -> None:
    desk.deposit("EUR", "100")
    desk.open_portfolio("100")
    sync()
    desk.take_away("EUR", "10")
    sync()
    sync()

    assert sync("--account", "second").exit_code == 0


def test_a_partial_run_is_exit_code_2(desk: Desk) -> None:
    desk.deposit("EUR", "10")
    desk.open_portfolio("100")

    answer = sync("--format", "json")

    assert (answer.runs[0]["status"], answer.exit_code) == ("partial", 2)


def test_a_failed_run_is_exit_code_2(desk: Desk, second: Desk) -> None:
    desk.server.faults.append(Fault(FaultKind.EXPIRED_KEY, api_key="second-key"))

    answer = sync("--format", "json")

    assert {run["account"]: run["status"] for run in answer.runs} == {
        "desk": "succeeded",
        "second": "failed",
    }
    assert answer.exit_code == 2


# A run that another process has begun


def test_a_run_of_another_process_is_waited_for(desk: Desk) -> None:
    opened, _ = open_run(desk.account, SyncRun.Trigger.MANUAL)
    theirs = claim_run(opened.pk)
    assert theirs is not None
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if line.endswith("under way"):
            close_run(theirs, Status.SUCCEEDED)

    [run] = sync_now([desk.account], say=say)

    assert (run.pk, run.status, desk.requests()) == (theirs.pk, Status.SUCCEEDED, [])
    assert said == ["desk: waiting for the sync that is under way", "desk: Succeeded"]


def test_a_run_that_waits_for_a_worker_is_taken_at_once(desk: Desk) -> None:
    waiting, _ = open_run(desk.account, SyncRun.Trigger.MANUAL)

    [run] = sync_now([desk.account])

    assert (run.pk, run.status, run.trigger) == (waiting.pk, Status.SUCCEEDED, "manual")


def test_a_run_whose_process_has_vanished_is_taken_over(desk: Desk, settings: Settings) -> None:
    settings.POSSYNC_LEASE_SECONDS = 1
    opened, _ = open_run(desk.account, SyncRun.Trigger.MANUAL)
    vanished = claim_run(opened.pk)
    assert vanished is not None
    started = timezone.now()

    [run] = sync_now([desk.account])

    assert (run.status, run.attempts) == (Status.SUCCEEDED, 2)
    vanished.refresh_from_db()
    assert vanished.status == Status.LOST
    assert timezone.now() - started > timedelta(seconds=0.9)
