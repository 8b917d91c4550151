from __future__ import annotations

import pytest

from portfolios.models import Discrepancy
from portfolios.selectors.discrepancy_advice import ADVICE, discrepancy_advice


def test_each_code_has_its_own_advice() -> None:
    assert set(ADVICE) == set(Discrepancy.Code.values)


@pytest.mark.parametrize("code", Discrepancy.Code.values)
def test_advice_is_whole_sentences(code: str) -> None:
    assert str(discrepancy_advice(code)).endswith(".")
