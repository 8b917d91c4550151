from __future__ import annotations

from portfolios.models import Discrepancy
from portfolios.models.choices import word_of


def test_a_choice_is_told_by_its_word() -> None:
    assert word_of(Discrepancy.State, "OPEN") == "Open"


def test_a_choice_that_there_is_no_more_is_told_as_it_was_stored() -> None:
    assert word_of(Discrepancy.Code, "BALANCE_OF_OLD") == "BALANCE_OF_OLD"
