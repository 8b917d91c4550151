from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from portfolios.models import ExchangeAccount, Portfolio, Position
from portfolios.services.asset_rules import Rules, rules_of
from portfolios.services.discrepancies import Finding, Findings
from portfolios.services.locks import lock_findings, used_by_wallet, used_judgements
from providers.reports import BalanceReport, FlowKind, FlowStatus, Leg, LegKind, OrderStatus
from tests.builders import (
    NOON,
    make_account,
    make_fill,
    make_flow,
    make_order,
    make_portfolio,
)
from tests.portfolios.services.reads import (
    balances,
    failed,
    make_order_report,
    observed,
    open_orders,
)

D = Decimal
pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> ExchangeAccount:
    return make_account(baseline_at=NOON, lag_seconds=60)


@pytest.fixture
def alpha(account: ExchangeAccount) -> Portfolio:
    """Open a portfolio whose buy of 10 ADA locks 20 EUR at the exchange since long ago."""
    alpha = make_portfolio(account, trading_symbol="EUR")
    make_order(alpha, external_id="1", symbol="ADA/EUR", amount=D(10), price=D(2))
    return alpha


def held(free: str | None, used: str | None, total: str | None, asset: str = "EUR") -> Leg:
    row = BalanceReport(asset, amount(free), amount(used), amount(total))
    return observed(LegKind.BALANCES, [row], subject="spot")


def amount(text: str | None) -> Decimal | None:
    return None if text is None else D(text)


def found_by(account: ExchangeAccount, *legs: Leg) -> list[Finding]:
    return judged_by(account, *legs).found


def judged_by(account: ExchangeAccount, *legs: Leg) -> Findings:
    findings, rules = Findings(), rules_of(account)
    lock_findings(account, legs, rules, used_by_wallet(account, legs, rules), findings)
    return findings


def verdict(account: ExchangeAccount, used: str | None, asset: str = "EUR") -> str:
    leg = held("80", used, "100", asset)
    legs = [open_orders(make_order_report("1")), leg]
    return used_judgements(account, leg, legs, rules_of(account))[asset].verdict


def test_what_the_orders_lock_is_verified(alpha: Portfolio) -> None:
    assert verdict(alpha.account, "20") == "VERIFIED"


def test_used_that_is_not_reported_is_not_verifiable(alpha: Portfolio) -> None:
    assert verdict(alpha.account, None) == "NOT_VERIFIABLE"


def test_anything_else_in_use_is_a_mismatch_with_both_numbers(alpha: Portfolio) -> None:
    [found] = found_by(alpha.account, open_orders(make_order_report("1")), held("75", "25", "100"))

    assert (found.code, found.severity, found.key) == (
        "BALANCE_LOCK_MISMATCH",
        "warning",
        "used:spot:EUR",
    )
    assert (found.book, found.exchange, found.difference) == (D(20), D(25), D(5))
    assert not found.is_certain


@pytest.mark.parametrize(
    ("used", "read_after", "is_unproved"),
    [("25", -1, True), ("25", None, True), ("25", 1, False), ("15", None, False)],
)
def test_more_in_use_is_unproved_until_the_lists_of_movements_are_read(
    alpha: Portfolio, used: str, read_after: int | None, is_unproved: bool
) -> None:
    leg = held("75", used, "100")
    if read_after is not None:
        alpha.account.full_read_at = leg.requested_at + timedelta(seconds=read_after)

    [found] = found_by(alpha.account, open_orders(make_order_report("1")), leg)[:1]

    assert found.is_unproved == is_unproved


def test_orders_of_nobody_lock_as_well(account: ExchangeAccount) -> None:
    make_order(account, external_id="1", symbol="ADA/EUR", amount=D(10), price=D(2))

    assert verdict(account, "20") == "VERIFIED"


@pytest.mark.parametrize(
    "change",
    [
        {"updated_at": timezone.now() + timedelta(days=1)},
        {"status": OrderStatus.CREATED},
        {"external_id": "", "client_order_id": "mine"},
        {"external_id": "2"},
        {"missing_since": NOON},
        {"frozen_because": "two orders"},
        {"type": "stop_limit"},
        {"status": OrderStatus.CANCELED, "updated_at": timezone.now() + timedelta(days=1)},
    ],
)
@pytest.mark.parametrize("used", ["0", "20"])
def test_an_order_in_doubt_may_lock_all_or_nothing(
    alpha: Portfolio, used: str, change: dict[str, object]
) -> None:
    alpha.account.orders.update(**change)

    assert verdict(alpha.account, used) in ("CONSISTENT", "VERIFIED")
    assert verdict(alpha.account, "20.2") == "DIFFERS"


def test_an_order_of_a_backtest_locks_nothing(alpha: Portfolio) -> None:
    alpha.orders.update(is_backtest=True)

    assert verdict(alpha.account, "0") == "VERIFIED"
    assert verdict(alpha.account, "20") == "DIFFERS"


def test_an_order_that_was_just_filled_in_part_may_lock_more_than_its_rest(
    alpha: Portfolio,
) -> None:
    order = alpha.orders.get()
    make_fill(order, amount=D(4), executed_at=timezone.now())
    alpha.orders.update(filled="4")

    assert verdict(alpha.account, "12") == verdict(alpha.account, "20") == "CONSISTENT"


def test_an_exchange_may_lock_the_fee_that_it_usually_takes(alpha: Portfolio) -> None:
    old = make_order(alpha, symbol="ADA/EUR", status=OrderStatus.CLOSED, filled=D(1), amount=D(1))
    fees = [{"asset": "EUR", "amount": "0.3"}]
    make_fill(old, amount=D(1), cost=D(100), fees=fees)

    assert verdict(alpha.account, "20.06") == "CONSISTENT"
    assert verdict(alpha.account, "20.07") == "DIFFERS"


def test_a_withdrawal_on_its_way_may_be_in_use(account: ExchangeAccount) -> None:
    make_flow(
        account,
        kind=FlowKind.WITHDRAWAL,
        asset="EUR",
        amount=D(-30),
        status=FlowStatus.PENDING,
        fees=[{"asset": "EUR", "amount": "1"}],
    )

    assert verdict(account, "31") == "CONSISTENT"
    assert verdict(account, "32") == "DIFFERS"


@pytest.mark.parametrize(("seconds", "told"), [(30, "CONSISTENT"), (90, "DIFFERS")])
def test_a_withdrawal_that_left_within_the_lag_may_still_be_in_use(
    account: ExchangeAccount, seconds: float, told: str
) -> None:
    make_flow(
        account,
        kind=FlowKind.WITHDRAWAL,
        asset="EUR",
        amount=D(-30),
        status=FlowStatus.DONE,
        settled_at=timezone.now() - timedelta(seconds=seconds),
    )

    assert verdict(account, "30") == told


@pytest.mark.parametrize(
    ("lists", "severity"),
    [(["ledger"], "notice"), (["ledger", "withdrawals"], "warning"), ([], "warning")],
)
def test_where_a_ledger_alone_tells_of_withdrawals_what_is_in_use_may_be_about_to_leave(
    account: ExchangeAccount, lists: list[str], severity: str
) -> None:
    for name in lists:
        account.cursors.create(kind=LegKind.FLOWS, subject=name, covered_until=NOON)

    [more] = found_by(account, open_orders(), held("75", "25", "100"))

    assert more.severity == severity


def test_an_alias_is_in_use_as_the_asset_it_counts_as(alpha: Portfolio) -> None:
    alpha.account.asset_rules.create(kind="alias", asset="LDEUR", counts_as="EUR")
    leg = balances(
        EUR=BalanceReport("EUR", D(80), D(15), D(95)),
        LDEUR=BalanceReport("LDEUR", D(0), D(5), D(5)),
    )

    assert (
        used_judgements(alpha.account, leg, None, rules_of(alpha.account))["EUR"].verdict
        == "VERIFIED"
    )


def test_an_asset_that_a_whole_read_does_not_list_has_nothing_in_use(alpha: Portfolio) -> None:
    [found] = found_by(alpha.account, open_orders(make_order_report("1")), balances(BTC="1"))

    assert (found.asset, found.exchange, found.difference) == ("EUR", D(0), D(-20))


def test_orders_lock_in_the_trading_wallet_only(alpha: Portfolio) -> None:
    funding = observed(LegKind.BALANCES, [BalanceReport("EUR", D(0), D(7), D(7))], subject="fund")

    assert used_judgements(alpha.account, funding, None, Rules()) == {}
    assert found_by(alpha.account, open_orders(make_order_report("1")), funding) == []


@pytest.mark.parametrize(
    "orders",
    [
        [failed(LegKind.OPEN_ORDERS)],
        [observed(LegKind.OPEN_ORDERS, [], complete=False)],
        [open_orders(), failed(LegKind.TRIGGER_ORDERS)],
        [],
    ],
)
def test_while_open_orders_are_not_all_read_used_is_not_judged(
    alpha: Portfolio, orders: list[Leg]
) -> None:
    leg = held("75", "25", "100")

    findings = judged_by(alpha.account, *orders, leg)
    assert "used:spot:EUR" not in findings.judged
    assert findings.found == []
    assert (
        used_judgements(alpha.account, leg, [*orders, leg], Rules())["EUR"].verdict
        == "NOT_VERIFIABLE"
    )


def test_what_free_and_used_leave_of_the_total_is_told(account: ExchangeAccount) -> None:
    [found] = found_by(account, held("60", "0", "100"))

    assert (found.code, found.severity, found.difference) == (
        "BALANCE_IDENTITY_BROKEN",
        "warning",
        D(40),
    )


def test_what_is_in_earn_is_no_broken_total(account: ExchangeAccount) -> None:
    account.asset_rules.create(kind="earn", asset="EUR")

    assert found_by(account, held("60", "0", "100")) == []


def test_a_total_below_its_parts_is_broken_even_in_earn(account: ExchangeAccount) -> None:
    account.asset_rules.create(kind="earn", asset="EUR")

    [found] = found_by(account, held("60", "0", "59"))
    assert found.difference == D(-1)


@pytest.mark.parametrize("numbers", [(None, "0", "100"), ("60", None, "100"), ("60", "0", None)])
def test_a_number_that_is_not_told_breaks_no_total(
    account: ExchangeAccount, numbers: tuple[str | None, str | None, str | None]
) -> None:
    findings = judged_by(account, held(*numbers))

    assert findings.found == []
    assert "identity:spot:EUR" not in findings.judged


@pytest.mark.parametrize(
    ("numbers", "lowest"), [(("-0.5", "0.5", "0"), "-0.5"), ((None, None, "-7"), "-7")]
)
def test_less_than_nothing_is_told_with_its_sign(
    account: ExchangeAccount,
    numbers: tuple[str | None, str | None, str | None],
    lowest: str,
) -> None:
    [found] = found_by(account, held(*numbers))

    assert (found.code, found.severity) == ("BALANCE_NEGATIVE", "error")
    assert (found.exchange, found.difference) == (D(lowest), D(lowest))


def test_an_asset_that_is_not_listed_any_more_contradicts_nothing(
    account: ExchangeAccount,
) -> None:
    account.discrepancies.create(
        key="negative:spot:EUR",
        code="BALANCE_NEGATIVE",
        severity="error",
        wallet="spot",
        first_seen=NOON,
        last_seen=NOON,
    )

    assert "negative:spot:EUR" in judged_by(account, balances(BTC="1")).judged
    assert "negative:spot:EUR" not in judged_by(account, balances(complete=False)).judged


def test_orders_of_nobody_that_lock_what_a_portfolio_owns_are_told(
    account: ExchangeAccount,
) -> None:
    order = make_order(account, external_id="1", symbol="ADA/EUR", amount=D(10), price=D(2))
    make_order(account, external_id="2", symbol="ADA/EUR", amount=D(1), price=D(2))
    Position.objects.create(account=account, asset="EUR", amount=D(15), reserved=D(22))

    findings = judged_by(account, open_orders(), balances())
    [found] = [row for row in findings.found if row.key == "external-lock:EUR"]
    assert (found.code, found.severity) == ("ORDER_EXTERNAL_AFFECTS_OWNED", "error")
    assert (found.book, found.exchange, found.difference) == (D(15), D(22), D(7))
    assert found.order == order


def test_orders_of_nobody_may_lock_what_nobody_owns(account: ExchangeAccount) -> None:
    make_order(account, external_id="1", symbol="ADA/EUR", amount=D(10), price=D(2))
    Position.objects.create(account=account, asset="EUR", amount=D(20), reserved=D(20))

    findings = judged_by(account, open_orders(), held("0", "20", "20"))
    assert "external-lock:EUR" in findings.judged
    assert "external-lock:EUR" not in [row.key for row in findings.found]
