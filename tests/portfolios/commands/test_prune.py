from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from portfolios.models import SyncRun
from portfolios.services import pruning
from tests.builders import make_account, make_run

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def three_old_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "LOOKS_KEPT", 1)
    account = make_account()
    for _ in range(3):
        make_run(account, finished_at="2020-01-01T00:00:00Z")


def test_it_says_what_it_took_away(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("prune")

    assert "        2  runs" in capsys.readouterr().out.splitlines()
    assert SyncRun.objects.count() == 1


def test_it_only_counts_if_asked_to(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("prune", "--dry-run")

    assert "        2  runs" in capsys.readouterr().out.splitlines()
    assert SyncRun.objects.count() == 3


def test_it_keeps_at_least_a_day() -> None:
    with pytest.raises(CommandError, match=r"^--days must be at least 1\.$"):
        call_command("prune", "--days", "0")


def test_it_says_of_every_table_what_bounds_it(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("prune", "--tables")

    told = capsys.readouterr().out
    assert "kept for ever: facts" in told
    assert "portfolios.LedgerEntry" in told
    assert SyncRun.objects.count() == 3
