"""Movements that are no fills: booked from the exchange's own records alone, once each, to nobody's part."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from portfolios.models import (
    AssetBalance,
    Discrepancy,
    ExchangeAccount,
    Flow,
    LedgerEntry,
    Portfolio,
)
from portfolios.models.choices import Verdict
from portfolios.services.judged_contents import recomputed
from providers.reports import (
    BalanceReport,
    FeeReport,
    FlowKind,
    FlowReport,
    FlowSource,
    FlowStatus,
    LegKind,
    OrderReport,
)
from tests.desk import KEY, Desk
from tests.kept import kept
from tests.portfolios.services.reads import (
    balances,
    flows_leg,
    look,
    make_books,
    make_flow_report,
    make_order_report,
    observed,
    open_orders,
    stored_facts,
)

D = Decimal
Code = Discrepancy.Code
pytestmark = pytest.mark.django_db


@kept
def account() -> ExchangeAccount:
    """Open the books of an account with 100 EUR, of which a portfolio has 60."""
    opened = make_books()
    Portfolio.objects.update(initial_balance=D(60))
    look(opened, open_orders(), balances(EUR="100"))
    return opened


def see(account: ExchangeAccount, *flows: FlowReport, **totals: Any) -> None:
    source = flows[0].source if flows else FlowSource.DEPOSITS
    held = balances(**{"EUR": "100"} | totals)
    look(account, open_orders(), held, flows_leg(*flows, source=source))


def withdrawal(status: FlowStatus | None = FlowStatus.DONE, **kwargs: Any) -> FlowReport:
    """Report 10 EUR on their way out, with a fee of 1 EUR on top."""
    defaults: dict[str, Any] = {
        "source": FlowSource.WITHDRAWALS,
        "external_id": "w-1",
        "kind": FlowKind.WITHDRAWAL,
        "status": status,
        "fees": (FeeReport("EUR", D(1)),),
    }
    return make_flow_report("-10", **defaults | kwargs)


def booked() -> dict[str, Decimal]:
    """Sum by asset what is booked in the unassigned part beyond the baseline."""
    sums: dict[str, Decimal] = {}
    entries = LedgerEntry.objects.filter(portfolio=None).exclude(cause="baseline")
    for asset, amount in entries.values_list("asset", "amount"):
        sums[asset] = sums.get(asset, D(0)) + amount
    return {asset: amount for asset, amount in sums.items() if amount}


def verdicts() -> set[str]:
    return set(AssetBalance.objects.values_list("verdict", flat=True))


def live() -> list[str]:
    found = Discrepancy.objects.filter(state__in=Discrepancy.LIVE)
    return sorted(found.values_list("code", flat=True))


def test_a_deposit_goes_to_the_unassigned_part_and_explains_the_balance(
    account: ExchangeAccount,
) -> None:
    see(account, make_flow_report("25"), EUR="125")

    entry = LedgerEntry.objects.latest("pk")
    assert (entry.portfolio, entry.cause, entry.amount) == (None, "deposit", D(25))
    assert (verdicts(), live()) == ({Verdict.VERIFIED}, [])


def test_a_deposit_that_is_told_again_is_booked_once(account: ExchangeAccount) -> None:
    deposit = make_flow_report("25")
    see(account, deposit, EUR="125")
    before = stored_facts()

    see(account, deposit, EUR="125")

    assert stored_facts() == before


def test_a_deposit_from_before_the_baseline_is_not_booked(account: ExchangeAccount) -> None:
    assert account.baseline_at is not None
    earlier = account.baseline_at - timedelta(minutes=1)

    see(account, make_flow_report("25", occurred_at=earlier, settled_at=earlier))

    assert Flow.objects.get().in_baseline
    assert (booked(), verdicts()) == ({}, {Verdict.VERIFIED})


def undated_deposit(account: ExchangeAccount) -> FlowReport:
    """Report a deposit as done that was made an hour before the baseline; the exchange does not say when it came."""
    assert account.baseline_at is not None
    earlier = account.baseline_at - timedelta(hours=1)
    return make_flow_report("25", occurred_at=earlier, settled_at=None)


def settle(account: ExchangeAccount) -> None:
    account.baseline_settled_at = timezone.now()
    account.save()


def test_a_deposit_that_a_list_of_its_time_did_not_have_came_after_the_baseline(
    account: ExchangeAccount,
) -> None:
    settle(account)
    see(account)

    see(account, undated_deposit(account), EUR="125")

    assert booked() == {"EUR": D(25)}


def test_a_deposit_that_the_first_list_of_its_time_has_is_in_the_settled_baseline(
    account: ExchangeAccount,
) -> None:
    settle(account)

    see(account, undated_deposit(account))

    assert booked() == {}


def test_a_deposit_on_its_way_is_shown_and_not_booked(account: ExchangeAccount) -> None:
    see(account, make_flow_report("25", status=FlowStatus.PENDING, settled_at=None))

    assert booked() == {}
    assert live() == [Code.FLOW_PENDING]


@pytest.mark.parametrize("total", ["100", "125"])
def test_a_deposit_on_its_way_explains_the_balance_with_and_without_it(
    account: ExchangeAccount, total: str
) -> None:
    see(account, make_flow_report("25", status=FlowStatus.PENDING, settled_at=None), EUR=total)

    assert verdicts() == {Verdict.VERIFIED}


def test_a_deposit_that_arrives_is_booked_and_no_longer_shown(account: ExchangeAccount) -> None:
    see(account, make_flow_report("25", status=FlowStatus.PENDING, settled_at=None))

    see(account, make_flow_report("25"), EUR="125")

    assert (booked(), live()) == ({"EUR": D(25)}, [])


def test_a_deposit_that_fails_is_never_booked(account: ExchangeAccount) -> None:
    see(account, make_flow_report("25", status=FlowStatus.PENDING, settled_at=None))

    see(account, make_flow_report("25", status=FlowStatus.FAILED))

    assert (booked(), live(), verdicts()) == ({}, [], {Verdict.VERIFIED})


def test_a_status_that_is_not_known_is_no_end(account: ExchangeAccount) -> None:
    see(account, make_flow_report("25", status=None, raw_status="REVIEWING"))

    assert Flow.objects.get().status == ""
    assert booked() == {}


def test_a_movement_first_told_without_its_id_gets_it_and_is_booked_once(
    account: ExchangeAccount,
) -> None:
    moment = timezone.now()
    see(account, make_flow_report("25", external_id="~made:1", occurred_at=moment), EUR="125")

    see(account, make_flow_report("25", external_id="d-1", occurred_at=moment), EUR="125")

    assert Flow.objects.get().external_id == "d-1"
    assert booked() == {"EUR": D(25)}


# --- withdrawals (B05) --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "held",
    [BalanceReport("EUR", D(89), D(11), D(100)), BalanceReport("EUR", D(89), D(0), D(89))],
    ids=["counted until done", "gone at once"],
)
def test_a_withdrawal_on_its_way_explains_the_balance_however_the_exchange_counts_it(
    account: ExchangeAccount, held: BalanceReport
) -> None:
    see(account, withdrawal(FlowStatus.PENDING, settled_at=None), EUR=held)

    assert (verdicts(), live()) == ({Verdict.VERIFIED}, [Code.FLOW_PENDING])


def test_of_another_difference_nobody_knows_whether_the_withdrawal_is_part_of_it(
    account: ExchangeAccount,
) -> None:
    see(account, withdrawal(FlowStatus.PENDING, settled_at=None), EUR="95")

    eur = account.balances.get(asset="EUR")
    snapshot = account.snapshots.latest("pk")
    assert snapshot.content is not None
    assert (eur.verdict, eur.residual_low, eur.residual_high) == (Verdict.DIFFERS, D(-5), D(6))
    assert recomputed(snapshot) == snapshot.content.rows


def test_a_withdrawal_on_its_way_explains_no_other_difference(account: ExchangeAccount) -> None:
    see(account, withdrawal(FlowStatus.PENDING, settled_at=None), EUR="95")

    assert verdicts() == {Verdict.DIFFERS}


def test_a_withdrawal_that_is_done_is_booked_once_with_its_fee(account: ExchangeAccount) -> None:
    see(account, withdrawal(FlowStatus.PENDING, settled_at=None), EUR="89")

    see(account, withdrawal(), EUR="89")

    assert (booked(), verdicts(), live()) == ({"EUR": D(-11)}, {Verdict.VERIFIED}, [])


def test_b05_a_withdrawal_that_fails_leaves_nothing_behind(account: ExchangeAccount) -> None:
    see(account, withdrawal(FlowStatus.PENDING, settled_at=None), EUR="89")

    see(account, withdrawal(FlowStatus.FAILED), EUR="100")

    assert (booked(), verdicts(), live()) == ({}, {Verdict.VERIFIED}, [])
    causes = LedgerEntry.objects.filter(flow__isnull=False).values_list("amount", flat=True)
    assert sorted(causes) == [D(-11), D(11)]


def test_a_fee_that_turns_out_higher_is_corrected(account: ExchangeAccount) -> None:
    see(account, withdrawal(FlowStatus.PENDING, settled_at=None), EUR="89")

    see(account, withdrawal(fees=(FeeReport("EUR", D("1.5")),)), EUR="88.5")

    assert (booked(), verdicts()) == ({"EUR": D("-11.5")}, {Verdict.VERIFIED})


def test_a_fee_that_was_not_told_at_first_is_booked_once_it_is(account: ExchangeAccount) -> None:
    see(account, withdrawal(fees=()), EUR="89")
    assert verdicts() == {Verdict.DIFFERS}

    see(account, withdrawal(), EUR="89")

    assert (booked(), verdicts(), live()) == ({"EUR": D(-11)}, {Verdict.VERIFIED}, [])


def test_a_fee_in_another_asset_is_taken_from_that(account: ExchangeAccount) -> None:
    see(account, withdrawal(fees=(FeeReport("BNB", D("0.01")),)), EUR="90")

    assert booked() == {"EUR": D(-10), "BNB": D("-0.01")}


def test_a_withdrawal_that_had_left_before_the_baseline_comes_back_when_it_fails(
    account: ExchangeAccount,
) -> None:
    assert account.baseline_at is not None
    earlier = account.baseline_at - timedelta(minutes=1)
    see(account, withdrawal(FlowStatus.PENDING, occurred_at=earlier, settled_at=None))
    assert booked() == {}

    see(account, withdrawal(FlowStatus.FAILED, occurred_at=earlier), EUR="111")

    assert (booked(), verdicts()) == ({"EUR": D(11)}, {Verdict.VERIFIED})


TRIGGER_LOCK = make_order_report("t-1", amount=D(1), price=D(11))


def with_11_in_use(*triggers: OrderReport) -> ExchangeAccount:
    """Begin books when 11 of 100 EUR were in use."""
    opened = make_books("locking")
    waiting = observed(LegKind.TRIGGER_ORDERS, triggers)
    held = balances(EUR=BalanceReport("EUR", D(89), D(11), D(100)))
    look(opened, open_orders(), waiting, held)
    return opened


def before_baseline(account: ExchangeAccount, **ago: float) -> datetime:
    assert account.baseline_at is not None
    return account.baseline_at - timedelta(**ago)


def test_a_withdrawal_that_the_baseline_had_locked_is_booked() -> None:
    account = with_11_in_use()
    asked = before_baseline(account, hours=1)

    see(account, withdrawal(occurred_at=asked, settled_at=timezone.now()), EUR="89")

    assert (booked(), verdicts()) == ({"EUR": D(-11)}, {Verdict.VERIFIED})


def test_a_withdrawal_that_was_settled_before_the_baseline_is_not_booked() -> None:
    account = with_11_in_use()
    asked = before_baseline(account, hours=1)
    left = before_baseline(account, minutes=1)

    see(account, withdrawal(occurred_at=asked, settled_at=left))

    assert (booked(), verdicts()) == ({}, {Verdict.VERIFIED})


@pytest.mark.parametrize(("hours", "moved"), [(23, {"EUR": D(-11)}), (25, {})])
def test_a_withdrawal_done_nobody_knows_when_had_left_a_day_after_it_was_asked_for(
    hours: float, moved: dict[str, Decimal]
) -> None:
    account = with_11_in_use()

    see(account, withdrawal(occurred_at=before_baseline(account, hours=hours), settled_at=None))

    assert booked() == moved


def two_withdrawals(
    account: ExchangeAccount, settled_at: datetime | None = None
) -> list[FlowReport]:
    asked = before_baseline(account, hours=1)
    return [
        withdrawal(external_id=id_, occurred_at=asked, settled_at=settled_at)
        for id_ in ("w-1", "w-2")
    ]


def test_one_lock_holds_no_two_withdrawals() -> None:
    account = with_11_in_use()

    see(account, *two_withdrawals(account))

    assert booked() == {}


def test_what_is_locked_holds_no_other_withdrawal_at_a_later_look() -> None:
    account = with_11_in_use()
    first, second = two_withdrawals(account)
    see(account, first)

    see(account, first, second)

    assert booked() == {"EUR": D(-11)}


def test_withdrawals_that_had_left_before_the_baseline_take_no_part_of_the_lock() -> None:
    account = with_11_in_use()
    first, second = two_withdrawals(account, settled_at=before_baseline(account, minutes=1))
    still_there = replace(second, settled_at=timezone.now())

    see(account, first, still_there)

    assert booked() == {"EUR": D(-11)}


def test_what_an_order_waiting_for_a_price_locked_held_no_withdrawal() -> None:
    account = with_11_in_use(TRIGGER_LOCK)

    see(account, two_withdrawals(account)[0])

    assert booked() == {}


def on_its_way_since_the_baseline(account: ExchangeAccount) -> FlowReport:
    """Report a withdrawal of the baseline's very second, by an exchange that tells times to the second."""
    assert account.baseline_at is not None
    second = account.baseline_at.replace(microsecond=0)
    return withdrawal(FlowStatus.PENDING, occurred_at=second, settled_at=None)


def test_a_withdrawal_that_the_account_still_holds_has_not_left_before_the_baseline(
    account: ExchangeAccount,
) -> None:
    see(
        account,
        on_its_way_since_the_baseline(account),
        EUR=BalanceReport("EUR", D(89), D(11), D(100)),
    )

    assert (booked(), verdicts()) == ({"EUR": D(-11)}, {Verdict.VERIFIED})


def test_a_withdrawal_is_seen_to_be_held_at_a_later_look_too(account: ExchangeAccount) -> None:
    asked_for = on_its_way_since_the_baseline(account)
    see(account, asked_for)
    assert booked() == {}

    see(account, asked_for, EUR=BalanceReport("EUR", D(89), D(11), D(100)))

    assert booked() == {"EUR": D(-11)}


def test_what_is_locked_for_something_else_holds_no_withdrawal(account: ExchangeAccount) -> None:
    see(
        account,
        on_its_way_since_the_baseline(account),
        EUR=BalanceReport("EUR", D(80), D(20), D(100)),
    )

    assert booked() == {}


def test_what_an_order_locks_holds_no_withdrawal(account: ExchangeAccount) -> None:
    asked_for = on_its_way_since_the_baseline(account)
    locking = open_orders(make_order_report(amount=D(1), price=D(11)))
    held = balances(EUR=BalanceReport("EUR", D(89), D(11), D(100)))

    look(account, locking, held, flows_leg(asked_for, source=FlowSource.WITHDRAWALS))

    assert booked() == {}


def test_an_order_whose_lock_is_not_told_proves_no_withdrawal_held(
    account: ExchangeAccount,
) -> None:
    asked_for = on_its_way_since_the_baseline(account)
    unpriced = open_orders(make_order_report(amount=D(1), price=None))
    held = balances(EUR=BalanceReport("EUR", D(89), D(11), D(100)))

    look(account, unpriced, held, flows_leg(asked_for, source=FlowSource.WITHDRAWALS))

    assert booked() == {}


# --- other kinds --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "amount"),
    [(FlowKind.REWARD, "3"), (FlowKind.TRANSFER, "-4"), (FlowKind.TRANSFER, "4")],
)
def test_what_the_exchange_records_of_any_kind_is_booked_as_that(
    account: ExchangeAccount, kind: FlowKind, amount: str
) -> None:
    flow = make_flow_report(amount, source=FlowSource.LEDGER, kind=kind)

    see(account, flow, EUR=str(100 + int(amount)))

    entry = LedgerEntry.objects.latest("pk")
    assert (entry.cause, entry.amount) == (kind.value, D(amount))
    assert (verdicts(), live()) == ({Verdict.VERIFIED}, [])


def test_b10_a_reward_in_a_new_asset_is_no_discrepancy(account: ExchangeAccount) -> None:
    airdrop = make_flow_report("5", "XYZ", source=FlowSource.LEDGER, kind=FlowKind.REWARD)

    see(account, airdrop, XYZ="5")

    assert (booked(), live()) == ({"XYZ": D(5)}, [])


def test_both_sides_of_a_conversion_are_booked(account: ExchangeAccount) -> None:
    sides = [
        make_flow_report(
            amount, asset, source=FlowSource.LEDGER, kind=FlowKind.CONVERSION, external_id="c-1"
        )
        for asset, amount in (("EUR", "-20"), ("ADA", "40"))
    ]

    see(account, *sides, EUR="80", ADA="40")

    assert booked() == {"EUR": D(-20), "ADA": D(40)}
    assert (verdicts(), live()) == ({Verdict.VERIFIED}, [])


def test_a_movement_of_unknown_kind_is_shown_and_not_booked(account: ExchangeAccount) -> None:
    unknown = make_flow_report(
        "7", source=FlowSource.LEDGER, kind=FlowKind.OTHER, raw_kind="mystery"
    )

    see(account, unknown, EUR="107")

    assert booked() == {}
    assert live() == [Code.BALANCE_SURPLUS, Code.FLOW_UNCLASSIFIED]
    assert "mystery" in Discrepancy.objects.get(code=Code.FLOW_UNCLASSIFIED).cause


def test_b04_a_surplus_without_a_record_is_no_deposit(account: ExchangeAccount) -> None:
    see(account, EUR="400")

    assert (booked(), Flow.objects.count()) == ({}, 0)
    assert live() == [Code.BALANCE_SURPLUS]


def test_one_id_in_two_lists_is_two_movements(account: ExchangeAccount) -> None:
    see(account, make_flow_report("25", external_id="7"), EUR="125")

    see(account, withdrawal(external_id="7"), EUR="114")

    assert booked() == {"EUR": D(14)}


# --- over HTTP ----------------------------------------------------------------------------------


@pytest.fixture
def trader(desk: Desk) -> Desk:
    """Open a portfolio with 1000 of 1200 EUR, a minute ago: the exchange tells some times to the second only."""
    now = timezone.now()
    desk.engine.deposit(KEY, "EUR", "1200", now - timedelta(hours=1))
    desk.open_portfolio("1000")
    desk.sync()
    ExchangeAccount.objects.update(baseline_at=now - timedelta(minutes=1))
    return desk


def test_b03_a_deposit_at_the_exchange_is_booked_and_no_gain(trader: Desk) -> None:
    trader.deposit("EUR", "300")

    trader.sync()

    assert trader.position("EUR", None).amount == D(500)
    assert (trader.portfolio().net_size, trader.differences()) == (D(1000), [])


@pytest.mark.parametrize(
    ("ending", "left"), [("complete_withdrawal", D(99)), ("fail_withdrawal", D(200))]
)
def test_b05_a_withdrawal_is_followed_to_its_end(trader: Desk, ending: str, left: Decimal) -> None:
    placed = trader.engine.withdraw(KEY, "EUR", "100", "1")
    trader.sync()
    assert [row.code for row in trader.differences()] == [Code.FLOW_PENDING]
    getattr(trader.engine, ending)(KEY, placed.id)

    trader.sync()

    assert trader.position("EUR", None).amount == left
    assert trader.differences() == []
