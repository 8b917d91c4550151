from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from portfolios.selectors.report import full_report
from tests.builders import make_account, make_order, make_portfolio, make_position
from tests.desk import Desk

pytestmark = pytest.mark.django_db


def said(*args: Any) -> str:
    out = io.StringIO()
    call_command("report", *args, stdout=out)
    return out.getvalue()


def test_json_is_the_report_and_nothing_else(desk: Desk) -> None:
    desk.deposit("EUR", "10")
    desk.open_portfolio("10")
    desk.sync()

    assert json.loads(said("--format", "json")) == full_report()


def test_an_account_can_be_named() -> None:
    make_account(label="first")
    make_account(label="second")

    report = json.loads(said("--account", "second", "--format", "json"))

    assert [row["label"] for row in report["accounts"]] == ["second"]


def test_accounts_can_be_named() -> None:
    for label in ("first", "second", "third"):
        make_account(label=label)

    report = json.loads(said("--account", "first", "--account", "third", "--format", "json"))

    assert [row["label"] for row in report["accounts"]] == ["first", "third"]


def test_an_unknown_account_is_one_line_and_exit_code_2() -> None:
    with pytest.raises(CommandError, match=r"^There is no account nobody\.$") as refused:
        said("--account", "nobody")

    assert refused.value.returncode == 2


def test_text_is_a_table_a_section() -> None:
    account = make_account(label="main")
    make_position(make_portfolio(account, name="alpha"), asset="BTC")
    make_order(account, external_id="1")
    make_order(account, external_id="123456", price=None)

    lines = said().splitlines()

    start = lines.index("ORDERS (2)")
    header, first, second = lines[start + 1 : start + 4]
    assert header.split()[:3] == ["account", "external_id", "symbol"]
    assert first.index("BTC/USDT") == second.index("BTC/USDT") == header.index("symbol")
    assert " - " in second
    assert "asset=BTC amount=0.5 reserved=0 available=0.5 cost=30000" in "\n".join(lines)


def test_text_of_nothing_says_how_much_there_is_of_everything() -> None:
    assert said().split("\n\n")[0] == "ACCOUNTS (0)"
