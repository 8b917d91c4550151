from __future__ import annotations

import pytest

from portfolios.models import JudgedContent, JudgedSnapshot, SyncRun
from portfolios.selectors.run_changes import VerdictChange, run_changes
from tests.builders import NOON, make_account, make_run

pytestmark = pytest.mark.django_db


def judge(run: SyncRun, **verdicts: str) -> SyncRun:
    """Note what a run said of the assets of its spot wallet."""
    rows = {"spot": {asset: {"verdict": verdict} for asset, verdict in verdicts.items()}}
    content, _is_new = JudgedContent.objects.get_or_create(
        account=run.account, digest=str(rows)[:64], defaults={"rows": rows}
    )
    JudgedSnapshot.objects.create(
        account=run.account,
        run=run,
        content=content,
        window_low=NOON,
        window_high=NOON,
        seen_at=NOON,
    )
    return run


def test_a_verdict_changed_if_the_look_before_gave_another_one() -> None:
    account = make_account()
    judge(make_run(account), BTC="VERIFIED", ETH="VERIFIED")
    make_run(account)  # judged nothing
    run = judge(make_run(account), BTC="DIFFERS", ETH="VERIFIED", SOL="VERIFIED")

    assert run_changes(run).verdicts == [
        VerdictChange("spot", "BTC", "VERIFIED", "DIFFERS"),
        VerdictChange("spot", "SOL", "", "VERIFIED"),
    ]


def test_what_another_account_was_told_does_not_count() -> None:
    judge(make_run(make_account()), BTC="DIFFERS")
    run = judge(make_run(make_account()), BTC="VERIFIED")

    assert run_changes(run).verdicts == [VerdictChange("spot", "BTC", "", "VERIFIED")]


def test_the_same_said_again_is_no_change() -> None:
    account = make_account()
    judge(make_run(account), BTC="VERIFIED")

    assert run_changes(judge(make_run(account), BTC="VERIFIED")).verdicts == []


def test_a_run_that_judged_nothing_has_no_verdicts_to_compare() -> None:
    assert run_changes(make_run()).verdicts is None
