"""Open scenarios B05, B10, B17, B18 and other causes: what is proposed, and what becomes of it when a record comes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from portfolios.models import Discrepancy, ExchangeAccount, LedgerEntry, Order
from providers.reports import (
    FeeReport,
    FillReport,
    FlowKind,
    FlowSource,
    FlowStatus,
    Leg,
    OrderStatus,
)
from tests.portfolios.services.reads import (
    account_fills,
    balances,
    denial,
    fills_leg,
    flows_leg,
    look,
    make_books,
    make_fill_report,
    make_flow_report,
    make_order_report,
    note_order,
    open_orders,
    order_leg,
)

D = Decimal
State = Discrepancy.State


def see(account: ExchangeAccount, *legs: Leg) -> None:
    """Look as if all `legs` were read now."""
    now = timezone.now()
    look(account, *(replace(leg, requested_at=now, responded_at=now) for leg in legs))


def twice(account: ExchangeAccount, *legs: Leg) -> None:
    """Look until what differs is open."""
    see(account, *legs)
    see(account, *legs)


def causes(account: ExchangeAccount) -> dict[str, str]:
    """Tell the cause of each balance that differs and is open, by asset."""
    rows = account.discrepancies.filter(state=State.OPEN, key__startswith="balance:")
    return {row.asset: row.cause for row in rows}


def states(account: ExchangeAccount) -> set[str]:
    rows = account.discrepancies.filter(key__startswith="balance:")
    return set(rows.values_list("state", flat=True))


def denied_but_filled(account: ExchangeAccount) -> None:
    """Let the exchange deny an order to buy 10 ADA at 2 EUR, 4 of which were bought."""
    note_order(account)
    twice(account, open_orders(), *denial(), balances(EUR="92", ADA="4"))


def opened_long_ago() -> ExchangeAccount:
    """Open the books of 200 EUR two hours ago: an old balance explains nothing that was done an hour ago."""
    account = make_books()
    see(account, open_orders(), balances(EUR="200"))
    ExchangeAccount.objects.filter(pk=account.pk).update(
        baseline_at=timezone.now() - timedelta(hours=2)
    )
    return account


def withdrawals(status: FlowStatus, amount: str = "-100") -> Leg:
    """Tell of one withdrawal, an hour old, with its fee of 1 EUR."""
    at = timezone.now() - timedelta(hours=1)
    flow = make_flow_report(
        amount,
        source=FlowSource.WITHDRAWALS,
        kind=FlowKind.WITHDRAWAL,
        status=status,
        fees=(FeeReport("EUR", D(1)),),
        external_id="w-1",
        occurred_at=at,
        settled_at=at,
    )
    return flows_leg(flow, source=FlowSource.WITHDRAWALS)


# --- orders and fees ----------------------------------------------------------------------------


def test_a_missed_fill_is_named_as_that_of_its_order(account: ExchangeAccount) -> None:
    denied_but_filled(account)

    cause = "explained: order 1 (buy ADA/EUR) was filled by 4 ADA unseen"
    assert causes(account) == {"ADA": cause, "EUR": cause}


def test_what_is_proposed_books_nothing(account: ExchangeAccount) -> None:
    before = LedgerEntry.objects.count()

    denied_but_filled(account)

    assert (LedgerEntry.objects.count(), Order.objects.get().filled) == (before, D(0))


def test_a_record_that_comes_later_is_booked_as_ever_and_resolves_it(
    account: ExchangeAccount,
) -> None:
    denied_but_filled(account)
    told = make_order_report(status=OrderStatus.CANCELED, filled=D(4), cost=D(8))

    see(
        account,
        open_orders(),
        order_leg(told),
        fills_leg(make_fill_report("4", "2")),
        balances(EUR="92", ADA="4"),
    )

    assert (Order.objects.get().filled, states(account)) == (D(4), {State.RESOLVED})


def test_an_order_that_was_taken_as_lapsed_is_named(account: ExchangeAccount) -> None:
    note_order(account)
    see(account, open_orders(), *denial(), balances(EUR="100"))
    Order.objects.update(status=OrderStatus.LAPSED)

    twice(account, open_orders(), balances(EUR="80", ADA="10"))

    cause = "explained: order 1 (buy ADA/EUR) was filled by 10 ADA unseen"
    assert causes(account) == {"ADA": cause, "EUR": cause}


def test_an_external_order_that_cannot_be_read_any_more_is_named(account: ExchangeAccount) -> None:
    see(account, open_orders(make_order_report("9")), balances(EUR="100"))

    twice(account, open_orders(), *denial("9"), balances(EUR="90", ADA="5"))

    assert causes(account)["ADA"] == "explained: order 9 (buy ADA/EUR) was filled by 5 ADA unseen"
    row = account.discrepancies.get(asset="ADA")
    assert row.attribution["explanations"][0][0]["kind"] == "external_order"


def test_a_fee_in_a_third_asset_is_named_by_what_other_fills_paid(db: None) -> None:
    account = make_books(positions={"BNB": "1"})
    see(account, open_orders(), balances(EUR="100", BNB="1"))

    def bought(number: int, *fees: FeeReport) -> FillReport:
        note_order(account, external_id=str(number))
        return make_fill_report(
            "10",
            "2",
            order=str(number),
            external_id=f"f-{number}",
            fees=fees,
            executed_at=timezone.now(),
        )

    paid = bought(1, FeeReport("BNB", D("0.001")))
    untold = bought(2)

    twice(
        account,
        open_orders(),
        *(
            order_leg(make_order_report(order, status=OrderStatus.CLOSED, filled=D(10), cost=D(20)))
            for order in ("1", "2")
        ),
        account_fills(paid, untold),
        balances(EUR="60", ADA="20", BNB="0.998"),
    )

    assert causes(account) == {
        "BNB": "explained: a fee of 0.001 BNB on ADA/EUR, which was not told"
    }


# --- movements ----------------------------------------------------------------------------------


def test_b05_a_failed_withdrawal_that_has_not_come_back_is_named(db: None) -> None:
    account = opened_long_ago()

    twice(account, open_orders(), withdrawals(FlowStatus.FAILED), balances(EUR="99"))

    cause = "explained: withdrawal w-1 of -100 EUR failed, and has not come back"
    assert causes(account) == {"EUR": cause}


def test_b05_what_comes_back_in_the_end_leaves_no_difference(db: None) -> None:
    account = opened_long_ago()
    twice(account, open_orders(), withdrawals(FlowStatus.FAILED), balances(EUR="99"))

    see(account, open_orders(), withdrawals(FlowStatus.FAILED), balances(EUR="200"))

    assert states(account) == {State.RESOLVED}
    assert account.balances.get(asset="EUR").residual == D(0)


def test_b10_an_airdrop_is_a_new_asset_until_its_record_comes(account: ExchangeAccount) -> None:
    airdrop = make_flow_report("5", "XYZ", source=FlowSource.LEDGER, kind=FlowKind.REWARD)
    held = balances(EUR="100", XYZ="5")
    twice(account, open_orders(), held)
    assert causes(account) == {"XYZ": "new asset"}

    see(account, open_orders(), flows_leg(airdrop, source=FlowSource.LEDGER), held)

    assert states(account) == {State.RESOLVED}
    assert LedgerEntry.objects.latest("pk").cause == LedgerEntry.Cause.REWARD


def in_two_wallets(spot: str, funding: str) -> list[Leg]:
    return [
        open_orders(),
        balances(EUR=spot),
        replace(balances(EUR=funding), subject="funding"),
    ]


def test_b17_a_transfer_between_wallets_that_nobody_records_is_named(db: None) -> None:
    account = make_books()
    account.wallets = ["spot", "funding"]
    account.save()
    see(account, *in_two_wallets("100", "0"))

    twice(account, *in_two_wallets("50", "50"))

    rows = account.discrepancies.filter(state=State.OPEN)
    assert {row.difference for row in rows} == {D(-50), D(50)}
    assert {row.cause for row in rows} == {"explained: 50 EUR were moved from spot to funding"}


def test_b18_a_transfer_that_one_account_records_is_proposed_for_the_other(db: None) -> None:
    sender, receiver = make_books("sender"), make_books("receiver")
    for account in (sender, receiver):
        see(account, open_orders(), balances(EUR="200"))
    ExchangeAccount.objects.update(baseline_at=timezone.now() - timedelta(hours=2))
    sender.refresh_from_db()
    see(sender, open_orders(), withdrawals(FlowStatus.DONE, "-50"), balances(EUR="149"))
    before = LedgerEntry.objects.count()

    twice(receiver, open_orders(), balances(EUR="250"))

    assert causes(receiver) == {"EUR": "explained: 50 EUR came from account sender"}
    assert (causes(sender), LedgerEntry.objects.count()) == ({}, before)


def test_b18_a_transfer_that_neither_account_records_is_proposed_for_both(db: None) -> None:
    sender, receiver = make_books("sender"), make_books("receiver")
    for account in (sender, receiver):
        see(account, open_orders(), balances(EUR="200"))

    twice(sender, open_orders(), balances(EUR="150"))
    twice(receiver, open_orders(), balances(EUR="250"))
    see(sender, open_orders(), balances(EUR="150"))

    assert causes(receiver) == {"EUR": "explained: 50 EUR came from account sender"}
    assert causes(sender) == {"EUR": "explained: 50 EUR went to account receiver"}
