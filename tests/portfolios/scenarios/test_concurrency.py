"""Open scenarios L03, L04, L06 and L07: many at once, twice the same, and nothing that is only proposed.

L05, a worker that is killed at any of its writes, is in `tests/processes/test_kill`.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from portfolios.models import (
    Discrepancy,
    ExchangeAccount,
    Fill,
    Order,
    Portfolio,
    Position,
    SyncRun,
)
from portfolios.services.claims import accept_match, unacked_match
from portfolios.services.lapses import accept_lapse, proposes_lapse, released_by_lapse
from portfolios.services.leases import LeaseLost, lock_account
from portfolios.services.portfolio_sync import execute_runs, finish_run
from portfolios.services.runs import claim_run, heal_abandoned_runs
from portfolios.services.snapshot_requests import snapshot_request
from portfolios.tasks import enqueue_sync, sync_accounts
from providers.reports import LegKind, OrderStatus, Snapshot
from providers.sandbox.books import OrderRequest
from providers.sandbox.server import SandboxServer
from tests.desk import Desk
from tests.portfolios.services.reads import (
    balances,
    begin,
    denial,
    everything_stored,
    failed,
    fills_leg,
    later,
    let_the_lease_lapse,
    look,
    make_books,
    make_fill_report,
    make_order_report,
    note_order,
    open_orders,
    stored_facts,
)

D = Decimal
OTHER = {"apiKey": "second-practice-key", "secret": "second-secret"}
Trigger = SyncRun.Trigger


def test_l03_ten_clicks_before_a_run_begins_are_one_run(trader: Desk) -> None:
    clicked = {enqueue_sync(trader.account, Trigger.MANUAL).pk for _click in range(10)}

    assert len(clicked) == 1


def test_l03_ten_clicks_during_a_run_show_that_run_and_open_no_second_one(trader: Desk) -> None:
    running = begin(trader.account)

    clicked = {enqueue_sync(trader.account, Trigger.MANUAL).pk for _click in range(10)}

    assert clicked == {running.pk}
    assert SyncRun.objects.filter(status__in=["queued", "running"]).count() == 1


def test_l03_what_happens_during_a_run_is_read_by_the_next_click(trader: Desk) -> None:
    order = trader.buy("1", "10")
    execute_runs([enqueue_sync(trader.account, Trigger.MANUAL).pk])
    trader.engine.fill_order(order.id)

    execute_runs([enqueue_sync(trader.account, Trigger.MANUAL).pk])

    assert trader.order(order).status == OrderStatus.CLOSED


def filled_order(desk: Desk) -> Order:
    placed = desk.buy("10", "1")
    desk.sync()
    desk.engine.fill_order(placed.id)
    return desk.order(placed)


def test_l04_a_task_that_is_delivered_twice_works_once(trader: Desk) -> None:
    filled_order(trader)
    run = enqueue_sync(trader.account, Trigger.MANUAL)
    sync_accounts([run.pk])
    before = stored_facts()
    trader.server.requests.clear()

    sync_accounts([run.pk])

    assert (stored_facts(), trader.requests()) == (before, [])
    assert SyncRun.objects.get(pk=run.pk).attempts == 1


def test_l04_a_second_delivery_while_the_first_one_works_leaves_at_the_lease(
    trader: Desk,
) -> None:
    filled_order(trader)
    first = begin(trader.account)
    trader.server.requests.clear()

    sync_accounts([first.pk])

    assert trader.requests() == []
    first.refresh_from_db()
    assert (first.status, first.attempts) == (SyncRun.Status.RUNNING, 1)


def test_l04_a_late_worker_changes_no_book_beside_the_one_in_its_place(
    account: ExchangeAccount,
) -> None:
    note_order(account)
    late = begin(account)
    let_the_lease_lapse(late)
    [again] = heal_abandoned_runs()
    new = claim_run(again.pk)
    assert new is not None
    legs = (
        open_orders(make_order_report(filled=D(4), cost=D(8))),
        fills_leg(make_fill_report("4", "2")),
        balances(EUR="92", ADA="4"),
    )
    snapshot = Snapshot(snapshot_request(account), legs)
    finish_run(new, snapshot)
    before = everything_stored()

    finish_run(late, snapshot)

    assert everything_stored() == before
    with pytest.raises(LeaseLost):
        lock_account(late)


def test_l05_a_run_that_was_left_half_way_ends_as_one_that_was_not(
    account: ExchangeAccount,
) -> None:
    note_order(account)
    legs = (
        open_orders(make_order_report(filled=D(4), cost=D(8))),
        fills_leg(make_fill_report("4", "2")),
        balances(EUR="92", ADA="4"),
    )
    left = begin(account)
    let_the_lease_lapse(left)
    [again] = heal_abandoned_runs()
    new = claim_run(again.pk)
    assert new is not None

    finish_run(new, Snapshot(snapshot_request(account), legs))

    owned = Position.objects.filter(portfolio__isnull=False)
    assert dict(owned.values_list("asset", "amount")) == {"ADA": D(4), "EUR": D(92)}
    assert Fill.objects.count() == 1


def missing_order(account: ExchangeAccount) -> Order:
    """Note an order for 20 EUR that three looks have proved to be gone."""
    two_days_ago = timezone.now() - timedelta(days=2)
    note_order(account, created_at=two_days_ago.isoformat())
    for number in range(3):
        look(account, *later([open_orders(), *denial(), balances(EUR="100")], number))
    return Order.objects.get()


def test_l06_looking_at_a_proposed_lapse_writes_nothing(account: ExchangeAccount) -> None:
    order = missing_order(account)
    before = everything_stored()

    proposal = Discrepancy.objects.get(order=order)
    is_proposed, released = proposes_lapse(proposal), released_by_lapse(order)

    assert (is_proposed, released) == (True, ("EUR", D(20)))
    assert everything_stored() == before


def test_l06_accepting_a_lapse_releases_what_was_shown(account: ExchangeAccount) -> None:
    order = missing_order(account)
    cash = Position.objects.get(portfolio__isnull=False, asset="EUR")
    asset, released = released_by_lapse(order)

    accept_lapse(order)

    after = Position.objects.get(pk=cash.pk)
    assert asset == "EUR"
    assert (after.available - cash.available, after.amount) == (released, cash.amount)


def sent_and_seen(account: ExchangeAccount) -> Order:
    """Note an order that was sent, and let the exchange tell of one just like it under another client id."""
    now = timezone.now()
    note_order(account, external_id="", client_order_id="mine", created_at=now.isoformat())
    seen = make_order_report("9", client_order_id="theirs", created_at=now)
    unknown = failed(LegKind.ORDER, "not_found", subject="mine")
    look(account, open_orders(seen), unknown, balances(EUR="100"))
    return Order.objects.get(client_order_id="mine")


def test_l06_looking_at_a_proposed_match_writes_nothing(account: ExchangeAccount) -> None:
    order = sent_and_seen(account)
    before = everything_stored()

    match = unacked_match(order)

    assert match == Order.objects.get(external_id="9")
    assert everything_stored() == before


def test_l06_accepting_a_match_takes_the_order_that_was_shown(account: ExchangeAccount) -> None:
    order = sent_and_seen(account)
    match = unacked_match(order)
    assert match is not None

    accept_match(order, match)

    kept = Order.objects.get()
    assert (kept.external_id, kept.client_order_id) == ("9", "mine")
    assert kept.portfolio == Portfolio.objects.get()


def test_l07_equal_order_ids_on_two_accounts_are_two_orders(
    trader: Desk, sandbox: SandboxServer
) -> None:
    sandbox.engine.add_account(OTHER["apiKey"], OTHER["secret"])
    sandbox.engine.deposit(OTHER["apiKey"], "EUR", "500")
    other = Desk(sandbox, label="other", credential=OTHER)
    other.sync()
    mine = trader.buy("1", "10")
    request = OrderRequest(symbol="ADA/EUR", side=mine.side, amount=D(5), price=D(2), id=mine.id)
    sandbox.engine.place_order(OTHER["apiKey"], request)

    trader.sync()
    other.sync()

    stored = Order.objects.filter(external_id=mine.id)
    assert {(row.account.label, row.amount) for row in stored} == {("desk", D(1)), ("other", D(5))}


def test_l07_equal_trade_ids_on_two_accounts_are_two_fills(account: ExchangeAccount) -> None:
    other = make_books("other")
    look(other, open_orders(), balances(EUR="100"))
    for each in (account, other):
        note_order(each, external_id="1001")
        look(
            each,
            open_orders(make_order_report("1001", filled=D(4), cost=D(8))),
            fills_leg(make_fill_report("4", "2", order="1001", external_id="7")),
            balances(EUR="92", ADA="4"),
        )

    assert list(Fill.objects.values_list("external_id", flat=True)) == ["7", "7"]
    assert stored_facts()["Order"][0]["filled"] == stored_facts()["Order"][1]["filled"] == D(4)
