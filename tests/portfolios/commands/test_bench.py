from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from portfolios.management.benchmark import judge_account, made_account
from portfolios.management.benchmark_exchange import ASSETS
from tests.builders import make_account
from tests.hypothesis_profiles import IS_PROVE
from tests.portfolios.commands.command_line import Manage

# What it does, not how fast: times are nothing to be asserted on a machine that others use too.
ACCOUNTS = 4
SHORT = [
    *("--accounts", str(ACCOUNTS), "--sizes", "1", "--orders", "50"),
    *("--latencies", "0", "--repeats", "1", "--paged", "600"),
]


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench") / "data"


@pytest.fixture(scope="module")
def measured(data_folder: Path) -> Any:
    if not IS_PROVE:
        pytest.skip("starts a dozen processes: part of the long proof")
    done = Manage(data_folder, data_folder.parent)("bench", *SHORT, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_judging_is_told_beside_fetching_and_for_several_numbers_of_accounts(
    measured: Any,
) -> None:
    assert measured["judging"]["judging_to_fetching"] > 0
    assert len(measured["judging"]["ms_each"]) == 3


def test_every_asset_of_an_account_is_judged() -> None:
    assert judge_account(made_account()) == ASSETS


def test_every_account_is_read_by_two_requests(measured: Any) -> None:
    assert measured["judging"]["requests"] == 2 * ACCOUNTS


def test_an_unchanged_account_is_synced_by_two_requests(measured: Any) -> None:
    [told] = measured["one_account"]

    assert (told["orders"], told["requests"]) == (50, 2)
    assert told["seconds"] > told["floor_seconds"] > 0


def test_the_pace_is_told_beside_that_of_bare_ccxt(measured: Any) -> None:
    assert measured["against_ccxt"]["to_ccxt"] > 0


def test_a_worker_stays_small(measured: Any) -> None:
    memory = measured["memory"]

    assert 50 < memory["worker_mb"] < 200
    assert memory["growth_mb"] < 10


def test_a_large_account_is_read_page_after_page(measured: Any) -> None:
    assert measured["paged"]["orders"] == 600
    assert measured["paged"]["requests"] == 2 + 1
    assert measured["paged"]["first_seconds"] > 0


def test_it_leaves_nothing_behind_but_the_installation_s_key(
    measured: Any, data_folder: Path
) -> None:
    assert [path.name for path in data_folder.iterdir()] == ["secret.key"]


def test_too_few_accounts_to_compare_are_one_line() -> None:
    with pytest.raises(CommandError, match=r"^--accounts must be at least 4\.$"):
        call_command("bench", accounts=3)


@pytest.mark.skipif(not IS_PROVE, reason="makes thousands of rows: part of the long proof")
def test_pages_are_measured_on_a_database_of_its_own(tmp_path: Path) -> None:
    done = Manage(tmp_path / "data", tmp_path)(
        "bench", *["--pages", "--scale", "1", "--repeats", "1"]
    )

    assert done.returncode == 0, done.stderr
    assert "/discrepancies/" in done.stdout


@pytest.mark.django_db
@pytest.mark.parametrize(
    "words", [["bench", "--on-this-database"], ["make_bench_data"]], ids=["bench", "data"]
)
def test_a_database_with_accounts_is_left_alone(words: list[str]) -> None:
    make_account()

    with pytest.raises(CommandError, match="There are accounts in this database"):
        call_command(*words)
