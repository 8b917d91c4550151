"""One fact each; 1,000 injected causes are in `test_attribution_causes`."""

from __future__ import annotations

from decimal import Decimal

import pytest

from portfolios.reconciliation.attribution import (
    Attribution,
    Candidate,
    CandidateKind,
    Explanation,
    Holding,
    Outcome,
    Part,
    Residual,
    attribute,
    independent,
)
from portfolios.reconciliation.verdicts import Interval

D = Decimal
BTC, USDT, BNB = ("spot", "BTC"), ("spot", "USDT"), ("spot", "BNB")
FUNDING = ("funding", "USDT")


def candidate(
    key: str,
    vector: dict[Holding, str],
    kind: CandidateKind = CandidateKind.ORDER,
    most: str | None = None,
    step: str = "0.001",
) -> Candidate:
    return Candidate(
        key,
        kind,
        {holding: D(number) for holding, number in vector.items()},
        evidence=(f"row {key}",),
        most=None if most is None else D(most),
        step=D(step),
    )


def order(key: str = "order", price: str = "50000", most: str = "0.01") -> Candidate:
    return candidate(key, {BTC: "1", USDT: f"-{price}"}, most=most)


def deposit(amount: str, key: str = "deposit") -> Candidate:
    return candidate(key, {USDT: amount}, CandidateKind.FLOW)


def between(low: str, high: str) -> Interval:
    return Interval(D(low), D(high), D(low))


def only(found: Attribution) -> Explanation:
    assert found.outcome is Outcome.EXPLAINED
    (explanation,) = found.explanations
    return explanation


def sets(found: Attribution) -> list[tuple[str, ...]]:
    return [explanation.keys for explanation in found.explanations]


def test_an_order_is_named_with_the_amount_that_it_was_filled_by() -> None:
    found = attribute({BTC: D("0.004"), USDT: D(-200)}, [order()])

    assert only(found).parts == (Part(order(), D("0.004"), D("0.004")),)


def test_an_order_whose_quote_does_not_fit_explains_nothing() -> None:
    found = attribute({BTC: D("0.004"), USDT: D(-199)}, [order()])

    assert found == Attribution(Outcome.UNEXPLAINED)


def test_an_order_that_would_have_moved_what_agrees_explains_nothing() -> None:
    assert attribute({BTC: D("0.004")}, [order()]).outcome is Outcome.UNEXPLAINED


def test_an_order_is_not_filled_beyond_what_remains_of_it() -> None:
    found = attribute({BTC: D("0.011"), USDT: D(-550)}, [order(most="0.01")])

    assert found.outcome is Outcome.UNEXPLAINED


def test_an_order_is_not_filled_by_less_than_a_step() -> None:
    found = attribute({BTC: D("0.0005"), USDT: D(-25)}, [order()])

    assert found.outcome is Outcome.UNEXPLAINED


def test_base_quote_and_fee_are_explained_at_once() -> None:
    with_fee = candidate("buy", {BTC: "1", USDT: "-50000", BNB: "-0.1"}, most="0.01")

    found = attribute({BTC: D("0.004"), USDT: D(-200), BNB: D("-0.0004")}, [order(), with_fee])

    assert only(found).keys == ("buy",)


def test_two_orders_of_one_symbol_are_told_apart_by_their_prices() -> None:
    orders = [order("high", "50100"), order("low", "50000")]

    found = attribute({BTC: D("0.005"), USDT: D("-250.2")}, orders)

    assert only(found).parts == (
        Part(orders[0], D("0.002"), D("0.002")),
        Part(orders[1], D("0.003"), D("0.003")),
    )


def test_a_withdrawal_leaves_with_its_network_fee() -> None:
    gone = candidate("withdrawal", {USDT: "-101"}, CandidateKind.FLOW)

    assert only(attribute({USDT: D(-101)}, [gone, deposit("100")])).keys == ("withdrawal",)


def test_a_transfer_takes_what_the_two_wallets_differ_by() -> None:
    moved = candidate("out", {USDT: "-1", FUNDING: "1"}, CandidateKind.TRANSFER, "500", "0.01")

    found = attribute({USDT: D("-50.25"), FUNDING: D("50.25")}, [moved])

    assert only(found).parts == (Part(moved, D("50.25"), D("50.25")),)


def test_the_fewest_candidates_are_preferred() -> None:
    deposits = [deposit("100", "one"), deposit("200", "two"), deposit("300", "three")]

    assert only(attribute({USDT: D(300)}, deposits)).keys == ("three",)


def test_rounding_explains_the_last_quantum_beside_an_order() -> None:
    rounded = candidate("rounded", {USDT: "1"}, CandidateKind.ROUNDING, "0.03", "0.01")

    found = attribute({BTC: D("0.004"), USDT: D("-199.98")}, [order(), rounded])

    assert only(found).parts[1] == Part(rounded, D("0.02"), D("0.02"))


def test_what_explains_keeps_its_evidence() -> None:
    (part,) = only(attribute({USDT: D(300)}, [deposit("300")])).parts

    assert part.candidate.evidence == ("row deposit",)


def test_an_interval_leaves_every_amount_that_fits() -> None:
    found = attribute({BTC: between("0.0035", "0.0065"), USDT: between("-300", "-210")}, [order()])

    assert only(found).parts == (Part(order(), D("0.005"), D("0.006")),)


def test_what_is_consistent_need_not_be_explained() -> None:
    residuals: dict[Holding, Residual] = {USDT: D(300), BTC: between("-0.1", "0.1")}

    assert only(attribute(residuals, [deposit("300"), order()])).keys == ("deposit",)


def test_what_could_not_be_judged_refutes_nothing_and_is_named() -> None:
    explanation = only(attribute({BTC: D("0.004"), USDT: None}, [order()]))

    assert explanation == Explanation((Part(order(), D("0.004"), D("0.004")),), unchecked=(USDT,))


def test_residuals_that_are_zero_are_explained_by_nothing() -> None:
    found = attribute({USDT: D(0), BTC: between("-1", "1")}, [deposit("300")])

    assert only(found).parts == ()


def test_at_most_ten_of_several_explanations_are_listed_and_all_are_counted() -> None:
    found = attribute({USDT: D(300)}, [deposit("300", f"d{number:02}") for number in range(12)])

    assert (found.outcome, found.count) == (Outcome.AMBIGUOUS, 12)
    assert sets(found) == [(f"d{number:02}",) for number in range(10)]


def test_more_candidates_than_the_limit_are_not_searched() -> None:
    deposits = [deposit(str(number), f"d{number}") for number in range(1, 22)]

    assert attribute({USDT: D(100)}, deposits) == Attribution(Outcome.TOO_MANY)


def test_a_search_that_would_take_too_long_says_so() -> None:
    orders = [order(f"o{number}", str(50000 + number), "1") for number in range(20)]
    residuals: dict[Holding, Residual] = {BTC: D("7.0005"), USDT: D("-350000.1")}

    assert attribute(residuals, orders, steps=10_000) == Attribution(Outcome.TOO_MANY)


def test_amounts_of_thirty_six_digits_are_summed_exactly() -> None:
    large, small = "123456789012345678.000000000000000001", "0.000000000000000001"
    deposits = [deposit(large, "large"), deposit(small, "small"), deposit("1", "one")]

    found = attribute({USDT: D("123456789012345678.000000000000000002")}, deposits)

    assert only(found).keys == ("large", "small")


def test_differences_that_no_candidate_connects_are_attributed_apart() -> None:
    parts = independent({USDT: D(300), BNB: D(-1), BTC: D(0)}, [deposit("300"), order()])

    assert [attribute(*part).outcome for part in parts] == [Outcome.UNEXPLAINED, Outcome.EXPLAINED]


def test_an_order_connects_its_base_and_its_quote() -> None:
    ((residuals, _),) = independent({BTC: D("0.004"), USDT: D(100)}, [order(), deposit("300")])

    assert set(residuals) == {BTC, USDT}


def test_what_could_not_be_judged_goes_with_every_part() -> None:
    parts = independent({BNB: None, USDT: D(300), BTC: D("0.1")}, [deposit("300")])

    assert [residuals[BNB] for residuals, _ in parts] == [None, None]


def test_two_candidates_of_one_key_are_refused() -> None:
    with pytest.raises(ValueError, match="one candidate a key"):
        attribute({USDT: D(1)}, [deposit("1"), deposit("2")])


def test_an_interval_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="Expected an interval"):
        attribute({USDT: between("2", "1")}, [])
