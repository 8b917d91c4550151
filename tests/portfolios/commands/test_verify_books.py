from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from portfolios.models import Order, Position
from providers.reports import OrderStatus
from tests.builders import make_account, make_flow, make_order, make_portfolio, make_position
from tests.portfolios.services.reads import make_books, note_order

pytestmark = pytest.mark.django_db


def verify(*args: str) -> tuple[int, str]:
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("verify_books", *args, stdout=out)
    assert isinstance(ended.value.code, int)
    return ended.value.code, out.getvalue()


@pytest.fixture
def damaged() -> None:
    """Store a position that no entry made, with more digits than a float holds."""
    account = make_account(label="main")
    make_position(make_portfolio(account, name="alpha"), asset="BTC", amount="0.5", cost="0")
    Position.objects.update(amount="0.500000000000000001")


def test_agreement_is_one_line_that_counts_what_was_checked() -> None:
    note_order(make_books(positions={"ADA": "5"}), amount="10")

    assert verify() == (
        0,
        "Everything agrees. Checked: accounts 1, orders 1, fills 0, flows 0, ledger entries 1, positions 2.\n",
    )


def test_a_difference_is_named_in_exact_digits_and_says_what_to_do(damaged: None) -> None:
    code, said = verify()

    where, meaning = said.splitlines()
    assert code == 1
    assert where == (
        "account main, portfolio alpha, BTC, 0.500000000000000001 stored, 0 recomputed"
    )
    assert meaning.startswith("A position is not the sum of its ledger entries")


def test_a_difference_of_an_order_names_the_order() -> None:
    note_order(make_books(), status="closed")
    Order.objects.update(filled="3")

    assert "unassigned" not in verify()[1]
    assert ", order 1, 0 stored, 3 recomputed\n" in verify()[1]


def test_what_no_portfolio_holds_is_called_unassigned() -> None:
    account = make_account(label="main")
    make_order(account, symbol="ADA/EUR", price=2, amount=3, status=OrderStatus.OPEN)

    code, said = verify()

    assert (code, said.splitlines()[0]) == (
        1,
        "account main, unassigned, EUR, nothing stored, 6 recomputed",
    )


def test_a_difference_of_a_flow_names_the_flow() -> None:
    make_flow(make_account(label="main"), external_id="d-1", asset="EUR", amount="300")

    assert verify()[1].splitlines()[0] == (
        "account main, unassigned, EUR, flow d-1, nothing stored, 300 recomputed"
    )


def test_json_of_agreement_has_no_difference() -> None:
    make_books()

    code, said = verify("--format", "json")

    kinds = ("accounts", "orders", "fills", "flows", "entries", "positions")
    checked = dict.fromkeys(kinds, 0) | {"accounts": 1}
    assert code == 0
    assert json.loads(said) == {"agrees": True, "checked": checked, "difference": None}


def test_json_of_a_difference_has_amounts_as_text(damaged: None) -> None:
    code, said = verify("--format", "json")

    answer: dict[str, Any] = json.loads(said)
    meaning = answer["difference"].pop("meaning")
    assert (code, answer["agrees"]) == (1, False)
    assert meaning.startswith("A position is not the sum of its ledger entries")
    assert answer["difference"] == {
        "check": "position",
        "account": "main",
        "portfolio": "alpha",
        "asset": "BTC",
        "order": None,
        "fill": None,
        "flow": None,
        "stored": "0.500000000000000001",
        "recomputed": "0",
    }


def test_only_the_named_account_counts(damaged: None) -> None:
    make_account(label="other")

    assert verify("--account", "other")[0] == 0
    assert verify("--account", "other", "--account", "main")[0] == 1


def test_an_unknown_account_is_one_line_and_exit_code_2() -> None:
    with pytest.raises(CommandError, match=r"^There is no account nobody\.$") as refused:
        call_command("verify_books", "--account", "nobody")

    assert refused.value.returncode == 2
