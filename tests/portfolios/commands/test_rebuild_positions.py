from __future__ import annotations

import io
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command

from portfolios.models import ExchangeAccount, Portfolio, Position
from portfolios.services.integrity import check_integrity
from tests.builders import make_run
from tests.kept import kept
from tests.portfolios.services.reads import make_books

pytestmark = pytest.mark.django_db


@kept
def account() -> ExchangeAccount:
    """Open books of 5 ADA whose position was made 7."""
    account = make_books("main", positions={"ADA": "5"})
    Position.objects.filter(asset="ADA").update(amount="7")
    check_integrity(account, make_run(account))
    return account


def rebuild(*args: str) -> str:
    out = io.StringIO()
    call_command("rebuild_positions", "--account", "main", *args, stdout=out)
    return out.getvalue()


def test_it_says_what_it_changed_and_frees_the_account(account: ExchangeAccount) -> None:
    assert rebuild() == "main: amount ADA of alpha main: 7 -> 5\nmain: the books are whole.\n"

    account.refresh_from_db()
    assert account.read_only_because == ""


def test_a_dry_run_says_the_same_and_writes_nothing(account: ExchangeAccount) -> None:
    said = rebuild("--dry-run")

    account.refresh_from_db()
    assert "main: amount ADA of alpha main: 7 -> 5\n" in said
    assert account.read_only_because
    assert Position.objects.get(asset="ADA").amount == Decimal(7)


def test_what_it_cannot_rebuild_is_an_error(account: ExchangeAccount) -> None:
    Portfolio.objects.update(opening_cash="5")

    with pytest.raises(CommandError, match="main: net_size EUR of alpha main: 5 stored"):
        rebuild()
