"""Orders that the exchange denies: what one look counts, and what is said of those that were never acknowledged."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from portfolios.models import Discrepancy, ExchangeAccount, Order
from portfolios.models.choices import Severity
from portfolios.services.absence import old_denials
from providers.reports import (
    BalanceReport,
    Leg,
    LegKind,
    OrderStatus,
    OrderType,
)
from tests.kept import kept
from tests.portfolios.services.reads import (
    balances,
    denial,
    failed,
    later,
    look,
    make_books,
    make_order_report,
    note_order,
    observed,
    open_orders,
    order_leg,
    unsupported,
)

D = Decimal
Code = Discrepancy.Code
State = Discrepancy.State
pytestmark = pytest.mark.django_db


def open_books(market: str = "binance", **order: str) -> ExchangeAccount:
    opened = make_books(market=market)
    look(opened, open_orders(), balances(EUR="100"))
    created_at = (timezone.now() - timedelta(days=1)).isoformat()
    note_order(opened, **{"created_at": created_at} | order)
    return opened


@kept
def account() -> ExchangeAccount:
    return open_books()


def read(account: ExchangeAccount, *legs: Leg, lists: Leg | None = None) -> Order:
    look(account, lists or open_orders(), *legs, balances(EUR="100"))
    return Order.objects.get()


def test_a_denial_of_an_open_order_is_news(account: ExchangeAccount) -> None:
    assert old_denials(account, denial()) == frozenset()


def test_a_denial_of_an_order_that_is_not_open_is_none(account: ExchangeAccount) -> None:
    assert old_denials(account, denial("2")) == {"2"}


def test_a_denial_of_an_order_never_acknowledged_is_none_once_that_is_told() -> None:
    account = open_books(external_id="", client_order_id="a-1")
    news = []
    for _look in range(4):  # the third proves that it is missing there
        read(account, *denial("a-1"))
        news.append("a-1" not in old_denials(account, denial("a-1")))

    assert news == [True, False, False, False]


def test_a_whole_look_is_one_strike_and_says_since_when(account: ExchangeAccount) -> None:
    order = read(account, *denial())

    assert order.strikes == 1
    assert order.missing_since == order.last_strike_at is not None


def test_a_suspicion_says_how_far_the_proof_is(account: ExchangeAccount) -> None:
    read(account, *denial())
    read(account, *denial())

    suspicion = Discrepancy.objects.get()
    assert (suspicion.state, suspicion.severity) == (State.SUSPECTED, Severity.ERROR)
    assert suspicion.cause == "the exchange does not know this order (proof 2 of 3)"


@pytest.mark.parametrize(
    "unread",
    [
        failed(LegKind.OPEN_ORDERS),
        observed(LegKind.OPEN_ORDERS, [], complete=False),
        unsupported(LegKind.OPEN_ORDERS),
    ],
    ids=["failed", "incomplete", "unsupported"],
)
def test_without_the_whole_list_of_open_orders_nothing_counts(
    account: ExchangeAccount, unread: Leg
) -> None:
    order = read(account, *denial(), lists=unread)

    assert order.strikes == 0


def test_a_search_that_the_market_does_not_offer_is_no_hole(account: ExchangeAccount) -> None:
    legs = denial(
        ended=unsupported(LegKind.ENDED_ORDERS, subject="1"),
        fills=unsupported(LegKind.FILLS, subject="1"),
    )

    assert read(account, *legs).strikes == 1


def test_a_denial_without_any_search_counts_nothing(account: ExchangeAccount) -> None:
    order = read(account, failed(LegKind.ORDER, "not_found", subject="1"))

    assert (order.strikes, order.missing_since is None) == (0, False)


def test_an_order_that_the_search_finds_is_taken_from_there(account: ExchangeAccount) -> None:
    found = make_order_report(status=OrderStatus.CANCELED)

    order = read(account, *denial(ended=observed(LegKind.ENDED_ORDERS, [found], subject="1")))

    assert (order.status, order.strikes) == (OrderStatus.CANCELED, 0)
    assert not Discrepancy.objects.exists()


@pytest.mark.parametrize("is_listed_apart", [True, False])
def test_an_order_that_waits_for_its_price_is_missed_only_where_such_are_listed(
    is_listed_apart: bool,
) -> None:
    account = open_books("okx")
    Order.objects.update(type=OrderType.STOP)
    triggers = [observed(LegKind.TRIGGER_ORDERS, [])] if is_listed_apart else []

    order = read(account, *triggers, *denial())

    assert order.strikes == is_listed_apart


def test_a_list_of_another_symbol_does_not_matter() -> None:
    account = open_books("bitvavo")
    own = observed(LegKind.OPEN_ORDERS, [], subject="ADA/EUR")
    other = failed(LegKind.OPEN_ORDERS, subject="DOT/EUR")

    order = read(account, other, *denial(), lists=own)

    assert order.strikes == 1


def test_a_lapsed_order_that_the_exchange_shows_is_open_again(account: ExchangeAccount) -> None:
    Order.objects.update(status=OrderStatus.LAPSED)

    order = read(account, lists=open_orders(make_order_report()))

    assert order.status == OrderStatus.OPEN
    assert Discrepancy.objects.filter(code=Code.ORDER_RESURRECTED).exists()


def test_a_lapsed_order_that_the_exchange_ended_ends_as_it_says(account: ExchangeAccount) -> None:
    Order.objects.update(status=OrderStatus.LAPSED)

    order = read(account, order_leg(make_order_report(status=OrderStatus.CANCELED)))

    assert order.status == OrderStatus.CANCELED


def test_lapsing_by_itself_waits_until_others_locks_explain_what_is_locked() -> None:
    account = open_books()
    ExchangeAccount.objects.update(lapses_by_itself=True)
    note_order(account, external_id="2", amount="5")
    other = make_order_report("2", amount=D(5))
    statuses = []

    for number, used in enumerate((D(30), D(30), D(30), D(10))):
        held = balances(EUR=BalanceReport("EUR", D(100) - used, used, D(100)))
        look(account, *later([open_orders(other), *denial(), held], number))
        statuses.append(Order.objects.get(external_id="1").status)

    assert statuses == [OrderStatus.OPEN] * 3 + [OrderStatus.LAPSED]


# --- orders that were sent and never acknowledged -----------------------------------------------


def sent(age: timedelta = timedelta(days=1)) -> ExchangeAccount:
    created_at = (timezone.now() - age).isoformat()
    return open_books(external_id="", client_order_id="a-1", created_at=created_at)


def test_an_order_that_was_never_acknowledged_is_told() -> None:
    account = sent()

    read(account, failed(LegKind.ORDER, "not_found", subject="a-1"))

    told = Discrepancy.objects.get()
    assert (told.code, told.severity) == (Code.ORDER_UNACKED, Severity.WARNING)


def test_it_is_resolved_when_the_exchange_shows_the_order() -> None:
    account = sent()
    read(account, failed(LegKind.ORDER, "not_found", subject="a-1"))

    shown = open_orders(make_order_report("9", client_order_id="a-1"))
    order = read(account, lists=shown)

    assert (order.external_id, order.status) == ("9", OrderStatus.OPEN)
    assert Discrepancy.objects.get(code=Code.ORDER_UNACKED).state == State.RESOLVED


def test_three_whole_looks_prove_that_it_never_arrived() -> None:
    account = sent()
    searched = unsupported(LegKind.FILLS, subject="a-1")

    for _look in range(3):
        read(account, *denial("a-1", fills=searched))

    live = Discrepancy.objects.get(state__in=Discrepancy.LIVE)
    assert (live.code, live.state) == (Code.ORDER_MISSING_AT_VENUE, State.OPEN)


def test_one_that_was_sent_just_now_is_not_counted() -> None:
    account = sent(timedelta(0))
    ExchangeAccount.objects.update(grace_seconds=30)

    order = read(account, *denial("a-1"))

    assert (order.strikes, order.missing_since) == (0, None)
