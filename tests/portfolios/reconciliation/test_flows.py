"""What movements that are no fills have moved, however often and in whatever order they are told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import reduce
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolios.reconciliation.flows import due_effect, flow_effect, is_in_baseline, merged_flow
from providers.reports import FeeReport, FlowKind, FlowReport, FlowSource, FlowStatus

D = Decimal
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BEFORE, AFTER = NOON - MINUTE, NOON + MINUTE
PENDING, DONE, FAILED = FlowStatus
quick = settings(deadline=None, database=None)


def make_flow(kind: FlowKind, amount: str = "100", **kwargs: Any) -> FlowReport:
    defaults: dict[str, Any] = {
        "source": FlowSource.LEDGER,
        "external_id": "w-1",
        "asset": "USDT",
        "status": DONE,
    }
    return FlowReport(kind=kind, amount=D(amount), **defaults | kwargs)


def withdrawal(status: FlowStatus | None, **kwargs: Any) -> FlowReport:
    return make_flow(FlowKind.WITHDRAWAL, "-100", status=status, **kwargs)


def deposit(status: FlowStatus | None, **kwargs: Any) -> FlowReport:
    return make_flow(FlowKind.DEPOSIT, "300", status=status, **kwargs)


FEE = (FeeReport("USDT", D(1)),)


# B03
@pytest.mark.parametrize(
    ("status", "moved"), [(None, {}), (PENDING, {}), (DONE, {"USDT": D(300)}), (FAILED, {})]
)
def test_a_deposit_counts_when_it_is_done(
    status: FlowStatus | None, moved: dict[str, Decimal]
) -> None:
    assert flow_effect(deposit(status)) == moved


# B05
@pytest.mark.parametrize(
    ("status", "moved"),
    [(None, {}), (PENDING, {"USDT": D(-101)}), (DONE, {"USDT": D(-101)}), (FAILED, {})],
)
def test_a_withdrawal_and_its_fee_are_gone_until_it_fails(
    status: FlowStatus | None, moved: dict[str, Decimal]
) -> None:
    assert flow_effect(withdrawal(status, fees=FEE)) == moved


def test_a_fee_in_another_asset_is_taken_from_that() -> None:
    fees = (FeeReport("TRX", D(2)), FeeReport("TRX", D("0.5")))

    assert flow_effect(withdrawal(DONE, fees=fees)) == {"USDT": D(-100), "TRX": D("-2.5")}


def test_what_its_fee_eats_up_moves_nothing() -> None:
    fees = (FeeReport("USDT", D(300)),)

    assert flow_effect(deposit(DONE, fees=fees)) == {}


@pytest.mark.parametrize("kind", [FlowKind.TRANSFER, FlowKind.REWARD, FlowKind.CONVERSION])
@pytest.mark.parametrize("amount", ["5", "-5"])
def test_other_movements_count_with_their_sign_when_they_are_done(
    kind: FlowKind, amount: str
) -> None:
    assert flow_effect(make_flow(kind, amount)) == {"USDT": D(amount)}
    assert flow_effect(make_flow(kind, amount, status=PENDING)) == {}


@pytest.mark.parametrize("status", [None, *FlowStatus])
def test_what_is_not_understood_moves_nothing(status: FlowStatus | None) -> None:
    assert flow_effect(make_flow(FlowKind.OTHER, status=status, fees=FEE)) == {}


def any_flow(number: int) -> FlowReport:
    """Make one of all the reports that an exchange might tell of one withdrawal, true or not."""
    pick = Random(number)  # noqa: S311 - no secret
    times = [None, BEFORE, NOON, AFTER]
    fees = [FeeReport(asset, D(pick.randint(-2, 2))) for asset in ("TRX", "USDT", "USDT")]
    return make_flow(
        FlowKind.WITHDRAWAL,
        str(pick.randint(-3, 3)),
        status=pick.choice([None, *FlowStatus]),
        fees=tuple(pick.sample(fees, pick.randint(0, 2))),
        raw_kind=pick.choice(["", "send", "out"]),
        raw_status=pick.choice(["", "ok", "sent"]),
        occurred_at=pick.choice(times),
        settled_at=pick.choice(times),
    )


# Drawn from a pool, thousands of cases are a matter of seconds.
reports = st.sampled_from([any_flow(number) for number in range(3000)])


@st.composite
def shuffled(draw: st.DrawFn) -> tuple[list[FlowReport], list[FlowReport]]:
    """Pair reports with the same ones in another order, some of them doubled."""
    told = draw(st.lists(reports, min_size=1, max_size=5))
    return told, draw(st.permutations([*told, *told[:2]]))


def joined(told: list[FlowReport]) -> FlowReport:
    return reduce(merged_flow, told)


@quick
@given(shuffled())
def test_any_reports_in_any_order_and_number_give_one_flow(
    pair: tuple[list[FlowReport], list[FlowReport]],
) -> None:
    told, shuffled_and_doubled = pair

    assert joined(shuffled_and_doubled) == joined(told)


@quick
@given(reports, reports, reports)
def test_it_does_not_matter_which_reports_are_joined_first(
    one: FlowReport, two: FlowReport, three: FlowReport
) -> None:
    assert merged_flow(merged_flow(one, two), three) == merged_flow(one, merged_flow(two, three))


def test_a_withdrawal_that_came_back_is_not_on_its_way_again() -> None:
    state = joined([withdrawal(DONE), withdrawal(FAILED), withdrawal(PENDING)])

    assert state.status is FAILED


def test_a_stale_copy_does_not_bring_back_the_fee_that_was_estimated() -> None:
    estimated = withdrawal(PENDING, fees=(FeeReport("USDT", D(5)),))

    assert joined([withdrawal(DONE, fees=FEE), estimated]).fees == FEE


@pytest.mark.parametrize("reverse", [False, True])
def test_a_fee_that_was_told_on_its_way_stands_until_a_later_one_is(reverse: bool) -> None:
    told = [withdrawal(PENDING, fees=FEE), withdrawal(DONE)]
    state = joined(told[::-1] if reverse else told)

    assert (state.fees, state.fees_status) == (FEE, PENDING)
    final = (FeeReport("USDT", D("0.5")),)
    state = merged_flow(state, withdrawal(DONE, fees=final))
    assert (state.fees, state.fees_status) == (final, None)


def test_a_fee_that_only_one_report_tells_is_kept() -> None:
    assert joined([withdrawal(DONE, fees=FEE), withdrawal(DONE)]).fees == FEE


def test_an_unknown_word_leaves_the_flow_as_it_is() -> None:
    known = withdrawal(PENDING, raw_status="sent")

    assert merged_flow(known, withdrawal(None, raw_status="frozen", fees=FEE)) == known


@pytest.mark.parametrize(
    ("flow", "is_in"),
    [
        (deposit(DONE, settled_at=BEFORE), True),
        (deposit(DONE, settled_at=NOON), True),
        (deposit(DONE, settled_at=AFTER, occurred_at=BEFORE), False),
        (deposit(DONE, occurred_at=BEFORE), True),
        (deposit(PENDING, occurred_at=BEFORE), False),
        (deposit(None, occurred_at=BEFORE), False),
        (deposit(FAILED, occurred_at=BEFORE), False),
        (deposit(DONE), False),
        (withdrawal(PENDING, occurred_at=BEFORE), True),
        (withdrawal(DONE, occurred_at=BEFORE, settled_at=AFTER), True),
        (withdrawal(DONE, settled_at=BEFORE), True),
        (withdrawal(PENDING, occurred_at=AFTER), False),
        (withdrawal(FAILED, occurred_at=BEFORE, settled_at=AFTER), True),
        (withdrawal(FAILED, occurred_at=BEFORE, settled_at=BEFORE), False),
        (withdrawal(FAILED, occurred_at=BEFORE), False),
        (withdrawal(FAILED, occurred_at=AFTER, settled_at=AFTER), False),
        (make_flow(FlowKind.REWARD, occurred_at=BEFORE), True),
        (make_flow(FlowKind.REWARD, occurred_at=AFTER), False),
    ],
)
def test_the_baseline_holds_what_had_reached_or_left_the_balance_by_then(
    flow: FlowReport, is_in: bool
) -> None:
    assert is_in_baseline(flow, NOON) is is_in


def test_a_flow_that_is_merged_keeps_what_it_is() -> None:
    known = withdrawal(PENDING)

    state = merged_flow(known, replace(withdrawal(DONE), kind=FlowKind.OTHER, wallet="funding"))

    assert (state.kind, state.wallet, state.status) == (FlowKind.WITHDRAWAL, "spot", DONE)


# B05
def test_a_withdrawal_that_left_before_the_baseline_and_failed_is_back_since() -> None:
    failed = withdrawal(FAILED, fees=FEE)

    assert due_effect(failed, in_baseline=True) == {"USDT": D(101)}
    assert due_effect(failed, in_baseline=False) == {}


@pytest.mark.parametrize("flow", [deposit(DONE), deposit(FAILED), withdrawal(DONE)])
def test_what_the_baseline_holds_is_not_due_again(flow: FlowReport) -> None:
    assert due_effect(flow, in_baseline=True) == {}


def test_what_came_after_the_baseline_is_due() -> None:
    assert due_effect(deposit(DONE), in_baseline=False) == {"USDT": D(300)}
