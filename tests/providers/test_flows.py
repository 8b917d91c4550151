"""Rows of deposits, withdrawals and ledgers become reports of movements, each under an id of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Context, Decimal, Inexact, localcontext
from typing import Any

import pytest

from providers.flows import flow_reports
from providers.mapping import UNREADABLE, Reports
from providers.reports import FeeReport, FlowKind, FlowReport, FlowSource, FlowStatus

D = Decimal
NOON_MS = 1_772_366_400_000
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DEPOSITS, WITHDRAWALS, LEDGER = FlowSource.DEPOSITS, FlowSource.WITHDRAWALS, FlowSource.LEDGER


def transaction(**changes: Any) -> dict[str, Any]:
    """Make a row as ccxt tells deposits and withdrawals."""
    row = {"id": "1", "currency": "BTC", "amount": "0.5", "status": "ok", "timestamp": NOON_MS}
    return {**row, "type": None, "fee": None, "info": {}, **changes}


def entry(info: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Make a row as ccxt tells those of a ledger."""
    row = {"id": "1", "currency": "BTC", "status": None, "timestamp": NOON_MS, "fee": None}
    return {**row, "info": info, **changes}


def told(
    *raws: dict[str, Any], market: str = "binance", source: FlowSource = DEPOSITS, **facts: Any
) -> Reports[FlowReport]:
    return flow_reports(market, source, raws, **facts)


def only(reports: Reports[FlowReport]) -> FlowReport:
    assert reports.problems == ()
    (row,) = reports.rows
    return row


def ids(reports: Reports[FlowReport]) -> list[str]:
    assert reports.problems == ()
    return [row.external_id for row in reports.rows]


# Signs, fees, times


def test_a_deposit_comes_in() -> None:
    row = only(told(transaction()))

    assert (row.kind, row.amount, row.status) == (FlowKind.DEPOSIT, D("0.5"), FlowStatus.DONE)
    assert (row.source, row.asset, row.occurred_at) == (DEPOSITS, "BTC", NOON)


@pytest.mark.parametrize("amount", ["0.5", "-0.5"])
def test_a_withdrawal_goes_out_whatever_its_sign(amount: str) -> None:
    row = only(told(transaction(amount=amount), source=WITHDRAWALS))

    assert (row.kind, row.amount) == (FlowKind.WITHDRAWAL, D("-0.5"))


def test_a_deposit_below_zero_is_refused() -> None:
    assert told(transaction(amount="-0.5")).refused_ids == ("1",)


@pytest.mark.parametrize("cost", ["0.001", "-0.001"])
def test_the_fee_of_a_withdrawal_is_a_charge_whatever_its_sign(cost: str) -> None:
    row = only(told(transaction(fee={"currency": "BTC", "cost": cost}), source=WITHDRAWALS))

    assert row.fees == (FeeReport("BTC", D("0.001")),)


@pytest.mark.parametrize("fee", [None, {}, {"currency": "BTC"}, {"currency": None, "cost": "1"}])
def test_a_fee_that_is_not_told_is_none(fee: object) -> None:
    assert only(told(transaction(fee=fee))).fees == ()


def test_a_fee_of_zero_is_left_out() -> None:
    assert only(told(transaction(fee={"currency": "BTC", "cost": "0.000"}))).fees == ()


def test_what_ccxt_took_for_the_other_way_is_refused() -> None:
    reports = told(transaction(type="deposit"), source=WITHDRAWALS)

    assert (reports.rows, reports.refused_ids) == ((), ("1",))


@pytest.mark.parametrize(
    "info",
    [
        {"completeTime": "2026-03-01 12:00:00"},
        {"successAt": str(NOON_MS)},
        {"completedAt": "2026-03-01T12:00:00Z"},
    ],
)
def test_a_movement_settled_when_the_exchange_says_that_it_was_done(info: dict[str, str]) -> None:
    assert only(told(transaction(info=info))).settled_at == NOON


@pytest.mark.parametrize("changes", [{"status": "pending"}, {"info": {"updateTime": NOON_MS}}])
def test_an_update_is_no_settlement(changes: dict[str, Any]) -> None:
    row = transaction(**{"info": {"completeTime": NOON_MS}, **changes})

    assert only(told(row)).settled_at is None


def test_a_ledger_whose_amounts_contain_the_fee_is_told_without_it() -> None:
    row = entry({"billId": "1", "businessType": "withdraw", "size": "-20"})

    report = only(
        told(row | {"fee": {"currency": "BTC", "cost": "1.5"}}, market="bitget", source=LEDGER)
    )

    assert (report.amount, report.fees) == (D("-18.5"), (FeeReport("BTC", D("1.5")),))


def test_a_fee_in_another_asset_leaves_the_amount_as_it_is() -> None:
    row = entry({"businessType": "withdraw", "size": "-20"}, fee={"currency": "BGB", "cost": "1"})

    assert only(told(row, market="bitget", source=LEDGER)).amount == D(-20)


def test_sums_are_exact_whatever_the_caller_calculates_with() -> None:
    long = "123456789012345678901234567890.123456789012345678901234567891"
    row = entry({"type": "27", "balChg": f"-{long}"}, fee={"currency": "BTC", "cost": "1"})

    with localcontext(Context(prec=5, traps=[Inexact])):
        report = only(told(row, market="okx", source=LEDGER))

    assert str(report.amount) == f"-{long.replace('7890.', '7889.')}"


def test_an_amount_of_which_nobody_says_where_it_went_is_refused() -> None:
    row = entry({"bizType": "Deposit", "accountType": "TRADE"}, amount="1", direction=None)

    assert told(row, market="kucoin", source=LEDGER).refused_ids == ("1",)


def test_two_amounts_in_one_row_are_refused() -> None:
    row = entry({"type": "loan", "receivedAmount": "1", "sentAmount": "2"})

    assert told(row, market="bitvavo", source=LEDGER).refused_ids == ("1",)


def test_two_assets_in_one_row_are_not_told() -> None:
    row = entry({"type": "0", "btc": "1", "eth": "2", "id": 1})

    assert told(row, market="bitstamp", source=LEDGER).rows == ()


def test_a_row_that_no_parser_can_read_costs_no_other() -> None:
    reports = told({"id": "2", "info": {}, UNREADABLE: "KeyError in its parser"}, transaction())

    assert ids(Reports(reports.rows)) == ["1"]
    assert reports.refused_ids == ("2",)


# Whose movements


@pytest.mark.parametrize(("wallet", "count"), [("0", 1), (0, 1), (None, 1), ("1", 0), (1, 0)])
def test_what_reached_the_funding_wallet_is_not_told(wallet: object, count: int) -> None:
    assert len(told(transaction(info={"walletType": wallet})).rows) == count


@pytest.mark.parametrize(
    ("market", "info"),
    [
        ("bybit", {"type": "TRADE", "category": "spot", "change": "1"}),
        ("gate", {"type": "order_fee", "change": "1"}),
        ("kraken", {"type": "trade", "subtype": "tradespot", "amount": "1"}),
        ("kucoin", {"bizType": "KCS Pay Fees"}),
        ("okx", {"type": "2", "subType": "1", "instType": "SPOT", "balChg": "1"}),
    ],
)
def test_what_fills_tell_is_not_told_again(market: str, info: dict[str, str]) -> None:
    assert told(entry(info), market=market, source=LEDGER) == Reports(())


@pytest.mark.parametrize(
    ("market", "info"),
    [
        ("bybit", {"type": "TRADE", "category": "linear", "change": "1"}),
        ("okx", {"type": "2", "subType": "1", "instType": "MARGIN", "balChg": "1"}),
    ],
)
def test_a_trade_of_another_instrument_is_shown_to_a_person(
    market: str, info: dict[str, str]
) -> None:
    assert only(told(entry(info), market=market, source=LEDGER)).kind is FlowKind.OTHER


@pytest.mark.parametrize(("amount", "kind"), [("-1", FlowKind.WITHDRAWAL), ("1", FlowKind.DEPOSIT)])
def test_a_word_for_both_ways_is_read_by_its_sign(amount: str, kind: FlowKind) -> None:
    row = entry({"type": "send", "amount": {"amount": amount, "currency": "BTC"}}, status="ok")

    assert only(told(row, market="coinbase", source=LEDGER)).kind is kind


# Ids


def test_a_transfer_on_a_chain_keeps_its_id_when_its_state_and_time_change() -> None:
    pending = transaction(id=None, txid="0xabc", status="pending", timestamp=None)
    done = transaction(id=None, txid="0xabc", fee={"currency": "BTC", "cost": "0.1"})

    assert ids(told(pending)) == ids(told(done))


def test_two_deposits_of_one_transaction_are_two() -> None:
    first, second = (transaction(id=None, txid="0xabc", address=name) for name in ("a", "b"))

    assert len(set(ids(told(first, second)))) == 2


@pytest.mark.parametrize("txid", ["0xabc", None])
def test_twins_are_numbered_and_stay_two_however_often_they_are_read(txid: str | None) -> None:
    twin = transaction(id=None, txid=txid)

    first = ids(told(twin, twin))

    assert [id_[-2:] for id_ in first] == [":1", ":2"]
    assert ids(told(twin, twin)) == first


@pytest.mark.parametrize("changes", [{"amount": "0.6"}, {"currency": "ETH"}, {"tag": "7"}])
def test_another_content_makes_another_id(changes: dict[str, str]) -> None:
    row = transaction(id=None, txid="0xabc")

    assert ids(told(row)) != ids(told({**row, **changes}))


def test_an_id_that_is_no_text_is_refused() -> None:
    assert told(transaction(id=["1"])).refused_ids == (None,)


def test_a_row_without_an_id_is_not_told_of_a_read_that_was_not_whole() -> None:
    rows = told(transaction(), transaction(id=None, txid="0xabc"), is_whole=False)

    assert ids(rows) == ["1"]
