from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from portfolios.models import ExchangeAccount, LedgerEntry, StoredLeg
from portfolios.reconciliation.verification import Check
from portfolios.services.journal import append_entries
from portfolios.services.verification import verify_books
from tests.builders import make_run
from tests.kept import kept
from tests.portfolios.services.reads import balances, look, make_books, open_orders

D = Decimal
Cause = LedgerEntry.Cause


@kept
def account() -> ExchangeAccount:
    account = make_books(positions={"ADA": "50"})
    look(account, open_orders(), balances(ADA="60", EUR="100"))
    return account


def append(account: ExchangeAccount, amount: str, **row: Any) -> None:
    append_entries([LedgerEntry(account=account, asset="ADA", amount=D(amount), **row)])


def found() -> tuple[Check, Decimal | None, Decimal | None] | None:
    told = verify_books().difference
    return None if told is None else (told.check, told.stored, told.recomputed)


def test_a_baseline_is_what_was_read(account: ExchangeAccount) -> None:
    assert found() is None


def test_a_baseline_that_nothing_read_is_found(account: ExchangeAccount) -> None:
    append(account, "5", cause=Cause.BASELINE, key="baseline:spot:ADA:settled:1")

    assert found() == (Check.BASELINE, D(5), None)


@pytest.mark.parametrize(
    ("asset", "is_of_run", "trades", "is_found"),
    [
        ("ADA", True, 0, False),
        ("ADA", True, None, True),
        ("EUR", True, 0, True),
        ("ADA", False, 0, True),
    ],
)
def test_what_corrects_a_baseline_is_of_a_run_that_has_settled_it(
    account: ExchangeAccount, asset: str, *, is_of_run: bool, trades: int | None, is_found: bool
) -> None:
    run = make_run(account)
    key = f"baseline:spot:{asset}:settled:{run.pk if is_of_run else 0}"
    append(account, "5", cause=Cause.BASELINE, key=key, run=run)
    ExchangeAccount.objects.update(baseline_trades=trades)

    assert (found() is not None) is is_found


def test_a_baseline_of_more_than_was_read_is_found(account: ExchangeAccount) -> None:
    append(account, "5", cause=Cause.BASELINE, key="baseline:x", run=account.baseline_run)

    assert found() == (Check.BASELINE, D(65), D(60))


def test_a_total_that_was_not_told_is_not_compared(db: None) -> None:
    look(make_books(positions={"ADA": "50"}), open_orders(), balances("ADA", EUR="100"))

    assert found() is None


def test_where_the_read_is_kept_no_more_nothing_is_compared(account: ExchangeAccount) -> None:
    StoredLeg.objects.all().delete()

    assert found() is None
