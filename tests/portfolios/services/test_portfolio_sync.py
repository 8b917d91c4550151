"""Whole runs: what they ask of the exchange, what they leave in the books, and how they end."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from portfolios.models import (
    AssetBalance,
    ExchangeAccount,
    Incident,
    LedgerEntry,
    MarketCredential,
    Order,
    SyncRun,
)
from portfolios.services.credentials import store_credential
from portfolios.services.portfolio_sync import execute_runs, finish_run
from portfolios.services.runs import claim_run, heal_abandoned_runs, open_run
from portfolios.services.snapshot_requests import snapshot_request
from providers.reports import LegError, LegKind, OrderSide, OrderStatus, OrderType, Snapshot
from tests.desk import KEY, Desk
from tests.portfolios.services.reads import (
    balances,
    begin,
    failed,
    let_the_lease_lapse,
    look,
    make_books,
    make_order_report,
    note_order,
    observed,
    open_orders,
    skipped,
    unsupported,
)

D = Decimal
Status = SyncRun.Status
ONE_ORDER = "GET /api/v3/order"


# --- what an exchange may say of an order (F31) --------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("reported", "status"),
    [
        (OrderStatus.OPEN, "open"),
        (OrderStatus.CLOSED, "closed"),
        (OrderStatus.CANCELED, "canceled"),
        (OrderStatus.EXPIRED, "expired"),
        (OrderStatus.REJECTED, "rejected"),
    ],
)
def test_f31_the_status_is_the_exchanges(reported: OrderStatus, status: str) -> None:
    account = make_books()
    note_order(account)

    look(account, open_orders(make_order_report(status=reported)), balances(EUR="100"))

    assert Order.objects.get().status == status


@pytest.mark.django_db
def test_f31_a_status_that_is_not_known_leaves_the_order_and_is_an_incident() -> None:
    account = make_books()
    note_order(account)
    unknown = make_order_report(status=None, raw_status="refunded")

    run = look(account, open_orders(unknown), balances(EUR="100"))

    assert (run.status, Order.objects.get().status) == (Status.PARTIAL, "open")
    assert '"refunded"' in Incident.objects.get().message


@pytest.mark.django_db
def test_f31_a_type_that_is_not_known_leaves_the_books_type() -> None:
    account = make_books()
    note_order(account, type="limit")

    look(account, open_orders(make_order_report(type=None)), balances(EUR="100"))

    assert Order.objects.get().type == OrderType.LIMIT


@pytest.mark.django_db
def test_f31_type_and_creation_time_of_the_book_are_never_overwritten() -> None:
    account = make_books()
    note_order(account, type="stop", created_at="2026-11-22T08:00:00Z")
    report = make_order_report(type=OrderType.LIMIT, created_at=timezone.now())

    look(account, open_orders(report), balances(EUR="100"))

    order = Order.objects.get()
    assert order.type == OrderType.STOP
    assert order.created_at is not None
    assert order.created_at.isoformat() == "2026-11-22T08:00:00+00:00"


@pytest.mark.django_db
@pytest.mark.parametrize("other", [{"side": OrderSide.SELL}, {"symbol": "DOT/EUR"}])
def test_f31_an_order_of_another_side_or_symbol_is_not_taken_for_ours(
    other: dict[str, Any],
) -> None:
    account = make_books()
    note_order(account)

    run = look(
        account,
        open_orders(make_order_report(filled=D(4), **other)),
        balances(EUR="100"),
    )

    assert (run.status, Order.objects.get().filled) == (Status.PARTIAL, D(0))
    assert "It was left as it is." in Incident.objects.get().message


# --- how a run ends -----------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("legs", "status"),
    [
        ([open_orders(), balances(EUR="1")], Status.SUCCEEDED),
        ([unsupported(LegKind.OPEN_ORDERS), balances(EUR="1")], Status.SUCCEEDED),
        ([open_orders(), failed(LegKind.BALANCES)], Status.PARTIAL),
        ([failed(LegKind.OPEN_ORDERS), skipped(LegKind.BALANCES)], Status.FAILED),
        ([unsupported(LegKind.OPEN_ORDERS), unsupported(LegKind.BALANCES)], Status.FAILED),
        ([], Status.FAILED),
    ],
)
def test_a_run_is_whole_partial_or_failed_by_what_was_read(legs: list[Any], status: Status) -> None:
    assert look(make_books(), *legs).status == status


@pytest.mark.django_db
def test_every_failed_leg_is_an_incident_of_its_own() -> None:
    run = look(make_books(), failed(LegKind.OPEN_ORDERS), failed(LegKind.BALANCES))

    operations = Incident.objects.order_by("operation").values_list("operation", "type")
    assert list(operations) == [
        ("fetch.balances", "ExchangeUnavailable"),
        ("fetch.open_orders", "ExchangeUnavailable"),
    ]
    assert run.message == "The exchange does not answer."


@pytest.mark.django_db
def test_rows_that_could_not_be_told_make_the_run_partial_and_are_an_incident() -> None:
    error = LegError("parse", "UnexpectedReport", "row 3: expected a number")
    orders = observed(LegKind.OPEN_ORDERS, (), complete=False, error=error)

    run = look(make_books(), orders, balances(EUR="1"))

    assert run.status == Status.PARTIAL
    assert Incident.objects.get().message == "row 3: expected a number"


@pytest.mark.django_db
def test_a_run_with_problems_while_booking_says_how_many() -> None:
    account = make_books()
    note_order(account)

    run = look(account, open_orders(make_order_report(symbol="DOT/EUR")), balances(EUR="1"))

    assert run.message == "1 problem while booking; see the exceptions."


@pytest.mark.django_db
def test_a_snapshot_that_broke_off_fails_the_run_and_changes_no_book() -> None:
    account = make_books(positions={"BTC": "2"})
    error = LegError("unsupported", "PortfolioProviderNotFound", "No portfolio provider found.")

    run = look(account, error=error)

    assert (run.status, run.message) == (Status.FAILED, "No portfolio provider found.")
    assert Incident.objects.get().operation == "sync.fetch"


@pytest.mark.django_db
@pytest.mark.parametrize("is_leg", [True, False])
def test_an_exchange_that_asks_to_be_left_alone_is_until_then(is_leg: bool) -> None:
    account = make_books()
    error = LegError("rate", "RateLimited", "Too many requests.", retry_after=4000)

    if is_leg:
        look(account, failed(LegKind.OPEN_ORDERS, error=error))
    else:
        look(account, error=error)

    assert account.next_sync_at is not None
    assert account.next_sync_at > timezone.now() + timedelta(seconds=3900)


@pytest.mark.django_db
def test_a_run_that_ended_sets_the_next_turn_and_lets_go_of_the_account() -> None:
    account = make_books(interval_seconds=60)

    look(account, open_orders(), balances(EUR="1"))

    assert account.lease_expires_at is None
    assert account.next_sync_at is not None
    assert timezone.now() < account.next_sync_at <= timezone.now() + timedelta(seconds=60)


@pytest.mark.django_db
def test_a_worker_that_was_too_slow_writes_nothing_and_the_next_one_does() -> None:
    account = make_books()
    late = begin(account)
    request = snapshot_request(account)
    let_the_lease_lapse(late)
    [again] = heal_abandoned_runs()
    new = claim_run(again.pk)
    assert new is not None

    finish_run(late, Snapshot(request, (open_orders(), balances(EUR="111"))))
    nothing = [AssetBalance.objects.count(), LedgerEntry.objects.count(), late.legs.count()]
    finish_run(new, Snapshot(request, (open_orders(), balances(EUR="222"))))

    assert nothing == [0, 0, 0]
    assert AssetBalance.objects.get().total == D(222)
    statuses = SyncRun.objects.order_by("pk").values_list("status", flat=True)
    assert list(statuses) == [Status.LOST, Status.SUCCEEDED]


@pytest.mark.django_db
def test_a_late_failure_does_not_end_the_run_of_the_next_worker() -> None:
    account = make_books()
    late = begin(account)
    let_the_lease_lapse(late)
    [again] = heal_abandoned_runs()
    claim_run(again.pk)
    lost = Incident.objects.get()
    error = LegError("transport", "ExchangeTimeout", "No answer in time.")

    finish_run(late, Snapshot(snapshot_request(account), error=error))

    again.refresh_from_db()
    assert again.status == Status.RUNNING
    assert Incident.objects.get() == lost


# --- accounts that are not read -------------------------------------------------------------------


def test_f43_an_account_of_backtests_makes_no_request(desk: Desk) -> None:
    desk.open_portfolio("1000", mode="backtest")

    run = desk.sync()

    assert desk.requests() == []
    assert (run.status, run.http_requests) == (Status.SUCCEEDED, 0)
    assert run.message == "Every portfolio of this account is a backtest."


def test_a_backtest_beside_a_live_portfolio_is_not_asked_for(desk: Desk) -> None:
    desk.deposit("EUR", "1000")
    desk.open_portfolio("1000")
    desk.open_portfolio("5000", name="past", mode="backtest")
    desk.note("77", "buy", "1", "1", "ADA/EUR", portfolio="past")

    run = desk.sync()

    assert run.status == Status.SUCCEEDED
    assert ONE_ORDER not in desk.requests()
    assert not desk.portfolio("past").initialized


def test_a_credential_that_cannot_be_opened_sends_nothing_and_is_locked(desk: Desk) -> None:
    credential = desk.account.credential
    credential.sealed = {**credential.sealed, "secret": credential.sealed["apiKey"]}
    credential.save()

    run = desk.sync()

    credential.refresh_from_db()
    assert (run.status, desk.requests()) == (Status.FAILED, [])
    assert credential.state == MarketCredential.State.LOCKED
    assert Incident.objects.get().type == "CredentialUnreadable"


def test_a_wrong_secret_is_told_on_the_credential(desk: Desk) -> None:
    store_credential(desk.account, {"apiKey": KEY, "secret": "wrong"})

    run = desk.sync()

    assert run.status == Status.FAILED
    assert desk.account.credential.state == MarketCredential.State.REJECTED
    assert {incident.category for incident in Incident.objects.all()} == {"auth"}


def test_an_accepted_key_is_told_on_the_credential(desk: Desk) -> None:
    desk.sync()

    assert desk.account.credential.state == MarketCredential.State.ACCEPTED


def test_a_market_that_nobody_serves_fails_its_own_run_only(desk: Desk) -> None:
    stray = ExchangeAccount.objects.create(label="stray", market="nowhere")
    runs = [open_run(account, SyncRun.Trigger.CLI)[0].pk for account in (stray, desk.account)]

    execute_runs(runs)

    assert stray.runs.get().status == Status.FAILED
    assert desk.account.runs.get().status == Status.SUCCEEDED
