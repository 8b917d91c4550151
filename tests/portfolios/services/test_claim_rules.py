"""Orders that nobody booked and a rule gives away; what a person took from a portfolio no rule gives back."""

from __future__ import annotations

from decimal import Decimal

import pytest

from portfolios.models import ClaimRule, Decision, Incident, LedgerEntry, Order, Portfolio
from portfolios.services.claim_rules import apply_claim_rules
from tests.builders import make_account, make_claim_rule, make_entry, make_order, make_portfolio
from tests.desk import KEY, Desk
from tests.portfolios.services.decisions.cases import do, done, external_order, reversal

D = Decimal
Kind = ClaimRule.Kind
pytestmark = pytest.mark.django_db


def by_hand(desk: Desk) -> None:
    """Open the books, then buy at the exchange what no book knows, and fill a part of it."""
    desk.deposit("EUR", "1000")
    desk.open_portfolio("900")
    desk.sync()
    seen = desk.engine.buy(KEY, "ADA/EUR", "100", "1")
    desk.engine.fill_order(seen.id, "40")
    desk.sync()


def test_the_longest_prefix_goes_before_a_shorter_one_the_symbol_and_all() -> None:
    account = make_account()
    owners = {
        value: make_portfolio(account, name=value or "all")
        for value in ("", "BTC/USDT", "bot-", "bot-a-")
    }
    make_claim_rule(owners[""])
    make_claim_rule(owners["BTC/USDT"], kind=Kind.SYMBOL, value="BTC/USDT")
    make_claim_rule(owners["bot-"], kind=Kind.CLIENT_PREFIX, value="bot-")
    make_claim_rule(owners["bot-a-"], kind=Kind.CLIENT_PREFIX, value="bot-a-")
    for client_id, symbol in (
        ("bot-a-1", "BTC/USDT"),
        ("bot-b-1", "BTC/USDT"),
        ("BOT-a-1", "BTC/USDT"),
        ("", "ETH/USDT"),
    ):
        make_order(account, client_order_id=client_id, symbol=symbol)

    assert apply_claim_rules(account) == 4

    orders = Order.objects.order_by("pk").select_related("portfolio")
    names = [order.portfolio.name for order in orders if order.portfolio]
    assert names == ["bot-a-", "bot-", "BTC/USDT", "all"]


def test_an_order_that_no_rule_fits_stays_without_an_owner() -> None:
    account = make_account()
    make_claim_rule(make_portfolio(account), kind=Kind.CLIENT_PREFIX, value="bot-")
    make_order(account, client_order_id="hand-1")

    assert apply_claim_rules(account) == 0
    assert Order.objects.get().portfolio is None


def test_rules_applied_again_change_nothing(desk: Desk) -> None:
    by_hand(desk)
    make_claim_rule(desk.portfolio())
    apply_claim_rules(desk.account)
    entries = LedgerEntry.objects.count()

    assert apply_claim_rules(desk.account) == 0
    assert LedgerEntry.objects.count() == entries


def test_an_order_that_a_rule_gives_releases_what_it_locked_of_the_unassigned_part(
    desk: Desk,
) -> None:
    by_hand(desk)
    make_claim_rule(desk.portfolio(), kind=Kind.SYMBOL, value="ADA/EUR")

    apply_claim_rules(desk.account)

    assert desk.position("EUR").reserved == D(60)
    assert desk.position("EUR", None).reserved == D(0)


def test_a_rule_takes_no_order_whose_ids_contradict_each_other() -> None:
    account = make_account()
    make_claim_rule(make_portfolio(account))
    make_order(account, frozen_because="two orders have its client id")

    assert apply_claim_rules(account) == 0


def test_a_rule_takes_no_order_that_may_be_one_that_was_sent() -> None:
    portfolio = make_portfolio()
    make_claim_rule(portfolio)
    make_order(portfolio, external_id="", client_order_id="a-1", status="created")
    make_order(portfolio.account)

    assert apply_claim_rules(portfolio.account) == 0


def test_a_rule_does_not_reach_beyond_its_account() -> None:
    rule = make_claim_rule(make_portfolio())
    make_order(make_account())

    assert apply_claim_rules(rule.account) == 0


def test_an_order_that_cannot_be_given_keeps_no_other_from_its_turn() -> None:
    portfolio = make_portfolio()
    make_claim_rule(portfolio)
    broken = make_order(portfolio.account, filled=D("0.01"))
    make_entry(portfolio, key=f"order:{broken.pk}:{portfolio.pk}:0:execution:BTC")
    make_order(portfolio.account)

    assert apply_claim_rules(portfolio.account) == 1

    broken.refresh_from_db()
    assert broken.portfolio is None
    assert Incident.objects.get().operation == "claims.apply"


def test_no_rule_gives_anything_away_on_an_account_that_is_only_observed() -> None:
    account = make_account(policy="observe")
    order = make_order(account)
    make_claim_rule(make_portfolio(account))

    assert apply_claim_rules(account) == 0

    order.refresh_from_db()
    assert order.portfolio is None


def claimed_by_rule() -> Portfolio:
    """Give an order without an owner to a portfolio by a rule, with the 0.004 BTC that it has bought."""
    portfolio = make_portfolio(external_order().account, name="alpha")
    make_claim_rule(portfolio, kind=Kind.SYMBOL, value="BTC/USDT")
    assert apply_claim_rules(portfolio.account) == 1
    return portfolio


def test_what_a_rule_gives_away_is_noted_with_the_rule_and_what_changed() -> None:
    claimed_by_rule()

    note = Decision.objects.get()

    assert (note.kind, note.subject, note.actor) == ("claim_order", "order 77", None)
    assert (note.actor_name, note.reason) == ("claim rule", "Symbol is BTC/USDT")
    changed = [(x["table"], x["row"], x["before"], x["after"]) for x in note.changes]
    assert changed[0] == ("order", "77", "unassigned", "alpha")
    assert ("entry", "BTC alpha", None, "0.004") in changed


def test_what_a_rule_gave_away_can_be_taken_back_and_the_rule_leaves_it_alone_then() -> None:
    portfolio = claimed_by_rule()

    done(reversal(Decision.objects.get()))

    assert Order.objects.get().portfolio is None
    assert apply_claim_rules(portfolio.account) == 0


def test_an_order_that_a_person_took_from_its_portfolio_no_rule_gives_back() -> None:
    portfolio = claimed_by_rule()

    do(portfolio.account, Decision.Kind.RELEASE_ORDER, order=Order.objects.get().pk)

    assert apply_claim_rules(portfolio.account) == 0
    assert Order.objects.get().portfolio is None
