from __future__ import annotations

from decimal import Decimal

import pytest

from portfolios.models import Portfolio, Position
from portfolios.services.decisions import DecisionRefused
from portfolios.services.decisions.flows import left_of_flow
from portfolios.services.ledger import book_flow
from portfolios.services.verification import verify_books
from providers.reports import FlowKind
from tests.builders import make_flow, make_portfolio
from tests.portfolios.services.decisions.cases import Kind, do, done, reversal

D = Decimal
pytestmark = pytest.mark.django_db


def share(portfolio: Portfolio, amount: str, asset: str = "USDT") -> dict[str, object]:
    return {"portfolio": portfolio.pk, "asset": asset, "amount": amount}


def owners(amount: str = "100") -> tuple[Portfolio, Portfolio]:
    """Book a deposit, or a withdrawal, of USDT on an account of two portfolios."""
    kind = FlowKind.WITHDRAWAL if D(amount) < 0 else FlowKind.DEPOSIT
    flow = make_flow(asset="USDT", amount=D(amount), kind=kind)
    book_flow(flow, None)
    return make_portfolio(flow.account), make_portfolio(flow.account)


def assign(portfolio: Portfolio, *shares: dict[str, object]) -> None:
    flow = portfolio.account.flows.get()
    do(portfolio.account, Kind.ASSIGN_FLOW, flow=flow.pk, shares=list(shares))


def test_a_deposit_is_shared_out_and_the_rest_stays_unassigned() -> None:
    alpha, beta = owners()

    assign(alpha, share(alpha, "70.5"), share(beta, "20"))

    amounts = dict(Position.objects.values_list("portfolio", "amount"))
    assert amounts == {alpha.pk: D("70.5"), beta.pk: D(20), None: D("9.5")}


def test_what_is_left_can_be_given_away_later() -> None:
    alpha, beta = owners()
    assign(alpha, share(alpha, "70"))

    assign(alpha, share(beta, "30"))

    assert left_of_flow(alpha.account.flows.get()) == {"USDT": D(0)}


def test_no_more_than_is_left_is_given_away() -> None:
    alpha, beta = owners()
    assign(alpha, share(alpha, "70"))

    with pytest.raises(DecisionRefused, match="31 USDT are given away, but only 30 are left"):
        assign(alpha, share(beta, "31"))


def test_a_withdrawal_is_taken_from_the_portfolio_that_it_was_of() -> None:
    alpha, _beta = owners("-100")

    assign(alpha, share(alpha, "-100"))

    assert Position.objects.get(portfolio=alpha).amount == D(-100)
    assert Position.objects.get(portfolio=None).amount == D(0)


@pytest.mark.parametrize("amount", ["-1", "0"])
def test_a_share_goes_the_way_of_the_movement(amount: str) -> None:
    alpha, _beta = owners()

    with pytest.raises(DecisionRefused, match="must have the sign of what is left"):
        assign(alpha, share(alpha, amount))


def test_an_asset_that_did_not_move_is_not_given_away() -> None:
    alpha, _beta = owners()

    with pytest.raises(DecisionRefused, match="which is 0 BTC"):
        assign(alpha, share(alpha, "1", "BTC"))


@pytest.mark.parametrize("amount", ["", "x", None, 1])
def test_an_amount_that_is_none_is_refused(amount: str) -> None:
    alpha, _beta = owners()

    with pytest.raises(DecisionRefused, match="Nothing was changed"):
        assign(alpha, share(alpha, amount))


def test_without_a_share_nothing_is_decided() -> None:
    alpha, _beta = owners()

    with pytest.raises(DecisionRefused, match="No portfolio was given anything"):
        assign(alpha)


def test_a_portfolio_of_another_account_gets_nothing() -> None:
    alpha, _beta = owners()

    with pytest.raises(DecisionRefused, match="portfolio"):
        assign(alpha, share(make_portfolio(), "1"))


def test_a_withdrawal_that_failed_after_it_was_given_away_is_booked_back_to_nobody() -> None:
    alpha, _beta = owners("-100")
    assign(alpha, share(alpha, "-100"))
    flow = alpha.account.flows.get()
    flow.status = "failed"
    flow.save()

    book_flow(flow, None)

    assert verify_books().difference is None
    assert Position.objects.get(portfolio=None).amount == D(100)


def test_what_is_gone_meanwhile_is_taken_back_all_the_same() -> None:
    alpha, _beta = owners()
    flow = alpha.account.flows.get()
    given = {"flow": flow.pk, "shares": [share(alpha, "100")]}
    decision = do(alpha.account, Kind.ASSIGN_FLOW, **given)
    do(alpha.account, Kind.ADJUST, portfolio=alpha.pk, asset="USDT", amount="-60")

    done(reversal(decision))

    assert Position.objects.get(portfolio=alpha).amount == D(-60)
