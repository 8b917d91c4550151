"""The ledger: positions are the sums of its entries, and what is booked once is not booked again (rows F30, F33)."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from portfolios.amounts import exact_sum
from portfolios.models import ExchangeAccount, LedgerEntry, Order, Position
from portfolios.services.journal import append_entries, posted
from portfolios.services.ledger import book_order, rewrite_reserved
from providers.reports import FeeReport, OrderStatus
from tests.builders import NOON, make_account, make_entry, make_order, make_portfolio
from tests.portfolios.services.reads import (
    apply_report,
    fills_leg,
    make_fill_report,
    make_order_report,
)

D = Decimal
pytestmark = pytest.mark.django_db


@pytest.fixture
def order() -> Order:
    portfolio = make_portfolio(name="alpha", trading_symbol="EUR")
    return make_order(
        portfolio, external_id="1", symbol="ADA/EUR", price=D(2), amount=D(10), created_at=None
    )


def booked(asset: str) -> list[Decimal]:
    return list(LedgerEntry.objects.filter(asset=asset).values_list("amount", flat=True))


def sums_of_entries(account: ExchangeAccount) -> dict[tuple[int | None, str], Decimal]:
    amounts: defaultdict[tuple[int | None, str], list[Decimal]] = defaultdict(list)
    for entry in account.ledger_entries.all():
        amounts[entry.portfolio_id, entry.asset].append(entry.amount)
    return {key: exact_sum(values) for key, values in amounts.items()}


def test_positions_are_the_sums_of_their_entries(order: Order) -> None:
    fills = [
        make_fill_report("3.000000000000000001", "2", external_id="f-1"),
        make_fill_report("4", "1.9", external_id="f-2", fees=(FeeReport("ADA", D("0.003")),)),
    ]
    apply_report(order, make_order_report(filled=D("3.000000000000000001")), fills_leg(*fills[:1]))
    apply_report(order, make_order_report(filled=D("7.000000000000000001")), fills_leg(*fills))

    positions = {(x.portfolio_id, x.asset): x.amount for x in Position.objects.all()}
    assert positions == sums_of_entries(order.account)
    assert positions[order.portfolio_id, "ADA"] == D("6.997000000000000001")


def test_of_fills_that_an_opening_counts_in_part_one_without_a_time_is_the_older(
    order: Order,
) -> None:
    Order.objects.update(opening_filled=D(4), opening_cost=D(8), filled=D(4))
    timed = make_fill_report("4", "1", external_id="f-1", executed_at=NOON)
    untimed = make_fill_report("4", "2", external_id="f-2")

    apply_report(order, make_order_report(filled=D(8), cost=D(12)), fills_leg(timed, untimed))

    assert booked("EUR") == [D(-4)]


def test_fills_that_come_later_correct_the_cash_by_exactly_the_difference(order: Order) -> None:
    report = make_order_report(filled=D(10), status=OrderStatus.CLOSED)
    apply_report(order, report)

    apply_report(order, report, fills_leg(make_fill_report("10", "1.9")))

    assert booked("EUR") == [D(-20), D(1)]
    position = Position.objects.get(asset="ADA")
    assert (position.amount, position.cost) == (D(10), D(19))


def test_an_order_that_changed_nothing_books_nothing(order: Order) -> None:
    report = make_order_report(filled=D(4), cost=D(8))
    apply_report(order, report)

    assert not apply_report(order, report)
    with posted(order.account) as journal:
        assert book_order(order, None, journal)
    assert booked("ADA") == [D(4)]


def test_a_fee_in_a_third_coin_that_the_portfolio_holds_is_its_own(order: Order) -> None:
    assert order.portfolio is not None
    append_entries([make_bnb(order)])
    fill = make_fill_report("10", "2", fees=(FeeReport("BNB", D("0.01")),))

    apply_report(order, make_order_report(filled=D(10)), fills_leg(fill))

    assert Position.objects.get(portfolio=order.portfolio, asset="BNB").amount == D("0.99")


def make_bnb(order: Order) -> LedgerEntry:
    return LedgerEntry(
        account=order.account,
        portfolio=order.portfolio,
        asset="BNB",
        amount=D(1),
        cause=LedgerEntry.Cause.OPENING,
        key="opening:bnb",
    )


def test_a_third_coin_that_nobody_holds_is_paid_out_of_the_unassigned_part(order: Order) -> None:
    fill = make_fill_report("10", "2", fees=(FeeReport("BNB", D("0.01")),))

    apply_report(order, make_order_report(filled=D(10)), fills_leg(fill))

    assert Position.objects.get(portfolio=None, asset="BNB").amount == D("-0.01")


def test_the_gain_of_a_sale_is_the_portfolios(order: Order) -> None:
    apply_report(order, make_order_report(filled=D(10), cost=D(20)))
    sale = make_order(
        order.portfolio or order.account,
        external_id="2",
        symbol="ADA/EUR",
        side="sell",
        amount=D(10),
    )
    report = make_order_report("2", side="sell", filled=D(5), cost=D(15), price=D(3))

    apply_report(sale, report)

    assert sale.portfolio is not None
    sale.portfolio.refresh_from_db()
    assert sale.portfolio.realized_gain == D(5)
    assert Position.objects.get(asset="ADA").cost == D(10)


def test_an_entry_of_a_key_that_was_booked_is_refused(order: Order) -> None:
    entry = make_entry(order.portfolio or make_portfolio(), key="opening:1:EUR")
    entry.pk = None

    with pytest.raises(IntegrityError), transaction.atomic():
        append_entries([entry])

    assert LedgerEntry.objects.count() == 1


def test_open_orders_reserve_what_they_lock_and_ended_ones_nothing(order: Order) -> None:
    assert order.portfolio is not None
    make_order(order.portfolio, symbol="ADA/EUR", side="sell", amount=D(7), filled=D(2))
    make_order(order.portfolio, symbol="ADA/EUR", status=OrderStatus.CANCELED)

    rewrite_reserved(order.account)

    reserved = dict(Position.objects.values_list("asset", "reserved"))
    assert reserved == {"EUR": D(20), "ADA": D(5)}


def test_what_is_reserved_is_free_again_when_its_order_has_ended(order: Order) -> None:
    rewrite_reserved(order.account)
    Order.objects.update(status=OrderStatus.EXPIRED)

    rewrite_reserved(order.account)

    assert Position.objects.get(asset="EUR").reserved == D(0)


@pytest.mark.parametrize(
    "external_id",
    ["000123", "123456789012345678901234", "0f8fad5b-d9cb-469f-a165-70867728950e", "12e5"],
)
def test_f33_an_exchange_id_is_kept_to_the_letter(external_id: str) -> None:
    order = make_order(make_account(), external_id=external_id)

    order.refresh_from_db()

    assert order.external_id == external_id


def test_f33_an_exchange_id_is_unique_within_its_account_only() -> None:
    order = make_order(make_account(), external_id="1")
    make_order(make_account(), external_id="1")

    with pytest.raises(IntegrityError), transaction.atomic():
        make_order(order.account, external_id="1")


@pytest.mark.parametrize(
    ("symbol", "base", "quote"),
    [
        ("BTC/USDT", "BTC", "USDT"),
        ("BTC/USDT:USDT", "BTC", "USDT"),
        ("BTC/USD:BTC-261225", "BTC", "USD"),
    ],
)
def test_f32_base_and_quote_are_taken_from_the_symbol(symbol: str, base: str, quote: str) -> None:
    order = Order(symbol=symbol)

    assert (order.base, order.quote) == (base, quote)
