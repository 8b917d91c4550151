"""Orders that nobody booked: stored once, theirs what has happened since the baseline, claimed by rule or by a book."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from portfolios.models import (
    ClaimRule,
    Discrepancy,
    ExchangeAccount,
    Incident,
    Order,
    Portfolio,
    Position,
    SyncRun,
)
from providers.reports import OrderStatus
from providers.sandbox.books import Fee
from tests.builders import make_claim_rule, make_portfolio
from tests.desk import KEY, Desk
from tests.portfolios.services.reads import (
    account_fills,
    balances,
    look,
    make_books,
    make_fill_report,
    make_order_report,
    open_orders,
    stored_facts,
)

D = Decimal
Kind = ClaimRule.Kind
pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> ExchangeAccount:
    """Open the books of an account with 100 EUR, of which a portfolio has 60."""
    opened = make_books()
    Portfolio.objects.update(initial_balance=D(60))
    look(opened, open_orders(), balances(EUR="100"))
    return opened


@pytest.fixture
def trader(desk: Desk) -> Desk:
    desk.deposit("EUR", "1100")
    desk.open_portfolio("1000")
    desk.sync()
    return desk


def differences(account: ExchangeAccount) -> int:
    return account.discrepancies.filter(state__in=Discrepancy.LIVE).count()


def test_an_order_of_before_the_baseline_is_not_booked_again(account: ExchangeAccount) -> None:
    old = timezone.now() - timedelta(days=1)
    half = make_order_report("9", filled=D(4), cost=D(8), created_at=old)

    look(account, open_orders(half), balances(EUR="100"))

    order = Order.objects.get()
    assert (order.opening_filled, order.opening_cost) == (D(4), D(8))
    assert not order.ledger_entries.exists()
    assert differences(account) == 0


def test_of_an_older_order_what_was_filled_since_is_booked(account: ExchangeAccount) -> None:
    old = timezone.now() - timedelta(days=1)
    half = make_order_report("9", filled=D(7), cost=D(14), created_at=old)
    since = make_fill_report("3", "2", order="9", executed_at=timezone.now())

    look(account, open_orders(half), account_fills(since), balances(EUR="94", ADA="3"))

    assert Order.objects.get().opening_filled == D(4)
    assert Position.objects.get(portfolio=None, asset="ADA").amount == D(3)
    assert differences(account) == 0


def test_an_order_that_ended_between_two_looks_is_booked_with_its_fee(trader: Desk) -> None:
    placed = trader.engine.buy(KEY, "ADA/EUR", "10", "5")
    trader.engine.fill_order(placed.id, fee=Fee("EUR", D("0.25")))

    trader.sync()

    order = trader.order(placed)
    assert (order.external, order.status) == (True, OrderStatus.CLOSED)
    assert trader.position("EUR", None).amount == D("49.75")
    assert trader.differences() == []


def test_seeing_it_again_changes_nothing(account: ExchangeAccount) -> None:
    legs = [
        open_orders(make_order_report("9", filled=D(4), cost=D(8), created_at=timezone.now())),
        balances(EUR="92", ADA="4"),
    ]
    look(account, *legs)
    before = stored_facts()

    look(account, *legs)

    assert stored_facts() == before


def test_of_two_copies_of_a_new_order_one_row_is_made_with_the_most(
    account: ExchangeAccount,
) -> None:
    now = timezone.now()
    copies = [
        make_order_report("9", created_at=now),
        make_order_report("9", filled=D(4), cost=D(8), created_at=now),
    ]

    look(account, open_orders(*copies), balances(EUR="92", ADA="4"))

    assert Order.objects.get().filled == D(4)
    assert differences(account) == 0


@pytest.mark.parametrize("missing", ["side", "amount"])
def test_an_order_without_side_or_amount_is_told_and_keeps_no_other_out(
    account: ExchangeAccount, missing: str
) -> None:
    halved = make_order_report("8", **{missing: None})

    run = look(account, open_orders(halved, make_order_report("9")), balances(EUR="100"))

    assert Order.objects.get().external_id == "9"
    assert run.status == SyncRun.Status.PARTIAL
    assert "It was not stored." in Incident.objects.get().message


# --- claim rules at a sync ----------------------------------------------------------------------


def test_a_rule_claims_a_new_order_at_the_sync_that_reads_it(trader: Desk) -> None:
    make_claim_rule(trader.portfolio(), kind=Kind.CLIENT_PREFIX, value="bot-")
    placed = trader.engine.buy(KEY, "ADA/EUR", "10", "5", "bot-1")
    trader.engine.fill_order(placed.id, "4")

    trader.sync()

    assert trader.order(placed).portfolio == trader.portfolio()
    assert (trader.position("ADA").amount, trader.unallocated()) == (D(4), D(950))
    assert trader.differences() == []


def test_what_no_rule_fits_stays_nobodys(trader: Desk) -> None:
    make_claim_rule(trader.portfolio(), kind=Kind.CLIENT_PREFIX, value="bot-")
    placed = trader.engine.buy(KEY, "ADA/EUR", "10", "5", "hand-1")

    trader.sync()

    assert trader.order(placed).portfolio is None


def test_a_later_rule_claims_what_was_seen_before_with_its_past(trader: Desk) -> None:
    placed = trader.engine.buy(KEY, "ADA/EUR", "10", "5")
    trader.engine.fill_order(placed.id, fee=Fee("EUR", D("0.25")))
    trader.sync()
    make_claim_rule(trader.portfolio(), kind=Kind.SYMBOL, value="ADA/EUR")

    trader.sync()

    assert trader.order(placed).portfolio == trader.portfolio()
    assert trader.unallocated() == D("949.75")
    assert trader.position("EUR", None).amount == D(100)
    assert trader.differences() == []


def test_the_closest_rule_decides(trader: Desk) -> None:
    make_claim_rule(trader.portfolio())
    closest = make_portfolio(trader.account, trading_symbol="EUR", initial_balance=D(50))
    make_claim_rule(closest, kind=Kind.CLIENT_PREFIX, value="bot-")
    placed = trader.engine.buy(KEY, "ADA/EUR", "1", "5", "bot-1")

    trader.sync()

    assert trader.order(placed).portfolio == closest


def test_claiming_at_a_sync_is_done_once(trader: Desk) -> None:
    make_claim_rule(trader.portfolio())
    placed = trader.engine.buy(KEY, "ADA/EUR", "10", "5")
    trader.engine.fill_order(placed.id, "4")
    trader.sync()
    before = stored_facts()["LedgerEntry"]

    trader.sync()

    assert stored_facts()["LedgerEntry"] == before
