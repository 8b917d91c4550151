"""One proposal of each kind on books that were made for it, and what a person does with it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.apps import apps

from portfolios.models import Decision, Discrepancy, ExchangeAccount, Order
from portfolios.models.choices import Verdict
from portfolios.services.claims import claim_order
from portfolios.services.decisions import Proposal, decide
from portfolios.services.journal import posted
from portfolios.services.ledger import book_flow, book_order, rewrite_reserved
from tests.builders import (
    make_account,
    make_balance,
    make_discrepancy,
    make_fill,
    make_flow,
    make_order,
    make_portfolio,
)

D = Decimal
Kind = Decision.Kind
REASON = "checked with the exchange"


def do(account: ExchangeAccount, kind: Decision.Kind, /, **given: Any) -> Decision:
    return done(Proposal(account, kind, given))


def done(proposal: Proposal) -> Decision:
    return decide(proposal, actor=None, reason=REASON)


def reversal(decision: Decision) -> Proposal:
    return Proposal(decision.account, Kind.REVERSE, {"decision": decision.pk})


def stored() -> dict[str, list[dict[str, Any]]]:
    """Read every row of every table that is ours."""
    models = apps.get_app_config("portfolios").get_models()
    return {
        model.__name__: list(model._default_manager.order_by("pk").values()) for model in models
    }


def books(account: ExchangeAccount) -> dict[str, list[tuple[Any, ...]]]:
    """Read what the decisions of people are about, as it is now."""
    positions = account.positions.exclude(amount=D(0), reserved=D(0), cost=D(0))
    return {
        "positions": list(
            positions.order_by("portfolio", "asset").values_list(
                "portfolio", "asset", "amount", "reserved", "cost"
            )
        ),
        "orders": list(account.orders.order_by("pk").values_list()),
        "discrepancies": list(
            account.discrepancies.order_by("pk").values_list("pk", "state", "order")
        ),
        "portfolios": list(
            account.portfolios.order_by("pk").values_list(
                "pk", "initialized", "opening_cash", "realized_gain"
            )
        ),
    }


def external_order() -> Order:
    """Store an order of 0.01 BTC at 50000 USDT that nobody booked, and its fill of 0.004."""
    order = make_order(make_account(), external_id="77", filled=D("0.004"))
    make_fill(order, amount=D("0.004"), cost=D(200))
    with posted(order.account) as journal:
        book_order(order, None, journal)
    rewrite_reserved(order.account)
    return order


def a_claim() -> Proposal:
    order = external_order()
    owner = make_portfolio(order.account)
    return Proposal(order.account, Kind.CLAIM_ORDER, {"order": order.pk, "portfolio": owner.pk})


def a_release() -> Proposal:
    order = external_order()
    claim_order(order, make_portfolio(order.account))
    return Proposal(order.account, Kind.RELEASE_ORDER, {"order": order.pk})


def a_match() -> Proposal:
    seen = external_order()
    owner = make_portfolio(seen.account)
    sent = make_order(owner, external_id="", client_order_id="a-1", status="created")
    rewrite_reserved(seen.account)
    unacked = Discrepancy.Code.ORDER_UNACKED
    key = f"order:{sent.pk}:unacked"
    make_discrepancy(sent.account, portfolio=owner, order=sent, code=unacked, key=key)
    given = {"order": sent.pk, "candidate": seen.pk}
    return Proposal(seen.account, Kind.MATCH_ORDER, given)


def a_lapse() -> Proposal:
    order = make_order(make_portfolio(), external_id="77")
    rewrite_reserved(order.account)
    missing = Discrepancy.Code.ORDER_MISSING_AT_VENUE
    make_discrepancy(order.account, order=order, portfolio=order.portfolio, code=missing)
    return Proposal(order.account, Kind.ACCEPT_LAPSE, {"order": order.pk})


def a_bust() -> Proposal:
    portfolio = make_portfolio()
    filled = {"filled": D("0.01"), "status": "closed", "external_id": "77"}
    order = make_order(portfolio, **filled)
    fill = make_fill(order)
    with posted(order.account) as journal:
        book_order(order, None, journal)
    row = make_discrepancy(
        order.account,
        order=order,
        portfolio=portfolio,
        code=Discrepancy.Code.FILL_LOCAL_ONLY,
        key=f"denied:{fill.pk}",
    )
    return Proposal(order.account, Kind.ACCEPT_BUST, {"discrepancy": row.pk})


def an_assignment() -> Proposal:
    flow = make_flow(amount=D(100), asset="USDT")
    book_flow(flow, None)
    owner = make_portfolio(flow.account)
    share = {"portfolio": owner.pk, "asset": "USDT", "amount": "60"}
    return Proposal(flow.account, Kind.ASSIGN_FLOW, {"flow": flow.pk, "shares": [share]})


def an_adjustment() -> Proposal:
    owner = make_portfolio()
    given = {"portfolio": owner.pk, "asset": "BTC", "amount": "0.5"}
    return Proposal(owner.account, Kind.ADJUST, given)


def a_rebaseline() -> Proposal:
    row = make_balance(total=D("0.4"), residual=D("-0.1"), verdict=Verdict.DIFFERS)
    return Proposal(row.account, Kind.REBASELINE, {"residuals": {"BTC": "-0.1"}})


def an_opening() -> Proposal:
    owner = make_portfolio(initial_balance=D(1000))
    make_balance(owner.account, asset="USDT", free=D(800), total=D(800))
    given = {"portfolio": owner.pk, "asset": "USDT", "amount": "800"}
    return Proposal(owner.account, Kind.ACCEPT_OPENING, given)


def of_discrepancy(kind: Decision.Kind, state: str) -> Callable[[], Proposal]:
    def proposal() -> Proposal:
        row = make_discrepancy(state=state)
        return Proposal(row.account, kind, {"discrepancy": row.pk})

    return proposal


CASES: dict[Decision.Kind, Callable[[], Proposal]] = {
    Kind.CLAIM_ORDER: a_claim,
    Kind.RELEASE_ORDER: a_release,
    Kind.MATCH_ORDER: a_match,
    Kind.ACCEPT_LAPSE: a_lapse,
    Kind.ACCEPT_BUST: a_bust,
    Kind.ASSIGN_FLOW: an_assignment,
    Kind.ADJUST: an_adjustment,
    Kind.REBASELINE: a_rebaseline,
    Kind.ACCEPT_OPENING: an_opening,
    Kind.DISMISS: of_discrepancy(Kind.DISMISS, "OPEN"),
    Kind.ACKNOWLEDGE: of_discrepancy(Kind.ACKNOWLEDGE, "OPEN"),
    Kind.REOPEN: of_discrepancy(Kind.REOPEN, "DISMISSED"),
}
