"""What may have moved without an order."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from portfolios.models import ExchangeAccount
from providers.reports import FlowKind, FlowSource, FlowStatus
from tests.builders import (
    NOON,
    make_account,
    make_flow,
)
from tests.portfolios.services.differences import (
    attributed,
    differs,
    fee,
    kinds,
    outcome,
)

D = Decimal


@pytest.fixture
def account(db: None) -> ExchangeAccount:
    return make_account(label="main", baseline_at=NOON - timedelta(days=1))


@pytest.mark.parametrize(
    ("difference", "flow"),
    [
        ("0.25", {"status": FlowStatus.PENDING}),
        ("0.25", {"status": ""}),
        ("7", {"kind": FlowKind.OTHER, "amount": D(7)}),
        (
            "3.01",
            {
                "kind": FlowKind.WITHDRAWAL,
                "amount": D(-3),
                "fees": fee("BTC", "0.01"),
                "status": FlowStatus.PENDING,
            },
        ),
    ],
)
def test_a_movement_that_is_not_settled_may_count_otherwise_at_the_exchange(
    account: ExchangeAccount, difference: str, flow: dict[str, Any]
) -> None:
    row = differs(account, "BTC", difference)
    make_flow(account, **flow)

    assert kinds(row) == [["flow"]]


def test_a_withdrawal_that_failed_may_not_have_come_back(account: ExchangeAccount) -> None:
    row = differs(account, "BTC", "-3")
    failed = {"kind": FlowKind.WITHDRAWAL, "status": FlowStatus.FAILED}
    flow = make_flow(account, amount=D(-3), source=FlowSource.WITHDRAWALS, **failed)

    cause = f"explained: withdrawal {flow.external_id} of -3 BTC failed, and has not come back"
    assert attributed(row).cause == cause


def test_a_deposit_that_failed_or_that_the_baseline_holds_explains_nothing(
    account: ExchangeAccount,
) -> None:
    row = differs(account, "BTC", "0.25")
    make_flow(account, status=FlowStatus.FAILED)
    make_flow(account, status=FlowStatus.PENDING, in_baseline=True)

    assert outcome(row) == "unexplained"


def test_opposite_differences_in_two_wallets_are_a_transfer(account: ExchangeAccount) -> None:
    spot = differs(account, "BTC", "-0.5")
    differs(account, "BTC", "0.5", wallet="funding")

    assert attributed(spot).cause == "explained: 0.5 BTC were moved from spot to funding"


def test_a_recorded_transfer_explains_the_wallet_that_was_not_booked(
    account: ExchangeAccount,
) -> None:
    funding = differs(account, "BTC", "0.5", wallet="funding")
    make_flow(account, kind=FlowKind.TRANSFER, source=FlowSource.LEDGER, amount=D("-0.5"))

    assert kinds(funding) == [["transfer"]]


def test_opposite_differences_of_like_names_may_be_one_asset(account: ExchangeAccount) -> None:
    short = differs(account, "BTC", "-0.5")
    differs(account, "LDBTC", "0.5")

    assert attributed(short).cause == "explained: LDBTC may be another name of BTC"


def test_opposite_differences_of_other_names_are_not_one_asset(account: ExchangeAccount) -> None:
    short = differs(account, "BTC", "-0.5")
    differs(account, "ETH", "0.5")

    assert outcome(short) == "unexplained"


def test_an_account_of_a_test_network_sends_nothing_to_a_real_one(
    account: ExchangeAccount,
) -> None:
    surplus = differs(account, "BTC", "0.5")
    differs(make_account(sandbox=True), "BTC", "-0.5")

    assert outcome(surplus) == "unexplained"


def test_a_record_that_the_account_has_itself_is_not_met_twice(account: ExchangeAccount) -> None:
    surplus = differs(account, "BTC", "0.25")
    make_flow(make_account(), kind=FlowKind.WITHDRAWAL, amount=D("-0.25"))
    make_flow(account, occurred_at=NOON + timedelta(minutes=5))

    assert outcome(surplus) == "unexplained"
