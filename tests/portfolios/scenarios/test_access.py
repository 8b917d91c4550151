"""Open scenarios X01 to X05 and X07 to X09: an exchange that does not answer, or not as it should.

X06, a read that is cut short by a rate limit, is in `test_coverage`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from pytest_django.fixtures import Settings

from portfolios.models import (
    AssetBalance,
    Discrepancy,
    ExchangeAccount,
    Incident,
    MarketCredential,
    Order,
    SyncRun,
)
from portfolios.models.choices import Health, Verdict
from portfolios.services.accounts import account_health, due_accounts
from portfolios.services.manual_sync import sync_now
from portfolios.services.providers import provider_lookup, user_providers
from providers.reports import BalanceReport, LegKind, OrderStatus
from providers.sandbox.faults import DistortionKind, Fault, FaultKind
from providers.sandbox.server import SandboxServer
from tests.desk import KEY, Desk
from tests.portfolios.services.reads import (
    balances,
    denial,
    failed,
    later,
    look,
    make_order_report,
    note_order,
    observed,
    open_orders,
    stored_facts,
    unsupported,
)

D = Decimal
Code = Discrepancy.Code
OTHER = {"apiKey": "second-practice-key", "secret": "second-secret"}


@pytest.fixture
def without_pauses(settings: Settings) -> Iterator[None]:
    """Read as the product does, but without a pause before a read is tried again."""
    settings.POSSYNC_PORTFOLIO_PROVIDERS = ["tests.portfolios.services.reads.ImpatientProvider"]
    user_providers.cache_clear()
    provider_lookup.cache_clear()
    yield
    user_providers.cache_clear()
    provider_lookup.cache_clear()


def facts_and_discrepancies() -> tuple[dict[str, Any], list[Any]]:
    return stored_facts(), list(Discrepancy.objects.values_list())


def with_orders(account: ExchangeAccount, count: int) -> None:
    for number in range(count):
        note_order(account, external_id=str(number), amount="1", created_at="2026-01-01T00:00:00Z")
    listed = [make_order_report(str(number), amount=D(1)) for number in range(count)]
    locked = D(2 * count)
    held = balances(EUR=BalanceReport("EUR", D(100) - locked, locked, D(100)))
    look(account, open_orders(*listed), held)


def test_x01_fifty_runs_without_an_exchange_change_nothing_and_are_one_row_a_read(
    account: ExchangeAccount,
) -> None:
    with_orders(account, 6)
    before = facts_and_discrepancies()

    for _run in range(50):
        run = look(account, failed(LegKind.OPEN_ORDERS), failed(LegKind.BALANCES))

    assert run.status == SyncRun.Status.FAILED
    assert facts_and_discrepancies() == before
    counts = Incident.objects.values_list("operation", "count")
    assert sorted(counts) == [("fetch.balances", 50), ("fetch.open_orders", 50)]


def test_x02_a_list_that_fails_for_one_account_concerns_no_other(
    trader: Desk, sandbox: SandboxServer, without_pauses: None
) -> None:
    sandbox.engine.add_account(OTHER["apiKey"], OTHER["secret"])
    other = Desk(sandbox, label="other", credential=OTHER)
    other.sync()
    order = trader.buy("1", "10")
    trader.sync()
    trader.engine.fill_order(order.id)
    sandbox.faults.append(Fault(FaultKind.UNAVAILABLE, path="/openOrders$", api_key=KEY))

    runs = sync_now([trader.account, other.account])

    assert {run.account.label: run.status for run in runs} == {
        "desk": SyncRun.Status.PARTIAL,
        "other": SyncRun.Status.SUCCEEDED,
    }
    stored = trader.order(order)
    assert (stored.status, stored.missing_since) == (OrderStatus.OPEN, None)
    assert other.account.verified_at is not None


def test_x03_a_probe_that_times_out_counts_nothing_however_often(
    account: ExchangeAccount,
) -> None:
    with_orders(account, 1)
    look(account, open_orders(), *denial("0"), balances(EUR="100"))
    assert Order.objects.get().strikes == 1

    for number in range(1, 6):
        timed_out = failed(LegKind.ORDER, subject="0")
        look(account, *later([open_orders(), timed_out, balances(EUR="100")], number))

    assert Order.objects.get().strikes == 1


@pytest.mark.parametrize("step", ["ended", "fills"])
def test_x03_a_search_that_failed_half_way_counts_nothing(
    account: ExchangeAccount, step: str
) -> None:
    with_orders(account, 1)
    kind = {"ended": LegKind.ENDED_ORDERS, "fills": LegKind.FILLS}[step]

    legs = denial("0", **{step: failed(kind, subject="0")})
    look(account, open_orders(), *legs, balances(EUR="100"))

    assert Order.objects.get().strikes == 0


def rejected_thrice(trader: Desk) -> SyncRun:
    trader.server.faults.append(Fault(FaultKind.EXPIRED_KEY))
    began = timezone.now()
    for minutes in (0, 16, 32):
        with time_machine.travel(began + timedelta(minutes=minutes)):
            run = trader.sync()
    return run


def test_x04_a_rejected_key_is_told_and_can_still_be_tried_by_hand(trader: Desk) -> None:
    run = rejected_thrice(trader)

    credential = MarketCredential.objects.get()
    assert credential.state == MarketCredential.State.REJECTED
    assert account_health(trader.account, run, timezone.now()) == Health.SUSPENDED
    verdicts = AssetBalance.objects.values_list("asset", "verdict", "total")
    assert list(verdicts) == [("EUR", Verdict.NOT_VERIFIABLE, D(1100))]

    trader.server.faults.clear()
    assert trader.sync().status == SyncRun.Status.SUCCEEDED


def test_x04_after_three_rejections_the_schedule_leaves_the_key_alone(trader: Desk) -> None:
    rejected_thrice(trader)

    assert due_accounts(timezone.now() + timedelta(hours=1)) == []


def test_x05_a_nonce_that_somebody_else_has_used_is_no_absence(account: ExchangeAccount) -> None:
    with_orders(account, 1)
    before = facts_and_discrepancies()

    look(
        account,
        open_orders(),
        failed(LegKind.ORDER, "nonce", subject="0"),
        balances(EUR=BalanceReport("EUR", D(98), D(2), D(100))),
    )

    assert facts_and_discrepancies() == before
    assert Incident.objects.get().category == "nonce"


def test_x07_where_no_single_order_can_be_asked_for_the_lists_are_the_proof(
    account: ExchangeAccount,
) -> None:
    with_orders(account, 1)

    legs = [unsupported(LegKind.ORDER, subject="0"), *denial("0")[1:]]
    look(account, open_orders(), *legs, balances(EUR="100"))

    assert Order.objects.get().strikes == 1


def test_x07_a_list_that_may_be_longer_proves_nothing(account: ExchangeAccount) -> None:
    with_orders(account, 1)
    ended = observed(LegKind.ENDED_ORDERS, [], subject="0", complete=False)

    legs = [unsupported(LegKind.ORDER, subject="0"), *denial("0", ended=ended)[1:]]
    look(account, open_orders(), *legs, balances(EUR="100"))

    order = Order.objects.get()
    assert (order.strikes, order.missing_since) == (0, None)


@pytest.mark.parametrize("seed", range(4))
def test_x08_a_row_without_one_of_its_fields_costs_no_other_row(trader: Desk, seed: int) -> None:
    orders = [trader.buy("1", "10") for _number in range(3)]
    trader.sync()
    for order in orders:
        trader.engine.fill_order(order.id, "0.5")
    broken = Fault(DistortionKind.NULL_FIELD, path="/openOrders$", seed=seed)
    trader.server.faults.append(broken)

    run = trader.sync()

    assert broken.happened == 1
    assert run.balances_read
    filled = [trader.order(order).filled for order in orders]
    assert sorted(filled)[1:] == [D("0.5")] * 2
    assert not Incident.objects.filter(category="bug").exists()


def test_x09_maintenance_is_told_as_such_and_alarms_nobody(
    trader: Desk, without_pauses: None
) -> None:
    order = trader.buy("1", "10")
    trader.sync()
    trader.engine.cancel_order(order.id)
    before = facts_and_discrepancies()
    trader.server.faults.append(Fault(FaultKind.MAINTENANCE))

    run = trader.sync()

    assert run.status == SyncRun.Status.FAILED
    assert facts_and_discrepancies() == before
    assert set(Incident.objects.values_list("category", flat=True)) == {"maintenance"}
