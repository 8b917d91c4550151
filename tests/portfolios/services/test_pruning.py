from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.contrib.sessions.models import Session
from django.db.models import Model
from django.utils import timezone

from portfolios.models import (
    AuditEvent,
    CircuitBreaker,
    Decision,
    Discrepancy,
    DiscrepancyEvent,
    ExchangeAccount,
    JudgedContent,
    JudgedSnapshot,
    LegContent,
    Occurrence,
    OrderVersion,
    PortfolioSnapshot,
    RateBudget,
    StoredLeg,
    SyncRun,
)
from portfolios.selectors.run_changes import run_changes
from portfolios.services import pruning
from portfolios.services.integrity import check_integrity
from portfolios.services.pruning import BOUNDS, prune
from providers.reports import LegKind
from providers.sandbox.server import SandboxServer
from tests.builders import (
    NOON,
    make_account,
    make_discrepancy,
    make_entry,
    make_incident,
    make_leg,
    make_occurrence,
    make_order,
    make_portfolio,
    make_run,
)
from tests.desk import Desk

pytestmark = pytest.mark.django_db
LATER = NOON + timedelta(days=91)


@pytest.fixture(autouse=True)
def keep_two_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "LOOKS_KEPT", 2)


@pytest.fixture
def account() -> ExchangeAccount:
    return make_account()


def make_read(account: ExchangeAccount, digest: str = "a", **run: Any) -> SyncRun:
    """Make a run with a leg and a settled verdict, both with contents."""
    read = make_run(account, **run)
    legs, _ = LegContent.objects.get_or_create(
        account=account, digest=digest, defaults={"rows": [1]}
    )
    said, _ = JudgedContent.objects.get_or_create(
        account=account, digest=digest, defaults={"rows": {}}
    )
    make_leg(read, content=legs)
    JudgedSnapshot.objects.create(
        account=account,
        run=read,
        content=said,
        window_low=NOON,
        window_high=NOON,
        seen_at=NOON,
        settled_at=NOON,
        settled_by=read,
    )
    return read


def pruned(**options: Any) -> dict[str, int]:
    counts = prune(LATER, **{"days": 90} | options)
    return {name: count for name, count in counts.items() if count}


def test_old_runs_go_with_all_that_they_read_and_said(account: ExchangeAccount) -> None:
    old = [make_read(account, "old") for _ in range(3)]
    new = [make_read(account, "new") for _ in range(2)]

    counts = pruned()

    assert counts == {
        "snapshots": 3,
        "legs": 3,
        "runs": 3,
        "judged_contents": 1,
        "leg_contents": 1,
    }
    assert not SyncRun.objects.filter(pk__in=[run.pk for run in old]).exists()
    assert {leg.run for leg in StoredLeg.objects.all()} == set(new)


def test_only_counting_counts_what_would_go(account: ExchangeAccount) -> None:
    for digest in ("old", "old", "new", "new"):
        make_read(account, digest)
    make_occurrence(make_incident(account), SyncRun.objects.earliest("pk"))

    counts = pruned(dry_run=True)

    assert SyncRun.objects.count() == 4
    assert counts == pruned()


def test_what_is_young_stays(account: ExchangeAccount) -> None:
    for _ in range(4):
        make_read(account, finished_at=LATER - timedelta(days=89))

    assert pruned() == {}


def test_a_run_that_is_under_way_stays(account: ExchangeAccount) -> None:
    make_run(account, status=SyncRun.Status.RUNNING)
    for _ in range(2):
        make_run(account)

    assert pruned() == {}


@pytest.mark.parametrize("name", ["baseline_run", "quiet_run"])
def test_what_the_account_rests_on_stays_whole(account: ExchangeAccount, name: str) -> None:
    kept = make_read(account)
    for _ in range(2):
        make_read(account)
    ExchangeAccount.objects.update(**{name: kept})

    assert pruned() == {}


def test_the_evidence_of_a_live_difference_stays(account: ExchangeAccount) -> None:
    seen, others = make_read(account), [make_read(account) for _ in range(3)]
    DiscrepancyEvent.objects.create(
        discrepancy=make_discrepancy(account, state=Discrepancy.State.ACKNOWLEDGED),
        episode=1,
        after=Discrepancy.State.OPEN,
        run=seen,
        at=NOON,
    )

    pruned()

    assert set(SyncRun.objects.all()) == {seen, *others[1:]}
    assert seen.legs.exists()


def test_so_does_the_read_that_the_run_judged(account: ExchangeAccount) -> None:
    read, judging = make_read(account), make_read(account)
    for _ in range(3):
        make_read(account)
    JudgedSnapshot.objects.filter(run=read).update(settled_by=judging)
    DiscrepancyEvent.objects.create(
        discrepancy=make_discrepancy(account, state=Discrepancy.State.OPEN),
        episode=1,
        after=Discrepancy.State.OPEN,
        run=judging,
        at=NOON,
    )

    pruned()

    assert read.legs.exists()
    assert JudgedSnapshot.objects.filter(run=read).exists()


def test_so_does_the_last_list_before_an_order_was_denied(account: ExchangeAccount) -> None:
    lists = [make_run(account) for _ in range(5)]
    for run in lists:
        make_leg(run, kind=LegKind.OPEN_ORDERS, subject="")
    make_order(make_portfolio(account), missing_since=NOON + timedelta(hours=1))
    SyncRun.objects.filter(pk__gt=lists[1].pk).update(finished_at=NOON + timedelta(hours=2))

    pruned()

    assert set(SyncRun.objects.all()) == {lists[1], *lists[3:]}


def test_of_a_run_that_booked_something_only_the_row_stays(account: ExchangeAccount) -> None:
    booked = make_read(account)
    for _ in range(2):
        make_read(account)
    make_entry(make_portfolio(account), run=booked)

    assert pruned() == {"snapshots": 1, "legs": 1}
    assert SyncRun.objects.filter(pk=booked.pk).exists()


def test_the_last_settled_looks_stay_however_many_runs_failed_since(
    account: ExchangeAccount,
) -> None:
    looks = [make_read(account) for _ in range(2)]
    failed = [make_run(account, status=SyncRun.Status.FAILED) for _ in range(3)]

    assert pruned() == {"runs": 1}
    assert set(SyncRun.objects.all()) == {*looks, *failed[1:]}


def test_the_last_occurrence_of_an_exception_stays(account: ExchangeAccount) -> None:
    incident = make_incident(account)
    of_none = make_incident(None)
    made = [make_occurrence(incident) for _ in range(3)] + [make_occurrence(of_none)]

    assert pruned() == {"occurrences": 2}
    assert set(Occurrence.objects.all()) == set(made[2:])


def test_of_a_portfolio_s_history_the_last_of_each_day_stays(account: ExchangeAccount) -> None:
    portfolio, run = make_portfolio(account), make_run(account)
    taken = [
        PortfolioSnapshot.objects.create(
            portfolio=portfolio, first_run=run, last_run=run, taken_at=at, confirmed_at=at
        )
        for at in (NOON - timedelta(days=1), NOON, NOON + timedelta(hours=1))
    ]

    assert pruned() == {"portfolio_snapshots": 1}
    assert set(PortfolioSnapshot.objects.all()) == {taken[0], taken[2]}


def test_a_long_history_is_thinned_at_once(account: ExchangeAccount) -> None:
    portfolio, run = make_portfolio(account), make_run(account)
    days = [NOON - timedelta(days=day) for day in range(600, 0, -1)]
    times = [*days, *(LATER + timedelta(minutes=minute) for minute in range(5000))]
    PortfolioSnapshot.objects.bulk_create(
        PortfolioSnapshot(
            portfolio=portfolio, first_run=run, last_run=run, taken_at=at, confirmed_at=at
        )
        for at in times
    )
    began = time.process_time()

    assert pruned() == {}
    # Who looks for a later one of its day for each needs half a minute, and keeps all others from writing.
    assert time.process_time() - began < 3


def test_more_rows_than_one_transaction_takes_go_in_several(
    account: ExchangeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "_AT_ONCE", 2)
    for _ in range(7):
        make_run(account)

    assert pruned() == {"runs": 5}


def test_an_account_is_synced_and_judged_after_it_as_before(sandbox: SandboxServer) -> None:
    desk = Desk(sandbox)
    desk.deposit("EUR", "1000")
    desk.open_portfolio("1000")
    desk.buy("10", "1")
    for _ in range(6):
        desk.sync()

    counts = prune(timezone.now() + timedelta(days=91), days=90)
    run = desk.sync()

    assert counts["runs"]
    assert run.status == SyncRun.Status.SUCCEEDED
    assert check_integrity(desk.account, None)
    assert desk.differences() == []


def test_every_table_has_a_bound_or_a_reason_to_be_kept() -> None:
    tables = [model for model in apps.get_models(include_auto_created=True) if model._meta.managed]
    labels = sorted(model._meta.label for model in tables if not model._meta.proxy)

    assert sorted(label for told in BOUNDS.values() for label in told) == labels


def make_sign_in(at: timedelta) -> AuditEvent:
    with time_machine.travel(LATER + at, tick=False):
        return AuditEvent.objects.create(kind=AuditEvent.Kind.SIGN_IN_FAILED)


def make_sync_of_a_program(at: timedelta) -> AuditEvent:
    with time_machine.travel(LATER + at, tick=False):
        return AuditEvent.objects.create(kind=AuditEvent.Kind.SYNC)


def make_budget(at: timedelta) -> RateBudget:
    return RateBudget.objects.create(name=str(at), used_until=LATER + at)


def make_held_budget(at: timedelta) -> RateBudget:
    return RateBudget.objects.create(name=str(at), used_until=NOON, held_until=LATER + at)


def make_breaker(at: timedelta) -> CircuitBreaker:
    return CircuitBreaker.objects.create(place=str(at), since=NOON, retry_at=LATER + at)


def make_session(at: timedelta) -> Session:
    days = timedelta(days=90)  # it says itself when it is over
    return Session.objects.create(session_key=str(at), expire_date=LATER + at + days)


def make_ended_task(at: timedelta) -> Model:
    times = {"started": NOON, "stopped": LATER + at}
    task: Model = apps.get_model("django_q", "Task")._default_manager.create(
        id=str(at)[:32], name="x", func="x", success=False, **times
    )
    return task


@pytest.mark.parametrize(
    ("make", "days"),
    [
        (make_sign_in, 366),
        (make_sync_of_a_program, 366),
        (make_budget, 90),
        (make_held_budget, 90),
        (make_breaker, 90),
        (make_session, 90),
        (make_ended_task, 90),
    ],
)
def test_what_is_over_for_long_goes_and_what_is_not_stays(
    make: Callable[[timedelta], Model], days: int
) -> None:
    make(timedelta(days=-days, seconds=-1))
    young = make(timedelta(days=-days, seconds=1))

    assert [*pruned().values()] == [1]
    assert [*type(young)._default_manager.all()] == [young]


def test_what_people_did_stays_however_old_it_is(account: ExchangeAccount) -> None:
    with time_machine.travel(LATER - timedelta(days=4000), tick=False):
        AuditEvent.objects.create(kind=AuditEvent.Kind.PAUSE, account=account)

    assert pruned() == {}


def test_of_a_difference_the_last_episodes_stay_and_all_that_was_decided(
    account: ExchangeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "EPISODES_KEPT", 2)
    runs = [make_run(account) for _ in range(6)]
    row = make_discrepancy(account, episode=4, state=Discrepancy.State.RESOLVED)
    decision = Decision.objects.create(
        account=account, kind=Decision.Kind.DISMISS, subject="x", reason="x", actor_name="alice"
    )
    made = [
        DiscrepancyEvent.objects.create(
            discrepancy=row,
            episode=episode,
            after=Discrepancy.State.OPEN,
            run=run,
            decision=decision if episode == 2 else None,
            at=LATER if episode == 4 else NOON,
        )
        for episode, run in zip((1, 1, 2, 3, 4), runs, strict=False)
    ]

    assert pruned() == {"discrepancy_events": 2, "runs": 2}
    assert [*DiscrepancyEvent.objects.all()] == made[2:]


def test_of_an_ended_order_the_last_terms_stay_and_their_number(
    account: ExchangeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "VERSIONS_KEPT", 2)
    portfolio = make_portfolio(account)
    ended, alive = make_order(portfolio, status="closed"), make_order(portfolio)
    for order in (ended, alive):
        for number in (1, 2, 3, 4):
            OrderVersion.objects.create(order=order, number=number, amount=1, replaced_at=NOON)

    assert pruned() == {"order_versions": 2}
    assert [version.number for version in ended.versions.all()] == [3, 4]
    assert (ended.times_changed, alive.versions.count()) == (4, 4)


def test_looks_that_wait_to_be_settled_stay(
    account: ExchangeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "MOST_WAITING", 2)
    make_read(account)
    looks = [make_read(account) for _ in range(5)]
    JudgedSnapshot.objects.filter(run__in=looks[1:]).update(settled_at=None, settled_by=None)
    for _ in range(2):
        make_run(account, status=SyncRun.Status.FAILED)

    pruned()

    waiting = JudgedSnapshot.objects.filter(settled_at=None)
    assert [look.run for look in waiting] == [looks[1], *looks[3:]]


def test_a_run_of_which_only_the_row_stays_says_since_when(account: ExchangeAccount) -> None:
    booked, silent = make_read(account), make_run(account)
    for _ in range(2):
        make_read(account)
    for run in (booked, silent):
        make_entry(make_portfolio(account), run=run)

    pruned()
    prune(LATER + timedelta(days=1), days=90)

    at = dict(SyncRun.objects.values_list("pk", "pruned_at"))
    assert (at[booked.pk], at[silent.pk]) == (LATER, None)
    assert [when for when in at.values() if when] == [LATER]


def test_a_look_is_not_compared_with_one_from_before_what_was_taken_away(
    account: ExchangeAccount,
) -> None:
    baseline = make_read(account)
    ExchangeAccount.objects.update(baseline_run=baseline)
    taken, first_kept, last = (make_read(account) for _ in range(3))

    pruned()

    assert not SyncRun.objects.filter(pk=taken.pk).exists()
    found = [run_changes(run) for run in (baseline, first_kept, last)]
    assert [changes.is_comparable for changes in found] == [True, False, True]
    assert found[1].verdicts is None


def test_pruning_ends_in_time_and_what_is_no_accounts_goes_all_the_same(
    account: ExchangeAccount,
) -> None:
    make_read(account, "old")
    for _ in range(3):
        make_read(account, "new")
    Session.objects.create(session_key="old", session_data="", expire_date=NOON)

    assert pruned(within=0) == {"sessions": 1}
    assert pruned()["runs"]


def test_an_account_that_cannot_be_pruned_keeps_no_other_from_it(
    account: ExchangeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = make_account()
    for _ in range(4):
        make_read(account)
    note = pruning._note_what_goes

    def break_off(one: ExchangeAccount, *times: Any) -> None:
        if one == broken:
            raise RuntimeError("a fault of ours")
        note(one, *times)

    monkeypatch.setattr(pruning, "_note_what_goes", break_off)

    assert pruned()["runs"]
