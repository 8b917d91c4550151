"""Recomputing books without a database: what was booked by the rules agrees, a digit beside them is found."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portfolios.reconciliation.booking import Pending, cost_and_gain
from portfolios.reconciliation.execution import OrderFacts
from portfolios.reconciliation.lots import Change, OpenLots
from portfolios.reconciliation.verification import (
    Check,
    Difference,
    Entry,
    add_up,
    fill_differences,
    fill_moves,
    flow_differences,
    loose_fill_differences,
    opening_differences,
    order_differences,
    sale_differences,
    unequal,
)
from providers.reports import FeeReport, FillReport, OrderSide

D = Decimal
OWNER = 2
FACTS = OrderFacts(base="ADA", quote="EUR", side=OrderSide.BUY, filled=D(10), price=D(2))
DIGIT = D("0.000000000000000001")
# A loaded machine makes examples slowly; that is no fault of what is tested.
quick = settings(
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=60,
)
amounts = st.decimals(min_value=D("0.00000001"), max_value=D(1_000_000), places=8)
Trade = tuple[OrderSide | None, Decimal, Decimal]  # no side: a fee
trades = st.lists(st.tuples(st.sampled_from([*OrderSide, None]), amounts, amounts), max_size=8)


def traded(number: int, asset: str, amount: Decimal, **values: Any) -> Entry:
    return Entry(
        f"order:7:{OWNER}:{number}:execution:{asset}",
        asset,
        amount,
        **{"owner": OWNER, "is_execution": True} | values,
    )


def fee(asset: str, amount: Decimal, owner: int | None = OWNER) -> Entry:
    return Entry(f"order:7:{OWNER}:0:fee:{asset}", asset, amount, owner, is_fee=True)


def claimed(entry: Entry) -> Entry:
    amount = entry.amount.copy_negate()
    return replace(entry, key=f"claim:{entry.key}", owner=None, amount=amount, cost=D(0), gain=D(0))


BASE = traded(0, "ADA", D(10), cost=D(20))
QUOTE = traded(0, "EUR", D(-20))


def make_fill(amount: str, **values: Any) -> FillReport:
    defaults: dict[str, Any] = {
        "external_id": "f-1",
        "order_external_id": "1",
        "symbol": "ADA/EUR",
        "side": OrderSide.BUY,
        "price": D(2),
        "amount": D(amount),
        "cost": D(2) * D(amount),
    }
    return FillReport(**defaults | values)


def of_order(*entries: Entry, facts: OrderFacts = FACTS) -> list[Difference]:
    return list(order_differences(7, OWNER, facts, (), entries))


def test_sums_are_exact_beyond_the_digits_of_a_context() -> None:
    large = D(10) ** 30

    sums = add_up([("ADA", large), ("ADA", DIGIT), ("EUR", D(1))])

    assert str(sums["ADA"]) == "1000000000000000000000000000000.000000000000000001"
    assert sums["EUR"] == D(1)


@pytest.mark.parametrize(
    ("stored", "recomputed", "found"),
    [
        ({"ADA": D(1)}, {"ADA": D("1.0")}, []),
        ({"ADA": D(1)}, {"ADA": D(1) + DIGIT}, [("ADA", D(1), D(1) + DIGIT)]),
        ({"ADA": D(0)}, {}, []),
        ({"ADA": D(1)}, {}, [("ADA", D(1), D(0))]),
        ({}, {"ADA": D(0)}, []),
        ({}, {"ADA": D(1)}, [("ADA", None, D(1))]),
    ],
)
def test_amounts_are_compared_to_the_last_digit_and_nothing_is_zero(
    stored: dict[str, Decimal],
    recomputed: dict[str, Decimal],
    found: list[tuple[str, Decimal | None, Decimal]],
) -> None:
    assert list(unequal(stored, recomputed)) == found


def test_an_order_whose_entries_are_what_it_moved_agrees() -> None:
    assert of_order(BASE, QUOTE) == []


def test_an_order_without_entries_that_has_moved_something_is_found_in_both_assets() -> None:
    assert of_order() == [
        Difference(Check.ORDER, D(0), D(10), "ADA", OWNER),
        Difference(Check.ORDER, D(0), D(-20), "EUR", OWNER),
    ]


def test_a_digit_too_much_is_found() -> None:
    [found] = of_order(replace(BASE, amount=D(10) + DIGIT), QUOTE)

    assert (found.stored, found.recomputed) == (D(10) + DIGIT, D(10))


def test_several_bookings_of_one_order_count_together() -> None:
    parts = [
        traded(0, "ADA", D(4), cost=D(8)),
        traded(0, "EUR", D(-8)),
        traded(2, "ADA", D(6), cost=D(12)),
        traded(2, "EUR", D(-12)),
    ]

    assert of_order(*parts) == []


@pytest.mark.parametrize("owner", [OWNER, None])
def test_a_fee_may_be_the_portfolios_or_the_unassigned_parts(owner: int | None) -> None:
    facts = replace(FACTS, fees=(FeeReport("BNB", D("0.01")),))

    assert of_order(BASE, QUOTE, fee("BNB", D("-0.01"), owner), facts=facts) == []


def test_a_fee_that_nobody_reported_is_found() -> None:
    [found] = of_order(BASE, QUOTE, fee("BNB", D("-0.01")))

    assert found == Difference(Check.ORDER, D("-0.01"), D(0), "BNB", OWNER)


@pytest.mark.parametrize(
    "stray",
    [
        replace(QUOTE, key="by hand"),
        replace(QUOTE, key="order:7:3:0:execution:EUR", owner=3),
        replace(QUOTE, key="order:7:0:0:execution:EUR"),
        replace(QUOTE, key="order:71:2:0:execution:EUR"),
    ],
)
def test_an_entry_of_no_booking_of_the_order_is_found(stray: Entry) -> None:
    [found] = of_order(BASE, QUOTE, stray)

    assert found == Difference(Check.ENTRY, D(-20), None, "EUR", stray.owner)


def test_a_trade_booked_to_nobody_under_the_portfolios_key_is_found() -> None:
    first = of_order(BASE, replace(QUOTE, owner=None))[0]

    assert (first.check, first.asset) == (Check.ENTRY, "EUR")


def test_what_the_unassigned_part_booked_before_a_claim_is_explained() -> None:
    before = replace(QUOTE, key="order:7:0:0:execution:EUR", owner=None)

    assert of_order(BASE, QUOTE, before, claimed(BASE), claimed(QUOTE)) == []


def test_what_a_claim_did_not_take_out_of_the_unassigned_part_is_found() -> None:
    [found] = of_order(BASE, QUOTE, claimed(BASE))

    assert found == Difference(Check.CLAIM, None, D(20), "EUR")


def test_a_third_coins_fee_of_a_claim_must_be_given_back_to_the_unassigned_part() -> None:
    facts = replace(FACTS, fees=(FeeReport("BNB", D("0.01")),))
    charged = fee("BNB", D("-0.01"), None)

    [found] = of_order(BASE, QUOTE, charged, claimed(BASE), claimed(QUOTE), facts=facts)

    assert found == Difference(Check.CLAIM, None, D("0.01"), "BNB")


def test_a_claim_of_another_amount_is_found() -> None:
    less = replace(claimed(BASE), amount=D(-9))

    [found] = of_order(BASE, QUOTE, less, claimed(QUOTE))

    assert found == Difference(Check.CLAIM, D(-9), D(-10), "ADA")


def test_what_an_order_fills_after_its_claim_has_no_opposite() -> None:
    first, paid = traded(0, "ADA", D(4), cost=D(8)), traded(0, "EUR", D(-8))
    later = [traded(2, "ADA", D(6), cost=D(12)), traded(2, "EUR", D(-12))]

    assert of_order(first, paid, claimed(first), claimed(paid), *later) == []


def test_a_gain_that_is_not_the_cash_beyond_the_cost_is_found() -> None:
    [found] = of_order(replace(BASE, gain=D(1)), QUOTE)

    assert found == Difference(Check.GAIN, D(1), D(0), "ADA", OWNER)


@pytest.mark.parametrize(
    ("fill", "asset"),
    [(make_fill("1", symbol="DOT/EUR"), "DOT"), (make_fill("1", side=OrderSide.SELL), "ADA")],
)
def test_a_fill_of_another_order_is_found(fill: FillReport, asset: str) -> None:
    found = list(fill_differences(FACTS, "ADA/EUR", [fill], has_ended=True))

    assert found == [Difference(Check.FILL, D(1), None, asset)]


@pytest.mark.parametrize(
    ("amount", "has_ended", "checks"),
    [("10", True, []), ("10.1", True, [Check.OVERFILL]), ("10.1", False, [])],
)
def test_only_an_ended_order_may_not_have_more_fills_than_filled(
    amount: str, has_ended: bool, checks: list[Check]
) -> None:
    found = fill_differences(FACTS, "ADA/EUR", [make_fill(amount)], has_ended=has_ended)

    assert [row.check for row in found] == checks


def history(trades: list[Trade]) -> list[tuple[Entry, str]]:
    """Book trades and fees in the asset itself as the ledger does."""
    entries: list[tuple[Entry, str]] = []
    for number, (side, amount, cash) in enumerate(trades):
        if side is None:
            entries.append((fee("ADA", -amount), str(number)))
            continue
        before = [Change(row.amount, row.cost, is_trade=not row.is_fee) for row, _order in entries]
        is_sale = side is OrderSide.SELL
        change = Pending(-amount if is_sale else amount, cash if is_sale else -cash, {})
        cost, gain = cost_and_gain(
            replace(FACTS, side=side),
            change,
            OpenLots(before),
        )
        values = {"cost": cost, "gain": gain, "side": side}
        entries.append((traded(number, "ADA", change.base, **values), str(number)))
    return entries


def with_a_digit_moved(entries: list[tuple[Entry, str]], place: int) -> list[tuple[Entry, str]]:
    entry, order = entries[place]
    moved = replace(entry, cost=entry.cost + DIGIT, gain=entry.gain + DIGIT)
    return [*entries[:place], (moved, order), *entries[place + 1 :]]


@quick
@given(trades)
def test_whatever_was_traded_is_replayed_to_the_same_cost(trades: list[Trade]) -> None:
    assert list(sale_differences(history(trades))) == []


@quick
@given(trades, st.data())
def test_a_digit_moved_from_the_gain_to_the_cost_is_found(
    trades: list[Trade], data: st.DataObject
) -> None:
    entries = history([*trades, (OrderSide.SELL, D(1), D(2))])
    places = [place for place, (entry, _order) in enumerate(entries) if entry.side is not None]
    place = data.draw(st.sampled_from(places))

    first = next(sale_differences(with_a_digit_moved(entries, place)))

    assert (first.check, first.order) == (Check.SALE, str(place))
    assert first.recomputed == entries[place][0].cost


@pytest.fixture
def long_history() -> list[tuple[Entry, str]]:
    turns = (OrderSide.BUY, OrderSide.BUY, OrderSide.SELL, None, OrderSide.BUY, OrderSide.SELL)
    return history(
        [
            (turns[number % 6], D(number % 7 + 1) / 8, D(number % 11 + 1) / 16)
            for number in range(240)
        ]
    )


def test_a_long_history_is_replayed_to_the_same_cost(
    long_history: list[tuple[Entry, str]],
) -> None:
    assert list(sale_differences(long_history)) == []


def test_a_digit_at_the_end_of_a_long_history_is_found(
    long_history: list[tuple[Entry, str]],
) -> None:
    [found] = sale_differences(with_a_digit_moved(long_history, 239))

    assert found.order == "239"


def test_a_fee_in_the_asset_itself_makes_what_is_left_dearer() -> None:
    bought = replace(BASE, side=OrderSide.BUY)
    sold = traded(2, "ADA", D(-9), cost=D(-20), gain=D(7), side=OrderSide.SELL)

    whole = [(bought, "1"), (fee("ADA", D(-1)), "1"), (sold, "2")]

    assert list(sale_differences(whole)) == []


def test_a_later_price_changes_the_cost_while_something_is_held_and_is_gain_afterwards() -> None:
    bought = replace(BASE, side=OrderSide.BUY)
    cheaper = traded(1, "ADA", D(0), cost=D(-1), side=OrderSide.BUY)
    sold = traded(2, "ADA", D(-10), cost=D(-19), gain=D(7), side=OrderSide.SELL)
    too_late = traded(3, "ADA", D(0), gain=D(1), side=OrderSide.BUY)

    whole = [(entry, "1") for entry in (bought, cheaper, sold, too_late)]

    assert list(sale_differences(whole)) == []


def test_a_lot_used_up_by_its_fee_gives_no_cost_to_the_one_before_it() -> None:
    first = traded(1, "ADA", D(10), cost=D(20), side=OrderSide.BUY)
    second = traded(2, "ADA", D(1), cost=D(5), side=OrderSide.BUY)
    sold = traded(3, "ADA", D(-9), cost=D(-18), gain=D(7), side=OrderSide.SELL)
    charged = fee("ADA", D(-1))

    # Fees before anything was held change nothing; with some number of them the replay is shortened before the sale.
    for earlier in range(60):
        entries = [*[charged] * earlier, first, second, charged, sold]
        assert list(sale_differences((entry, "1") for entry in entries)) == []


def opening(asset: str, amount: Decimal, *, owner: int | None = OWNER) -> Entry:
    suffix = ":unassigned" if owner is None else ""
    return Entry(f"opening:{OWNER}:{asset}{suffix}", asset, amount, owner)


def test_openings_that_cancel_out_agree() -> None:
    entries = [opening("ADA", D(5)), opening("ADA", D(-5), owner=None), opening("EUR", D(9))]

    assert list(opening_differences(entries, [entries[0].key])) == []


def test_an_opening_that_takes_more_out_than_it_gives_is_found() -> None:
    entries = [opening("ADA", D(5)), opening("ADA", D(-6), owner=None)]

    [found] = opening_differences(entries, [])

    assert found == Difference(Check.OPENING_OPPOSITE, D(-6), D(-5), "ADA", OWNER)


def test_an_opposite_without_its_opening_is_found() -> None:
    [found] = opening_differences([opening("ADA", D(-6), owner=None)], [])

    assert found == Difference(Check.OPENING_OPPOSITE, D(-6), None, "ADA")


def test_an_opening_under_another_portfolios_key_is_found() -> None:
    [found] = opening_differences([opening("ADA", D(5), owner=3)], [])

    assert found == Difference(Check.OPENING, D(5), None, "ADA", 3)


MOVED = {"execution:ADA": D(10), "execution:EUR": D(-20), "fee:BNB": D("-0.01")}


def loose(name: str, amount: Decimal, prefix: str = "fill:7", **values: Any) -> Entry:
    return Entry(f"{prefix}:{name}", name.split(":")[1], amount, **values)


BOOKED = [loose(name, amount) for name, amount in MOVED.items()]
TAKEN_BACK = [
    loose(name, amount.copy_negate(), "attached:fill:7") for name, amount in MOVED.items()
]


def of_fill(*entries: Entry, has_joined: bool = False) -> list[Difference]:
    return list(loose_fill_differences(7, MOVED, entries, has_joined=has_joined))


@pytest.mark.parametrize(
    ("side", "base", "quote"), [(OrderSide.BUY, 10, -20), (OrderSide.SELL, -10, 20)]
)
def test_a_fill_moves_base_quote_and_its_fees(side: OrderSide, base: int, quote: int) -> None:
    fees = (FeeReport("BNB", D("0.01")), FeeReport("BNB", D("0.01")), FeeReport("XRP", D(0)))

    assert fill_moves(make_fill("10", side=side, fees=fees), "ADA", "EUR") == {
        "execution:ADA": D(base),
        "execution:EUR": D(quote),
        "fee:BNB": D("-0.02"),
    }


def test_a_loose_fill_that_is_booked_agrees() -> None:
    assert of_fill(*BOOKED) == []


def test_a_loose_fill_that_is_not_booked_is_found() -> None:
    found = of_fill(*BOOKED[1:])

    assert found == [Difference(Check.LOOSE_FILL, None, D(10), "ADA")]


def test_a_loose_fill_booked_with_a_digit_too_much_is_found() -> None:
    [found] = of_fill(replace(BOOKED[0], amount=D(10) + DIGIT), *BOOKED[1:])

    assert (found.check, found.stored, found.recomputed) == (Check.LOOSE_FILL, D(10) + DIGIT, D(10))


def test_a_loose_fill_that_was_taken_back_without_an_order_is_found() -> None:
    found = of_fill(*BOOKED, TAKEN_BACK[0])

    assert found == [Difference(Check.ATTACHED_FILL, D(-10), None, "ADA")]


def test_a_fill_that_joined_its_order_was_taken_back_or_never_booked() -> None:
    assert of_fill(*BOOKED, *TAKEN_BACK, has_joined=True) == of_fill(has_joined=True) == []


def test_a_fee_that_came_after_its_fill_had_joined_its_order_is_none_of_the_loose_part() -> None:
    assert of_fill(*BOOKED[:2], *TAKEN_BACK[:2], has_joined=True) == []


def test_a_fill_that_joined_its_order_and_was_not_taken_back_is_found() -> None:
    found = of_fill(*BOOKED, *TAKEN_BACK[1:], has_joined=True)

    assert found == [Difference(Check.ATTACHED_FILL, None, D(-10), "ADA")]


@pytest.mark.parametrize(
    "stray",
    [
        loose("fee:EUR", D(1)),
        loose("fee:BNB", D(1), "fill:71"),
        loose("fee:BNB", D(1), "attached:fill:71"),
    ],
)
def test_an_entry_of_no_booking_of_the_fill_is_found(stray: Entry) -> None:
    assert of_fill(*BOOKED, stray) == [Difference(Check.ENTRY, D(1), None, stray.asset)]


def test_a_loose_fill_that_a_portfolio_was_given_is_found() -> None:
    found = of_fill(replace(BOOKED[0], owner=OWNER), *BOOKED[1:])

    assert found == [Difference(Check.ENTRY, D(10), None, "ADA", OWNER)]


def test_a_fill_of_the_baseline_is_not_booked() -> None:
    assert list(loose_fill_differences(7, {}, (), has_joined=False)) == []
    [found] = loose_fill_differences(7, {}, BOOKED[:1], has_joined=False)
    assert found == Difference(Check.ENTRY, D(10), None, "ADA")


def of_flow(due: dict[str, Decimal], *entries: tuple[str, str]) -> list[Difference]:
    booked = [
        Entry(f"flow:7:{number}:withdrawal:{asset}", asset, D(amount))
        for number, (asset, amount) in enumerate(entries)
    ]
    return list(flow_differences(7, due, booked))


def test_a_flow_agrees_with_the_sum_of_its_entries() -> None:
    assert of_flow({"EUR": D(-5)}, ("EUR", "-4"), ("EUR", "-1"), ("BNB", "1"), ("BNB", "-1")) == []


@pytest.mark.parametrize(
    ("due", "entries", "found"),
    [
        ({"EUR": D(-5)}, [], Difference(Check.FLOW, None, D(-5), "EUR")),
        ({}, [("EUR", "-5")], Difference(Check.FLOW, D(-5), D(0), "EUR")),
        ({"EUR": D(5)}, [("EUR", "-5")], Difference(Check.FLOW, D(-5), D(5), "EUR")),
    ],
)
def test_a_flow_that_is_booked_with_another_amount_is_found(
    due: dict[str, Decimal], entries: list[tuple[str, str]], found: Difference
) -> None:
    assert of_flow(due, *entries) == [found]


@pytest.mark.parametrize(("key", "owner"), [("flow:71:0:x:EUR", None), ("flow:7:0:x:EUR", OWNER)])
def test_an_entry_of_no_booking_of_the_flow_is_found(key: str, owner: int | None) -> None:
    stray = Entry(key, "EUR", D(5), owner)

    assert list(flow_differences(7, {"EUR": D(5)}, [stray])) == [
        Difference(Check.ENTRY, D(5), None, "EUR", owner)
    ]
