"""What orders may have done unseen."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from portfolios.models import Discrepancy, ExchangeAccount, Fill
from portfolios.models.choices import Verdict
from providers.reports import LegKind, LegStatus, OrderStatus
from tests.builders import (
    NOON,
    make_account,
    make_balance,
    make_fill,
    make_leg,
    make_order,
    make_portfolio,
    make_run,
)
from tests.portfolios.services.differences import (
    attributed,
    differs,
    fee,
    kinds,
    lost_order,
    outcome,
)

D = Decimal
State = Discrepancy.State


@pytest.fixture
def account(db: None) -> ExchangeAccount:
    return make_account(label="main", baseline_at=NOON - timedelta(days=1))


def test_a_missing_order_explains_base_and_quote_at_once(account: ExchangeAccount) -> None:
    base, quote = differs(account, "BTC", "0.004"), differs(account, "USDT", "-200")
    lost_order(account)

    causes = {attributed(base).cause, attributed(quote).cause}

    assert causes == {"explained: order 77 (buy BTC/USDT) was filled by 0.004 BTC unseen"}


def test_what_explains_is_stored_with_its_numbers_and_evidence(account: ExchangeAccount) -> None:
    base = differs(account, "BTC", "0.004")
    differs(account, "USDT", "-200")
    order = lost_order(account)

    found = attributed(base).attribution

    [[part]] = found["explanations"]
    assert (found["outcome"], found["count"]) == ("explained", 1)
    assert (part["key"], part["kind"]) == (f"order:{order.pk}", "order")
    assert (part["low"], part["high"]) == ("0.004", "0.004")
    assert part["evidence"][0] == "open in the books, 0.01 BTC not filled, price 50000"


def test_a_lapsed_order_may_have_been_filled_before(account: ExchangeAccount) -> None:
    base = differs(account, "BTC", "-0.01")
    differs(account, "USDT", "500")
    lost_order(account, side="sell", status=OrderStatus.LAPSED, missing_since=None)

    assert kinds(base) == [["order"]]


def test_an_order_that_is_read_as_ever_is_no_cause(account: ExchangeAccount) -> None:
    base = differs(account, "BTC", "0.004")
    differs(account, "USDT", "-200")
    lost_order(account, missing_since=None)

    assert (outcome(base), base.cause) == ("unexplained", "unexplained")


def test_an_order_that_could_not_be_read_is_a_cause(account: ExchangeAccount) -> None:
    base = differs(account, "BTC", "0.004")
    differs(account, "USDT", "-200")
    lost_order(account, missing_since=None)
    run = make_run(account)
    make_leg(run, kind=LegKind.ORDER, subject="77", status=LegStatus.FAILED, complete=False)

    assert kinds(base) == [["order"]]


def test_an_order_of_nobody_is_named_as_external(account: ExchangeAccount) -> None:
    base = differs(account, "BTC", "0.004")
    differs(account, "USDT", "-200")
    make_order(account, missing_since=NOON)

    assert kinds(base) == [["external_order"]]


def test_an_order_does_not_explain_what_would_have_moved_something_that_agrees(
    account: ExchangeAccount,
) -> None:
    base = differs(account, "BTC", "0.004")
    make_balance(account, asset="USDT")
    lost_order(account)

    assert outcome(base) == "unexplained"


def test_what_could_not_be_judged_refutes_nothing_and_is_named(account: ExchangeAccount) -> None:
    base = differs(account, "BTC", "0.004")
    make_balance(account, asset="USDT", verdict=Verdict.NOT_VERIFIABLE, residual=None)
    lost_order(account)

    found = attributed(base).attribution

    assert (found["outcome"], found["unchecked"]) == ("explained", ["USDT"])


def test_what_is_only_suspected_may_be_part_of_it(account: ExchangeAccount) -> None:
    base = differs(account, "BTC", "0.004")
    suspected = differs(account, "USDT", "-200", state=State.SUSPECTED)
    lost_order(account)

    assert kinds(base) == [["order"]]
    suspected.refresh_from_db()
    assert suspected.attribution == {}


def test_a_fill_pays_the_fee_that_others_of_its_symbol_paid(account: ExchangeAccount) -> None:
    quote = differs(account, "USDT", "-200.2")
    differs(account, "BTC", "0.004")
    make_fill(lost_order(account), fees=fee("USDT", "0.5"))

    [[part]] = attributed(quote).attribution["explanations"]

    assert (part["kind"], part["evidence"][-1]) == ("order", "a fee of 0.001 in USDT")


def test_a_fee_may_have_been_rounded_by_a_quantum(account: ExchangeAccount) -> None:
    quote = differs(account, "USDT", "-200.21")
    differs(account, "BTC", "0.004")
    make_fill(lost_order(account), fees=fee("USDT", "0.5"))

    assert kinds(quote) == [["order", "rounding"]]


def test_rounding_alone_explains_nothing(account: ExchangeAccount) -> None:
    quote = differs(account, "USDT", "-0.01")
    make_fill(lost_order(account), fees=fee("USDT", "0.5"))

    assert outcome(quote) == "unexplained"


def test_a_fill_with_a_fee_in_a_third_asset_explains_all_three(account: ExchangeAccount) -> None:
    third = differs(account, "BNB", "-0.0004")
    differs(account, "BTC", "0.004")
    differs(account, "USDT", "-200")
    make_fill(lost_order(account), fees=fee("BNB", "0.0009"))

    [[part]] = attributed(third).attribution["explanations"]

    assert part["says"] == "order 77 (buy BTC/USDT) was filled by 0.004 BTC unseen"
    assert part["evidence"][-1] == "a fee of 0.0004 BNB"


def test_of_two_orders_that_fit_as_well_both_are_listed(account: ExchangeAccount) -> None:
    base = differs(account, "BTC", "0.004")
    differs(account, "USDT", "-200")
    lost_order(account)
    lost_order(account, external_id="78")

    assert kinds(base) == [["order"], ["order"]]
    assert base.cause == "ambiguous: 2 explanations"


def test_more_orders_than_can_be_searched_are_tried_one_by_one(account: ExchangeAccount) -> None:
    base = differs(account, "BTC", "0.004")
    differs(account, "USDT", "-200")
    for number in range(21):
        lost_order(account, external_id=f"o-{number}", price=D(50_000 + number))

    assert "order o-0 " in attributed(base).cause


# --- fees ---------------------------------------------------------------------------------------


def charged(account: ExchangeAccount, **fee_of_other: str) -> Fill:
    """Make a fill of 500 USDT without a fee, after one that paid `fee_of_other`."""
    order = make_order(make_portfolio(account), status=OrderStatus.CLOSED, filled=D("0.02"))
    [(asset, amount)] = fee_of_other.items()
    make_fill(order, fees=fee(asset, amount))
    return make_fill(order, external_id="f-9")


def test_a_fee_that_was_not_told_is_what_other_fills_paid(account: ExchangeAccount) -> None:
    quote = differs(account, "USDT", "-0.5")
    charged(account, USDT="0.5")

    [[part]] = attributed(quote).attribution["explanations"]

    assert (part["kind"], part["evidence"]) == (
        "fee",
        ["fill f-9, buy 0.01 BTC/USDT without a fee"],
    )
    assert quote.cause == "explained: a fee of 0.5 USDT on BTC/USDT, which was not told"


def test_a_fee_in_base_goes_by_the_amount(account: ExchangeAccount) -> None:
    base = differs(account, "BTC", "-0.00001")
    charged(account, BTC="0.00001")

    assert kinds(base) == [["fee"]]


def test_a_fee_in_a_third_asset_is_about_what_others_paid(account: ExchangeAccount) -> None:
    third = differs(account, "BNB", "-0.0011")
    charged(account, BNB="0.0009")

    assert kinds(third) == [["fee"]]


def test_a_third_asset_that_lacks_far_more_than_a_fee_is_not_explained_by_one(
    account: ExchangeAccount,
) -> None:
    third = differs(account, "BNB", "-0.11")
    charged(account, BNB="0.0009")

    assert outcome(third) == "unexplained"


def test_the_fees_of_several_fills_are_one_cause(account: ExchangeAccount) -> None:
    quote = differs(account, "USDT", "-1")
    make_fill(charged(account, USDT="0.5").order or make_order(account), external_id="f-10")

    [[part]] = attributed(quote).attribution["explanations"]

    assert len(part["evidence"]) == 2
