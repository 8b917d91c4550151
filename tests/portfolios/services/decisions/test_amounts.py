from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from portfolios.models import AssetBalance, Discrepancy, Portfolio, Position
from portfolios.models.choices import Verdict
from portfolios.services.decisions import DecisionRefused
from portfolios.services.decisions.amounts import open_residuals
from tests.builders import make_balance, make_discrepancy, make_portfolio
from tests.portfolios.services.decisions.cases import Kind, an_adjustment, do, done, reversal

D = Decimal
pytestmark = pytest.mark.django_db


def test_the_unassigned_part_can_be_adjusted() -> None:
    account = make_portfolio().account

    do(account, Kind.ADJUST, portfolio=None, asset="BTC", amount="-0.5")

    assert Position.objects.get(portfolio=None).amount == D("-0.5")


@pytest.mark.parametrize(
    "wrong",
    [{"amount": "0"}, {"amount": "NaN"}, {"amount": 1}, {"asset": ""}, {"asset": "A" * 65}],
)
def test_an_adjustment_without_an_amount_or_an_asset_is_refused(wrong: dict[str, Any]) -> None:
    proposal = an_adjustment()

    with pytest.raises(DecisionRefused, match="Nothing was changed"):
        do(proposal.account, Kind.ADJUST, **{**proposal.given, **wrong})


def test_a_backtest_is_not_adjusted() -> None:
    proposal = an_adjustment()
    Portfolio.objects.update(mode=Portfolio.Mode.BACKTEST)

    with pytest.raises(DecisionRefused):
        done(proposal)


def differing(**values: Any) -> AssetBalance:
    defaults: dict[str, Any] = {
        "residual": D("-0.1"),
        "verdict": Verdict.DIFFERS,
        "observed_at": timezone.now(),
    }
    return make_balance(**defaults | values)


def rebaseline(row: AssetBalance, residual: str = "-0.1") -> None:
    do(row.account, Kind.REBASELINE, residuals={row.asset: residual})


@pytest.mark.parametrize(
    "values",
    [
        {"provisional": True},
        {"verdict": Verdict.NOT_VERIFIABLE},
        {"residual": None},
        {"residual": D(0)},
        {"residual": D("-0.2")},
        {"wallet": "earn"},
    ],
)
def test_a_residual_that_is_not_settled_or_not_this_one_is_refused(values: dict[str, Any]) -> None:
    row = differing(**values)

    with pytest.raises(DecisionRefused, match="Nothing was changed"):
        rebaseline(row)

    assert not Position.objects.exists()


def test_a_residual_is_taken_up_once() -> None:
    row = differing()
    rebaseline(row)

    with pytest.raises(DecisionRefused, match="is not settled; sync the account"):
        rebaseline(row)


def test_a_verdict_that_was_read_before_an_adjustment_is_not_taken_up() -> None:
    row = differing(observed_at=timezone.now() - timedelta(minutes=1))
    do(row.account, Kind.ADJUST, portfolio=None, asset="BTC", amount="-0.1")

    assert open_residuals(row.account) == {}


def test_several_assets_are_taken_up_at_once() -> None:
    row = differing()
    differing(account=row.account, asset="ETH", residual=D(2))

    do(row.account, Kind.REBASELINE, residuals={"BTC": "-0.1", "ETH": "2"})

    assert dict(Position.objects.values_list("asset", "amount")) == {"BTC": D("-0.1"), "ETH": D(2)}


def test_the_discrepancy_of_what_was_taken_up_is_resolved() -> None:
    row = differing()
    found = make_discrepancy(row.account)
    other = make_discrepancy(row.account, asset="ETH")

    rebaseline(row)

    found.refresh_from_db()
    other.refresh_from_db()
    assert (found.state, other.state) == (Discrepancy.State.RESOLVED, Discrepancy.State.OPEN)
    assert found.events.get().decision is not None


def test_a_new_baseline_that_was_taken_back_can_be_accepted_again() -> None:
    row = differing()
    given = {"residuals": {"BTC": "-0.1"}}
    done(reversal(do(row.account, Kind.REBASELINE, **given)))

    assert open_residuals(row.account) == {"BTC": D("-0.1")}


@pytest.mark.parametrize("residuals", [None, {}, [], "BTC"])
def test_without_an_asset_there_is_no_new_baseline(residuals: object) -> None:
    row = differing()

    with pytest.raises(DecisionRefused, match="No asset was named"):
        do(row.account, Kind.REBASELINE, residuals=residuals)
