"""Orders that nobody booked: stored once, theirs what has happened since the baseline, claimed by rule or by a book."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db.models import F
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
from portfolios.services.book import import_book
from portfolios.services.verification import verify_books
from providers.reports import FeeReport, FillReport, LegKind, OrderStatus
from providers.sandbox.books import Fee
from tests.builders import make_claim_rule, make_portfolio
from tests.desk import KEY, Desk
from tests.kept import kept
from tests.portfolios.services.reads import (
    account_fills,
    balances,
    failed,
    fills_leg,
    look,
    make_books,
    make_fill_report,
    make_order_report,
    note_order,
    open_orders,
    stored_facts,
)

D = Decimal
Kind = ClaimRule.Kind
pytestmark = pytest.mark.django_db


@kept
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


def test_an_older_order_that_was_overfilled_is_not_booked_though_its_filled_is_not_told(
    account: ExchangeAccount,
) -> None:
    old = timezone.now() - timedelta(days=1)
    report = make_order_report("9", created_at=old, filled=None, status=OrderStatus.CLOSED)
    over = make_fill_report("10.1", "2", order="9", executed_at=old)

    look(account, open_orders(report), account_fills(over), balances(EUR="100"))

    assert not Order.objects.get().ledger_entries.exists()


def test_an_order_whose_time_is_told_late_is_not_of_before_the_baseline(
    account: ExchangeAccount,
) -> None:
    timeless = make_order_report("9", filled=D(4), cost=D(8))
    look(account, open_orders(timeless), balances(EUR="92", ADA="4"))

    told = replace(timeless, created_at=timezone.now())
    look(account, open_orders(told), balances(EUR="92", ADA="4"))

    assert (Order.objects.get().opening_filled, Order.objects.get().opening_cost) == (D(0), D(0))
    assert Position.objects.get(portfolio=None, asset="ADA").amount == D(4)
    assert differences(account) == 0


def test_a_fill_since_the_baseline_that_is_told_late_is_booked(account: ExchangeAccount) -> None:
    old, now = timezone.now() - timedelta(days=1), timezone.now()
    half = make_order_report("9", filled=D(7), cost=D(14), created_at=old)
    known = make_fill_report("2", "2", order="9", executed_at=now)
    late = make_fill_report("1", "2", order="9", external_id="f-2", executed_at=now)
    look(account, open_orders(half), account_fills(known), balances(EUR="94", ADA="3"))

    look(account, open_orders(half), account_fills(known, late), balances(EUR="94", ADA="3"))

    assert (Order.objects.get().opening_filled, Order.objects.get().opening_cost) == (D(4), D(8))
    assert Position.objects.get(portfolio=None, asset="ADA").amount == D(3)
    assert differences(account) == 0


def test_a_fill_made_after_its_order_was_told_takes_nothing_from_what_was_filled_before(
    account: ExchangeAccount,
) -> None:
    old, now = timezone.now() - timedelta(days=1), timezone.now()
    half = make_order_report("9", amount=D(20), filled=D(7), cost=D(14), updated_at=old)
    new = make_fill_report("3", "2", order="9", executed_at=now)
    look(account, open_orders(half), balances(EUR="100"))

    look(account, open_orders(half), account_fills(new), balances(EUR="94", ADA="3"))
    assert Order.objects.get().opening_filled == D(7)

    half = replace(half, filled=D(10), cost=D(20), updated_at=now)
    look(account, open_orders(half), account_fills(new), balances(EUR="94", ADA="3"))

    assert Order.objects.get().opening_filled == D(7)
    assert Position.objects.get(portfolio=None, asset="ADA").amount == D(3)


def test_a_fill_told_while_its_order_is_not_takes_nothing_from_what_was_filled_before(
    account: ExchangeAccount,
) -> None:
    half = make_order_report("9", amount=D(20), filled=D(7), cost=D(14))
    look(account, open_orders(half), balances(EUR="100"))
    new = make_fill_report("3", "2", order="9", executed_at=timezone.now())

    look(account, failed(LegKind.OPEN_ORDERS), account_fills(new), balances(EUR="94", ADA="3"))

    assert Order.objects.get().opening_filled == D(7)


def test_an_order_that_ended_between_two_looks_is_booked_with_its_fee(trader: Desk) -> None:
    placed = trader.engine.buy(KEY, "ADA/EUR", "10", "5")
    trader.engine.fill_order(placed.id, fee=Fee("EUR", D("0.25")))

    trader.sync()

    order = trader.order(placed)
    assert (order.external, order.status) == (True, OrderStatus.CLOSED)
    assert trader.position("EUR", None).amount == D("49.75")
    assert trader.differences() == []


def claimed_after_baseline() -> ExchangeAccount:
    """Open books on 100 EUR and 4 ADA, which nobody's order had bought, and give that order to the portfolio."""
    opened = make_books()
    half = make_order_report("9", filled=D(4), cost=D(8))
    look(opened, open_orders(half), balances(EUR="100", ADA="4"))
    note_order(opened, external_id="9")
    look(opened, open_orders(half), balances(EUR="100", ADA="4"))
    return opened


def fill_of_before() -> FillReport:
    """Tell more exactly than the order what it had cost."""
    fee = FeeReport("EUR", D("0.25"))
    at = timezone.now() - timedelta(hours=1)
    return make_fill_report("4", "2.01", order="9", fees=(fee,), executed_at=at)


def test_the_exact_cost_of_what_the_baseline_held_changes_no_total() -> None:
    account = claimed_after_baseline()
    half = make_order_report("9", filled=D(4), cost=D(8))

    look(account, open_orders(half), fills_leg(fill_of_before()), balances(EUR="100", ADA="4"))

    assert Position.objects.get(portfolio__isnull=False, asset="EUR").amount == D("91.71")
    assert differences(account) == 0
    assert verify_books().difference is None


def test_what_a_claimed_order_fills_since_the_baseline_is_its_owners_alone() -> None:
    account = claimed_after_baseline()
    more = make_order_report("9", filled=D(7), cost=D(14))
    since = replace(
        fill_of_before(), external_id="f-2", amount=D(3), cost=D("6.03"), executed_at=timezone.now()
    )
    fills = fill_of_before(), since

    look(account, open_orders(more), fills_leg(*fills), balances(EUR="93.72", ADA="7"))

    assert Position.objects.get(portfolio__isnull=False, asset="EUR").amount == D("85.43")
    assert differences(account) == 0
    assert verify_books().difference is None


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


@pytest.mark.parametrize(("missing", "told"), [("side", None), ("amount", None), ("amount", D(0))])
def test_an_order_without_side_or_amount_is_told_and_keeps_no_other_out(
    account: ExchangeAccount, missing: str, told: Decimal | None
) -> None:
    halved = make_order_report("8", **{missing: told})

    run = look(account, open_orders(halved, make_order_report("9")), balances(EUR="100"))

    assert Order.objects.get().external_id == "9"
    assert run.status == SyncRun.Status.PARTIAL
    assert "It was not stored." in Incident.objects.get().message


@pytest.mark.parametrize("odd", ["average", "price"])
def test_an_order_of_more_digits_than_can_be_kept_keeps_no_other_out(
    account: ExchangeAccount, odd: str
) -> None:
    old = timezone.now() - timedelta(days=9)
    numbers = {"filled": D("0.12345678"), odd: D(f"1.{'1' * 35}")}
    reports = [make_order_report("8", created_at=old, **numbers), make_order_report("9")]

    run = look(account, open_orders(*reports), balances(EUR="100"))

    assert Order.objects.get().external_id == "9"
    assert run.status == SyncRun.Status.PARTIAL
    assert Incident.objects.get().occurrences.get().subject == "8"


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


def test_what_is_stored_whole_leaves_nothing_to_the_next_look(account: ExchangeAccount) -> None:
    told = [open_orders(*map(make_order_report, ("8", "9"))), balances(EUR="100")]

    first = look(account, *told)
    facts = stored_facts()
    second = look(account, *told)

    assert (first.orders_checked, first.orders_changed) == (2, 2)
    assert (second.orders_checked, second.orders_changed) == (2, 0)
    assert stored_facts() == facts


def test_a_new_order_that_the_exchange_gives_the_client_id_of_another_is_told_apart_from_it(
    account: ExchangeAccount,
) -> None:
    note_order(account, client_order_id="c")
    same = [make_order_report(id_, client_order_id="d") for id_ in ("1", "9")]

    look(account, open_orders(*same), balances(EUR="100"))

    assert not account.discrepancies.filter(code=Discrepancy.Code.ORDER_ID_CONFLICT).exists()


def test_a_book_gives_a_portfolio_no_order_of_another_account(account: ExchangeAccount) -> None:
    other = make_books("other")
    for each in (account, other):
        look(each, open_orders(make_order_report(client_order_id="c")), balances(EUR="100"))
    named = {"external_id": "", "client_order_id": "c", "symbol": "ADA/EUR", "side": "buy"}
    rows = [
        named | {"portfolio": f"alpha {each.label}", "amount": "10"} for each in (account, other)
    ]

    import_book({"orders": rows})

    assert Order.objects.exclude(account=F("portfolio__account")).count() == 0
    assert Order.objects.count() == 2
