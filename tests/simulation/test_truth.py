from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from tests.simulation.truth import Movement, beyond

D = Decimal
LEFT: Movement = ("EUR", D(-9), D("0.7"))
FEE_NOT_TOLD: Movement = ("EUR", D(-9), D(0))


def test_a_movement_whose_fee_was_not_told_yet_is_true() -> None:
    assert list(beyond(Counter([FEE_NOT_TOLD]), Counter([LEFT]))) == []


@pytest.mark.parametrize(
    "untrue", [("EUR", D(-9), D("0.6")), ("EUR", D(-8), D(0)), ("BNB", D(-9), D(0))]
)
def test_another_fee_amount_or_asset_is_not(untrue: Movement) -> None:
    assert list(beyond(Counter([untrue]), Counter([LEFT]))) == [untrue]


def test_what_is_told_once_with_its_fee_and_once_without_is_doubled() -> None:
    assert list(beyond(Counter([LEFT, FEE_NOT_TOLD]), Counter([LEFT]))) == [FEE_NOT_TOLD]
