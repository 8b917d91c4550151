"""A share of the causes that `python -m tests.simulation.attribution` injects into stored accounts."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from tests.hypothesis_profiles import IS_PROVE
from tests.simulation.injected import Told, told

CASES = 300 if IS_PROVE else 20


@cache
def counted() -> Counter[str]:
    return Counter(said for _cause, said in map(told, range(CASES)))


@pytest.mark.django_db
def test_no_injected_cause_is_taken_for_another_one() -> None:
    assert counted()[Told.WRONG] == 0


@pytest.mark.django_db
def test_at_least_ninety_five_of_a_hundred_injected_causes_are_named() -> None:
    assert counted()[Told.NAMED] * 100 >= CASES * 95
