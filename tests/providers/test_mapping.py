from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.errors import UnexpectedReport
from providers.mapping import (
    balance_reports,
    base_and_quote,
    exact,
    fill_report,
    fill_reports,
    order_report,
    reports_of,
)
from providers.reports import BalanceReport, FeeReport, OrderSide, OrderStatus, OrderType

AMOUNTS = ("amount", "filled", "remaining", "price", "average", "cost")


def raw_order(**changes: Any) -> dict[str, Any]:
    return {
        "id": "000123",
        "clientOrderId": "a-1",
        "symbol": "BTC/USDT",
        "side": "buy",
        "type": "limit",
        "status": "open",
        "price": "50000.5",
        "amount": "0.02",
        "filled": "0.01",
        "remaining": "0.01",
        "average": "50000.1",
        "cost": "500.001",
        "timestamp": 1_790_000_000_123,
        "datetime": "2026-09-21T14:13:20.123Z",
        "lastTradeTimestamp": None,
        "fee": None,
        "fees": [],
        "info": {},
        **changes,
    }


def raw_fill(**changes: Any) -> dict[str, Any]:
    return {
        "id": "7",
        "order": "000123",
        "symbol": "BTC/USDT",
        "side": "sell",
        "price": "50000.5",
        "amount": "0.01",
        "cost": "500.005",
        "timestamp": 1_790_000_000_000,
        **changes,
    }


def amounts(max_digits: int, max_decimals: int) -> st.SearchStrategy[Decimal]:
    digits = st.integers(min_value=0, max_value=10**max_digits - 1)
    decimals = st.integers(min_value=0, max_value=max_decimals)
    return st.builds(lambda n, places: Decimal(f"{n}e-{places}"), digits, decimals)


# F54
@settings(deadline=None)
@given(amounts(36, 18))
def test_a_number_of_36_digits_is_kept_exactly(amount: Decimal) -> None:
    assert exact(f"{amount:f}") == amount
    assert exact(str(amount)) == amount


# F54
@settings(deadline=None)
@given(amounts(72, 36))
def test_a_number_within_the_bounds_is_kept_exactly(amount: Decimal) -> None:
    assert exact(f"-{amount:f}") == amount.copy_negate()


@pytest.mark.parametrize(
    ("text", "plain"),
    [("1e-15", "0.000000000000001"), ("1E+3", "1000"), ("-0", "0"), (".5", "0.5")],
)
def test_a_number_comes_in_plain_notation(text: str, plain: str) -> None:
    number = exact(text)

    assert number == Decimal(plain)
    assert number is not None
    assert int(number.as_tuple().exponent) <= 0


def test_zeros_at_the_end_are_not_counted() -> None:
    assert exact("1." + "0" * 60) == 1


@pytest.mark.parametrize("text", ["1" * 73, "0." + "0" * 36 + "1", "1e400", "1e-999", "1e9999"])
def test_a_number_beyond_the_bounds_is_refused(text: str) -> None:
    with pytest.raises(UnexpectedReport, match="digits"):
        exact(text)


@pytest.mark.parametrize(
    "value",
    [
        "NaN",
        "Infinity",
        "-inf",
        "1_000",
        "1,5",
        " 1",
        "\N{FULLWIDTH DIGIT ONE}",
        "x",
        True,
        [],
        {},
        "1" * 500,
    ],
)
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(UnexpectedReport, match="expected a number"):
        exact(value)


@pytest.mark.parametrize("nothing", [None, ""])
def test_what_is_not_reported_is_not_zero(nothing: object) -> None:
    assert exact(nothing) is None


# F33
@pytest.mark.parametrize(
    "id_", ["000123", "123456789012345678901234", "12e5", "6f1c2d3e-0000-4000-8000-000000000001"]
)
def test_an_order_id_is_kept_letter_by_letter(id_: str) -> None:
    assert order_report(raw_order(id=id_)).external_id == id_


# F31
@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("open", OrderStatus.OPEN),
        ("OPEN", OrderStatus.OPEN),
        ("pending", OrderStatus.OPEN),
        ("canceling", OrderStatus.OPEN),
        ("closed", OrderStatus.CLOSED),
        ("filled", OrderStatus.CLOSED),
        ("canceled", OrderStatus.CANCELED),
        ("expired", OrderStatus.EXPIRED),
        ("rejected", OrderStatus.REJECTED),
        ("failed", OrderStatus.REJECTED),
        ("refunded", None),
        ("lapsed", None),
        (None, None),
    ],
)
def test_the_words_for_a_status(word: str | None, status: OrderStatus | None) -> None:
    report = order_report(raw_order(status=word))

    assert report.status is status
    assert report.raw_status == (word or "")


# F31
@pytest.mark.parametrize("word", ["trailing_stop", "take_profit", "", None, 7])
def test_an_unknown_type_or_side_is_not_guessed(word: object) -> None:
    report = order_report(raw_order(type=word, side=word))

    assert (report.type, report.side) == (None, None)


# F31
def test_known_types_and_sides_are_told_in_any_case() -> None:
    report = order_report(raw_order(type="STOP_LIMIT", side="Sell"))

    assert (report.type, report.side) == (OrderType.STOP_LIMIT, OrderSide.SELL)


# F32
@pytest.mark.parametrize(
    ("symbol", "pair"),
    [("BTC/USDT", ("BTC", "USDT")), ("BTC/USDT:USDT", ("BTC", "USDT")), ("BTC", ("BTC", ""))],
)
def test_a_symbol_is_split_and_kept(symbol: str, pair: tuple[str, str]) -> None:
    assert base_and_quote(symbol) == pair
    assert order_report(raw_order(symbol=symbol)).symbol == symbol


def test_a_market_order_has_no_limit_price() -> None:
    assert order_report(raw_order(type="market", price="50000.1")).price is None


# F55
@pytest.mark.parametrize(
    ("raw", "moment"),
    [
        ({}, datetime(2026, 9, 21, 14, 13, 20, 123_000, tzinfo=UTC)),
        ({"timestamp": "1790000000123"}, datetime(2026, 9, 21, 14, 13, 20, 123_000, tzinfo=UTC)),
        ({"timestamp": None}, datetime(2026, 9, 21, 14, 13, 20, 123_000, tzinfo=UTC)),
        (
            {"timestamp": None, "datetime": "2026-09-21T14:13:20"},
            datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC),
        ),
        (
            {"timestamp": None, "datetime": "2026-09-21T16:13:20+02:00"},
            datetime(2026, 9, 21, 16, 13, 20, tzinfo=timezone(timedelta(hours=2))),
        ),
        ({"timestamp": None, "datetime": None}, None),
        ({"timestamp": 10**30}, None),
        ({"timestamp": "soon"}, None),
    ],
)
def test_a_time_is_utc_or_unknown(raw: dict[str, Any], moment: datetime | None) -> None:
    created_at = order_report(raw_order(**raw)).created_at

    assert created_at == moment
    assert created_at is None or created_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("raw", "fees"),
    [
        ({"fee": {"cost": "1", "currency": "BNB"}}, (("BNB", "1"),)),
        (
            {
                "fee": {"cost": "1", "currency": "BNB"},
                "fees": [{"cost": "1", "currency": "BNB"}],
            },
            (("BNB", "1"),),
        ),
        (
            {
                "fee": {"cost": "3", "currency": "USDT"},
                "fees": [{"cost": "0.1", "currency": "BNB"}, {"cost": "0.2", "currency": "BNB"}],
            },
            (("BNB", "0.3"), ("USDT", "3")),
        ),
        ({"fee": {"cost": "-0.5", "currency": "USDT"}}, (("USDT", "-0.5"),)),
        ({"fee": {"cost": None, "currency": "USDT"}}, ()),
        ({"fee": {"cost": "1", "currency": None}}, ()),
        ({"fee": None, "fees": None}, ()),
    ],
)
def test_fees_are_told_once(raw: dict[str, Any], fees: tuple[tuple[str, str], ...]) -> None:
    expected = tuple(FeeReport(asset, Decimal(amount)) for asset, amount in fees)

    assert order_report(raw_order(**raw)).fees == expected
    assert fill_report(raw_fill(**raw), "000123").fees == expected


def test_fees_of_one_asset_add_up_exactly() -> None:
    small, large = "0.000000000000000000000000000000000001", "99999999999999999999"
    fees = [{"cost": small, "currency": "X"}, {"cost": large, "currency": "X"}]

    (fee,) = order_report(raw_order(fees=fees)).fees

    assert str(fee.amount) == "99999999999999999999.000000000000000000000000000000000001"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((field, value) for field in AMOUNTS for value in ("NaN", "Infinity", "1" * 73)),
        *((field, "-1") for field in AMOUNTS if field != "remaining"),
    ],
)
def test_a_row_with_an_impossible_number_is_refused_by_name(field: str, value: str) -> None:
    reports = reports_of(
        [raw_order(id="1"), raw_order(id="2", type=None, **{field: value})], order_report
    )

    assert [row.external_id for row in reports.rows] == ["1"]
    assert reports.refused_ids == ("2",)
    assert reports.problems[0].startswith(f"row 2 (2): {field}: ")


# More was filled than ordered, and ccxt subtracts.
def test_what_remains_of_an_overfilled_order_is_nothing() -> None:
    row = raw_order(amount="1", filled="1.5", remaining="-0.5")

    assert order_report(row).remaining == 0


def test_the_time_of_the_last_trade_is_not_that_of_the_last_change() -> None:
    row = raw_order(lastTradeTimestamp=1_790_000_000_000, lastUpdateTimestamp=None)

    assert order_report(row).updated_at is None


@pytest.mark.parametrize(
    "row",
    [
        None,
        [],
        "x",
        {},
        raw_order(id=None),
        raw_order(id="x" * 129),
        raw_order(id="a\nb"),
        raw_order(symbol=None),
        raw_order(symbol="x" * 65),
        raw_order(fees=7),
    ],
)
def test_a_row_that_cannot_be_told_costs_no_other(row: Any) -> None:
    reports = reports_of([row, raw_order()], order_report)

    assert len(reports.rows) == 1
    assert len(reports.problems) == 1


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(raw_order())), anything))
def test_no_row_whatever_raises(changes: dict[str, Any]) -> None:
    row = raw_order(**changes)

    orders = reports_of([row], order_report)
    assert len(orders.rows) + len(orders.problems) == 1
    assert len(fill_reports([row], "1").rows) + len(fill_reports([row], "1").problems) == 1
    told = balance_reports({"BTC": row, "info": {}})
    assert len(told.rows) + len(told.problems) <= 1


@settings(deadline=None)
@given(st.sampled_from(sorted(set(raw_order()) - {"id", "symbol"})))
def test_none_in_any_field_is_unknown_and_nothing_else_changes(field: str) -> None:
    report = order_report(raw_order(**{field: None}))

    assert report.external_id == "000123"
    if field in AMOUNTS:
        assert getattr(report, field) is None


def test_a_fill_without_cost_costs_price_times_amount_exactly() -> None:
    fill = fill_report(
        raw_fill(price="12345678901.123456789", amount="0.000000000000000001", cost=None), "000123"
    )

    assert fill.cost == Decimal("12345678901123456789e-27")


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "x" * 129},
        {"side": None},
        {"price": None},
        {"amount": None},
        {"amount": "0"},
        {"symbol": None},
        {"order": "999"},
    ],
)
def test_a_fill_is_whole_or_refused(changes: dict[str, Any]) -> None:
    assert fill_reports([raw_fill(**changes)], "000123").rows == ()


def test_balances_tell_what_is_known_of_each_asset() -> None:
    raw = {
        "info": {},
        "timestamp": 1,
        "datetime": None,
        "free": {"BTC": "1"},
        "used": {"BTC": "2"},
        "total": {"BTC": "3"},
        "BTC": {"free": "1", "used": "2", "total": "3"},
        "DEBT": {"free": "-1.5", "used": None, "total": "-1.5"},
        "UNKNOWN": {"free": None, "used": None, "total": None},
        "ZERO": {"free": "0", "used": "0.00", "total": "0"},
        "FREE_IS_ZERO": {"free": "0", "used": None, "total": None},
    }

    rows = balance_reports(raw, "funding").rows

    assert rows == (
        BalanceReport("BTC", Decimal(1), Decimal(2), Decimal(3), "funding"),
        BalanceReport("DEBT", Decimal("-1.5"), None, Decimal("-1.5"), "funding"),
        BalanceReport("UNKNOWN", None, None, None, "funding"),
        BalanceReport("FREE_IS_ZERO", Decimal(0), None, None, "funding"),
    )


def test_one_bad_balance_costs_no_other() -> None:
    reports = balance_reports(
        {"BTC": {"free": "x"}, "ETH": {"total": "1"}, "BAD": "x", None: {"total": "1"}}  # type: ignore[dict-item]  # ccxt does
    )

    assert [row.asset for row in reports.rows] == ["ETH"]
    assert len(reports.problems) == 3


def test_an_order_whose_value_has_more_digits_than_can_be_kept_is_refused() -> None:
    raw = {"id": "1", "symbol": "BTC/USDT", "side": "buy", "price": "1e71", "amount": "1e-36"}

    with pytest.raises(UnexpectedReport, match="price times amount"):
        order_report({**raw, "price": f"1.{'0' * 35}1", "amount": "1e-36"})
