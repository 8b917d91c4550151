"""The baseline was a read like any other: a later look proves which movements about its time it contains."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from portfolios.models import ExchangeAccount, JudgedContent, LedgerEntry
from portfolios.services.verification import verify_books
from providers.reports import FlowKind, FlowReport, FlowSource, FlowStatus
from tests.kept import kept
from tests.portfolios.services.reads import (
    balances,
    flows_leg,
    later,
    look,
    make_books,
    make_flow_report,
    open_orders,
)

D = Decimal
pytestmark = pytest.mark.django_db


@kept
def account() -> ExchangeAccount:
    """Begin books with 100 EUR ten minutes ago; clocks may be apart by as much as the lag."""
    opened = make_books(lag_seconds=5)
    look(opened, *later([open_orders(), balances(EUR="100")], -600))
    return opened


def began(account: ExchangeAccount) -> datetime:
    assert account.baseline_at is not None
    return account.baseline_at


def see(account: ExchangeAccount, flow: FlowReport, total: str) -> None:
    look(account, open_orders(), balances(EUR=total), flows_leg(flow, source=flow.source))


def deposit(moment: datetime) -> FlowReport:
    return make_flow_report("25", occurred_at=moment, settled_at=moment)


def expected() -> Decimal:
    return sum(LedgerEntry.objects.values_list("amount", flat=True), D(0))


def test_what_a_slow_clock_shows_as_later_may_be_in_the_baseline(account: ExchangeAccount) -> None:
    see(account, deposit(began(account) + timedelta(seconds=4)), "100")

    assert expected() == D(100)


def test_what_a_fast_clock_shows_as_earlier_may_be_missing_from_the_baseline(
    account: ExchangeAccount,
) -> None:
    see(account, deposit(began(account) - timedelta(seconds=4)), "125")

    assert expected() == D(125)


def test_what_came_well_after_the_baseline_is_not_in_it(account: ExchangeAccount) -> None:
    see(account, deposit(began(account) + timedelta(seconds=9)), "100")

    assert expected() == D(125)


def test_a_withdrawal_of_the_baselines_time_is_proved_by_when_it_was_asked_for(
    account: ExchangeAccount,
) -> None:
    done = make_flow_report(
        "-25",
        kind=FlowKind.WITHDRAWAL,
        source=FlowSource.WITHDRAWALS,
        occurred_at=began(account).replace(microsecond=0),
        settled_at=began(account) + timedelta(minutes=5),
    )

    see(account, done, "75")

    assert expected() == D(75)


def without_arrival(account: ExchangeAccount, **ago: float) -> FlowReport:
    """Report a deposit as done, not since when, that was first seen before the baseline."""
    return replace(deposit(began(account) - timedelta(**ago)), settled_at=None)


def test_a_deposit_that_was_on_its_way_at_the_baseline_is_proved_to_have_come_since(
    account: ExchangeAccount,
) -> None:
    see(account, without_arrival(account, days=13), "125")

    assert expected() == D(125)


def test_a_deposit_that_had_come_by_the_baseline_is_proved_to_be_in_it(
    account: ExchangeAccount,
) -> None:
    see(account, without_arrival(account, days=13), "100")

    assert expected() == D(100)


def test_a_deposit_that_had_come_hides_no_later_movement_about_the_baseline(
    account: ExchangeAccount,
) -> None:
    at_baseline = replace(deposit(began(account) - timedelta(seconds=4)), external_id="d-2")
    came = replace(without_arrival(account, days=13), amount=D(70))
    told = flows_leg(came, at_baseline)

    look(account, open_orders(), balances(EUR="125"), told)

    assert expected() == D(125)


def asked_for(account: ExchangeAccount, **after: float) -> FlowReport:
    """Report a withdrawal that was asked for an hour before the baseline, and when it left if that is told."""
    asked_at = began(account) - timedelta(hours=1)
    left_at = began(account) + timedelta(**after) if after else None
    return make_flow_report(
        "-25",
        kind=FlowKind.WITHDRAWAL,
        source=FlowSource.WITHDRAWALS,
        occurred_at=asked_at,
        settled_at=left_at,
    )


@pytest.mark.parametrize("after", [{}, {"minutes": 1}])
@pytest.mark.parametrize("total", ["75", "100"])
def test_whether_a_withdrawal_had_left_by_the_baseline_is_proved_by_the_next_balance(
    account: ExchangeAccount, after: dict[str, float], total: str
) -> None:
    see(account, asked_for(account, **after), total)

    assert expected() == D(total)


def test_a_withdrawal_that_had_left_before_the_baseline_explains_nothing(
    account: ExchangeAccount,
) -> None:
    see(account, asked_for(account, minutes=-30), "75")

    assert expected() == D(100)


def test_a_deposit_from_long_before_the_baseline_has_not_come_since(
    account: ExchangeAccount,
) -> None:
    see(account, without_arrival(account, days=15), "125")

    assert expected() == D(100)


def test_a_deposit_explains_no_other_sum_that_came_since_the_baseline(
    account: ExchangeAccount,
) -> None:
    see(account, without_arrival(account, days=13), "120")

    assert expected() == D(100)


def test_the_first_look_proves_the_baseline_however_late_it_comes(
    account: ExchangeAccount,
) -> None:
    long_ago = timezone.now() - timedelta(days=3)
    ExchangeAccount.objects.update(baseline_booked_at=long_ago)
    account.refresh_from_db()

    see(account, deposit(began(account) + timedelta(seconds=4)), "100")

    assert expected() == D(100)


def test_what_proves_nothing_for_days_keeps_no_later_look_from_it(account: ExchangeAccount) -> None:
    long_ago = timezone.now() - timedelta(days=3)
    ExchangeAccount.objects.update(baseline_booked_at=long_ago)
    account.refresh_from_db()
    near = deposit(began(account) + timedelta(seconds=4))
    see(account, near, "60")
    assert (expected(), account.baseline_settled_at) == (D(125), None)

    see(account, near, "100")

    assert expected() == D(100)


def test_what_no_mixture_of_the_movements_about_the_baseline_explains_is_told(
    account: ExchangeAccount,
) -> None:
    flow = deposit(began(account) + timedelta(seconds=4))
    for seconds in (-300, -200, -100):
        legs = (open_orders(), balances(EUR="110"), flows_leg(flow, source=flow.source))
        look(account, *later(legs, seconds))

    row = account.discrepancies.get(asset="EUR")

    assert (row.state, row.code, row.difference) == ("OPEN", "BALANCE_SHORT", D(-15))


def test_more_mixtures_than_can_be_listed_prove_nothing_and_are_not_stored(
    account: ExchangeAccount,
) -> None:
    on_way = [
        replace(
            without_arrival(account, hours=n + 1), external_id=f"d-{n}", amount=D(7) ** n / 1000
        )
        for n in range(12)
    ]
    near = [
        make_flow_report(
            str(D(3) ** n / 1000),
            external_id=f"n-{n}",
            occurred_at=began(account) + timedelta(milliseconds=n),
            settled_at=None,
        )
        for n in range(12)
    ]

    look(account, open_orders(), balances(EUR="100"), flows_leg(*on_way, *near))

    [content] = JudgedContent.objects.filter(rows__spot__EUR__doubt__isnull=False)
    assert "corrections" not in content.rows["spot"]["EUR"]
    assert account.baseline_settled_at is None


def withdrawal(moment: datetime, status: FlowStatus, **told: str) -> FlowReport:
    """Report a withdrawal of 25 asked for at `moment`, told to the second, that ended five minutes later."""
    return make_flow_report(
        "-25",
        kind=FlowKind.WITHDRAWAL,
        source=FlowSource.WITHDRAWALS,
        occurred_at=moment.replace(microsecond=0),
        settled_at=moment + timedelta(minutes=5),
        status=status,
        **told,
    )


def test_a_withdrawal_of_the_baselines_second_that_failed_brings_nothing_back(
    account: ExchangeAccount,
) -> None:
    see(account, withdrawal(began(account), FlowStatus.FAILED), "100")

    assert expected() == D(100)


def test_a_withdrawal_from_before_the_baseline_that_failed_is_back(
    account: ExchangeAccount,
) -> None:
    see(account, withdrawal(began(account), FlowStatus.FAILED), "125")

    assert expected() == D(125)


@pytest.mark.parametrize("days", [0, 3])
def test_a_look_at_the_very_time_at_which_a_withdrawal_left_does_not_tell_of_the_baseline(
    account: ExchangeAccount, days: int
) -> None:
    ExchangeAccount.objects.update(baseline_booked_at=timezone.now() - timedelta(days=days))
    account.refresh_from_db()
    # Asked for after the baseline; the balance is read just before it is gone.
    asked = withdrawal(began(account) + timedelta(seconds=4), FlowStatus.DONE)
    see(account, replace(asked, settled_at=timezone.now()), "100")

    account.refresh_from_db()
    assert account.baseline_settled_at is None


@pytest.mark.parametrize("off_by", [0, 1, 5, -1, -5])
@pytest.mark.parametrize("total", ["100", "75"], ids=["in it", "after it"])
def test_a_withdrawal_told_in_the_baselines_second_is_where_the_next_balance_has_it(
    total: str, off_by: int
) -> None:
    clock = timedelta(seconds=off_by)
    opened = make_books("another", lag_seconds=abs(off_by))
    read_at = timezone.now().replace(microsecond=400_000) - timedelta(minutes=10)
    legs = [open_orders(), balances(EUR="100")]
    look(opened, *(replace(leg, requested_at=read_at, responded_at=read_at) for leg in legs))

    see(opened, withdrawal(read_at + clock, FlowStatus.DONE), total)

    assert expected() == D(total)


@pytest.mark.parametrize(("amount", "total"), [("25", "125"), ("25", "100"), ("-25", "75")])
def test_what_is_told_to_the_second_may_have_moved_after_the_baseline_that_was_read_in_it(
    amount: str, total: str
) -> None:
    opened = make_books("another", lag_seconds=0)
    read_at = timezone.now().replace(microsecond=400_000) - timedelta(minutes=10)
    legs = [open_orders(), balances(EUR="100")]
    look(opened, *(replace(leg, requested_at=read_at, responded_at=read_at) for leg in legs))
    second = read_at.replace(microsecond=0)
    kind = FlowKind.DEPOSIT if D(amount) > 0 else FlowKind.WITHDRAWAL
    source = FlowSource.DEPOSITS if D(amount) > 0 else FlowSource.WITHDRAWALS
    moved: dict[str, Any] = {
        "kind": kind,
        "source": source,
        "occurred_at": second,
        "settled_at": second,
    }

    see(opened, make_flow_report(amount, **moved), total)

    assert expected() == D(total)


def test_what_is_told_of_the_baselines_time_after_it_was_proved_opens_it_again(
    account: ExchangeAccount,
) -> None:
    see(account, deposit(began(account) + timedelta(minutes=5)), "125")
    assert account.baseline_settled_at is not None

    late = deposit(began(account) + timedelta(seconds=4))
    see(account, replace(late, external_id="d-2"), "125")

    account.refresh_from_db()
    assert (expected(), account.baseline_settled_at is None) == (D(125), False)


def test_what_the_baseline_was_corrected_by_counts_when_it_is_opened_again(
    account: ExchangeAccount,
) -> None:
    first, second = (deposit(began(account) + timedelta(seconds=n)) for n in (3, 4))
    see(account, first, "100")

    see(account, replace(second, external_id="d-2"), "125")

    account.refresh_from_db()
    assert (expected(), account.baseline_settled_at is None) == (D(125), False)
    assert verify_books().difference is None


def test_what_is_told_once_more_opens_no_baseline(account: ExchangeAccount) -> None:
    told = deposit(began(account) + timedelta(seconds=4))
    see(account, told, "100")

    see(account, told, "125")

    assert expected() == D(100)


def test_a_correction_that_an_old_balance_proved_is_taken_back_when_later_ones_undo_it(
    account: ExchangeAccount,
) -> None:
    told = deposit(began(account) + timedelta(seconds=4))
    see(account, told, "100")
    assert expected() == D(100)

    for _look in range(2):
        see(account, told, "125")

    account.refresh_from_db()
    assert (expected(), account.baseline_settled_at is None) == (D(125), False)
