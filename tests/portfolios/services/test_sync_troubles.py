"""Exchanges that answer nonsense, ask to be left alone, or hang: what it does to the books, and to other accounts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from portfolios.models import (
    AssetBalance,
    Discrepancy,
    ExchangeAccount,
    Fill,
    Incident,
    LedgerEntry,
    MarketCredential,
    Order,
    Position,
    SyncRun,
)
from portfolios.services import portfolio_sync, quiet_runs
from portfolios.services.credentials import store_credential
from portfolios.services.portfolio_sync import execute_runs, finish_run
from portfolios.services.providers import provider_lookup, user_providers
from portfolios.services.runs import open_run
from providers.fetching import Job, fetch_batches
from providers.reports import Progress, Snapshot
from providers.sandbox.faults import Fault, FaultKind
from providers.sandbox.server import SandboxServer
from tests.desk import KEY, SECRET, Desk
from tests.portfolios.services.reads import everything_stored

D = Decimal
Status = SyncRun.Status
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


@pytest.fixture
def busy(desk: Desk, without_pauses: None) -> Desk:
    """Sync an account with a position and an open order that is half filled."""
    desk.deposit("EUR", "1000")
    desk.open_portfolio("1000")
    desk.hold("ADA", "50", "100")
    order = desk.buy("100", "1")
    desk.engine.fill_order(order.id, "40")
    desk.sync()
    return desk


def books() -> dict[str, list[dict[str, Any]]]:
    stored = everything_stored()
    for row in stored["AssetBalance"]:
        for said in ("verdict", "reason", "used_verdict", "used_low", "used_high"):
            del row[said]
    return {
        model.__name__: stored[model.__name__]
        for model in (Position, Order, Fill, LedgerEntry, AssetBalance, Discrepancy)
    }


GARBAGE = [
    FaultKind.HTML_OK,
    FaultKind.EMPTY_OK,
    FaultKind.NULL_OK,
    FaultKind.TRUNCATED,
    FaultKind.WRONG_SHAPE,
    FaultKind.CUT_SHORT,
    FaultKind.REDIRECT,
]


@pytest.mark.parametrize("kind", GARBAGE)
def test_an_answer_that_is_none_changes_no_book(busy: Desk, kind: FaultKind) -> None:
    before = books()
    busy.server.faults.append(Fault(kind))

    run = busy.sync()

    assert run.status == Status.FAILED
    assert books() == before
    assert Incident.objects.count() == 2


@pytest.mark.parametrize("path", ["/api/v3/openOrders$", "/api/v3/account$"])
def test_an_answer_that_is_none_fails_its_own_leg_only(busy: Desk, path: str) -> None:
    before = books()
    busy.server.faults.append(Fault(FaultKind.NULL_OK, path=path))

    run = busy.sync()

    assert run.status == Status.PARTIAL
    assert sorted(leg.status for leg in run.legs.all()) == ["FAILED", "OBSERVED"]
    assert books() == before


def test_after_bad_answers_the_next_good_one_is_booked(busy: Desk) -> None:
    busy.server.faults.append(Fault(FaultKind.HTML_OK, times=6))
    busy.sync()
    busy.engine.fill_order(Order.objects.get().external_id)

    busy.sync()

    assert busy.position("ADA").amount == D(150)


def test_too_many_requests_are_not_tried_again_before_the_exchange_says_so(busy: Desk) -> None:
    busy.server.faults.append(Fault(FaultKind.BANNED, retry_after=900))

    run = busy.sync()

    assert run.status == Status.FAILED
    next_sync_at = busy.account.next_sync_at
    assert next_sync_at is not None
    assert next_sync_at > timezone.now() + timedelta(seconds=890)


def store_during_the_read(
    account: ExchangeAccount, key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = portfolio_sync._Fetching._finish

    def finish_later(self: Any, reads: Any) -> None:
        store_credential(account, key)
        finish(self, reads)

    monkeypatch.setattr(portfolio_sync._Fetching, "_finish", finish_later)


def test_a_key_that_is_stored_during_a_run_is_not_accepted_by_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.sync()
    desk.sync()
    store_during_the_read(desk.account, OTHER, monkeypatch)

    assert desk.sync().status == Status.SUCCEEDED

    assert MarketCredential.objects.get().state == MarketCredential.State.UNTESTED


def test_a_key_that_is_stored_during_a_run_is_not_rejected_by_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_credential(desk.account, OTHER)
    key = {"apiKey": KEY, "secret": SECRET}
    store_during_the_read(desk.account, key, monkeypatch)

    assert desk.sync().status == Status.FAILED

    assert MarketCredential.objects.get().state == MarketCredential.State.UNTESTED
    assert desk.account.rejections == 0


def test_an_account_whose_exchange_hangs_delays_no_other_and_loses_no_lease(
    transactional_db: None, sandbox: SandboxServer, settings: Settings, without_pauses: None
) -> None:
    settings.POSSYNC_SYNC_DEADLINE, settings.POSSYNC_LEASE_SECONDS = 3, 1
    hanging = Desk(sandbox, label="hanging")
    keys = [{"apiKey": f"other-key-{n}", "secret": "other-secret"} for n in range(3)]
    for key in keys:
        sandbox.engine.add_account(key["apiKey"], key["secret"])
    others = [Desk(sandbox, label=f"other {n}", credential=key) for n, key in enumerate(keys)]
    others[0].sync()  # reads the market's symbols
    sandbox.faults.append(Fault(FaultKind.HANG, api_key=KEY))
    opened = [open_run(x.account, SyncRun.Trigger.CLI)[0].pk for x in (hanging, *others)]
    began, since = timezone.now(), time.monotonic()

    with CaptureQueriesContext(connection) as queries:
        execute_runs(opened)

    assert time.monotonic() - since >= settings.POSSYNC_SYNC_DEADLINE
    hung, *rest = SyncRun.objects.filter(pk__in=opened).order_by("pk")
    assert hung.status == Status.FAILED
    assert [run.status for run in rest] == [Status.SUCCEEDED] * 3
    ended = [run.finished_at for run in rest if run.finished_at is not None]
    assert max(ended) - began < timedelta(seconds=2)
    assert len([query for query in queries if renews_a_lease(query["sql"])]) >= 6


def renews_a_lease(sql: str) -> bool:
    beginning = 'UPDATE "portfolios_exchangeaccount" SET "lease_expires_at" = '
    return sql.startswith(beginning) and not sql.startswith(f"{beginning}NULL")


def test_a_run_that_cannot_be_written_keeps_no_other_from_its_end(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.engine.add_account(OTHER["apiKey"], OTHER["secret"])
    other = Desk(desk.server, label="other", credential=OTHER)

    def break_off(run: SyncRun, snapshot: Snapshot, *, may_be_quiet: bool) -> None:
        if run.account.label == "desk":
            raise DatabaseError("the disk is full")
        finish_run(run, snapshot, may_be_quiet=may_be_quiet)

    monkeypatch.setattr(portfolio_sync, "finish_run", break_off)
    execute_runs([open_run(x.account, SyncRun.Trigger.CLI)[0].pk for x in (desk, other)])

    assert desk.account.runs.get().status == Status.RUNNING
    assert other.account.runs.get().status == Status.SUCCEEDED


def test_while_one_account_is_booked_those_read_with_it_are_held(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.engine.add_account(OTHER["apiKey"], OTHER["secret"])
    other = Desk(desk.server, label="other", credential=OTHER)
    held: list[timedelta] = []

    def together(jobs: Iterable[Job], **how: Any) -> Iterator[list[Progress | Snapshot]]:
        yield [event for events in fetch_batches(jobs, **how) for event in events]

    def finish(run: SyncRun, snapshot: Snapshot, *, may_be_quiet: bool) -> None:
        if not held:
            leases = ExchangeAccount.objects.values_list("lease_expires_at", flat=True)
            held.extend(lease - timezone.now() for lease in leases if lease is not None)
        finish_run(run, snapshot, may_be_quiet=may_be_quiet)

    for each in (desk, other):
        each.deposit("EUR", "100")
    monkeypatch.setattr(portfolio_sync, "fetch_batches", together)
    monkeypatch.setattr(portfolio_sync, "SECONDS_A_ROW", 100)
    monkeypatch.setattr(portfolio_sync, "finish_run", finish)
    execute_runs([open_run(x.account, SyncRun.Trigger.CLI)[0].pk for x in (desk, other)])

    assert len(held) == 2
    assert min(held) > timedelta(seconds=100)


def test_a_snapshot_of_an_account_that_nobody_asked_for_keeps_no_other_from_its_end(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_another(jobs: Iterable[Job], **how: Any) -> Iterator[list[Progress | Snapshot]]:
        for events in fetch_batches(jobs, **how):
            read = [event for event in events if isinstance(event, Snapshot)]
            unasked = [replace(one, request=replace(one.request, account="?")) for one in read]
            yield [*unasked, *events]

    monkeypatch.setattr(portfolio_sync, "fetch_batches", with_another)

    assert desk.sync().status == Status.SUCCEEDED


def test_a_run_that_cannot_be_confirmed_fails_and_says_why(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(_reads: object) -> set[int]:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(quiet_runs, "confirm", break_off)

    assert desk.sync().status == Status.FAILED
    assert Incident.objects.get().operation == "sync.apply"
