from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from portfolios.management.benchmark import ASSETS, judge_account, made_account
from tests.portfolios.commands.command_line import Manage


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench") / "data"


@pytest.fixture(scope="module")
def measured(data_folder: Path) -> Any:
    done = Manage(data_folder, data_folder.parent)("bench", "--accounts", "16", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_judging_costs_no_more_than_fetching(measured: Any) -> None:
    assert 0 < measured["judging_to_fetching"] <= 1


def test_judging_four_times_as_many_costs_about_four_times_as_much(measured: Any) -> None:
    few, _, many = measured["judging_seconds_per_account"].values()

    assert few / 2 < many < few * 2


def test_every_asset_of_an_account_is_judged() -> None:
    assert judge_account(made_account()) == ASSETS


def test_every_account_is_read_by_two_requests(measured: Any) -> None:
    assert measured["requests"] == 2 * 16


def test_it_leaves_nothing_behind_but_the_installation_s_key(
    measured: Any, data_folder: Path
) -> None:
    assert [path.name for path in data_folder.iterdir()] == ["secret.key"]


def test_too_few_accounts_to_compare_are_one_line() -> None:
    with pytest.raises(CommandError, match=r"^--accounts must be at least 4\.$"):
        call_command("bench", accounts=3)
