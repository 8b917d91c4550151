"""The gate's share of histories, 2 of 2: in two files, so that two processes run them."""

from __future__ import annotations

import pytest

from tests.simulation.history import History


@pytest.mark.parametrize("seed", range(30, 60))
def test_books_equal_what_truly_happened(seed: int, books_in_memory: None) -> None:
    outcome = History(seed).run()

    assert not outcome.wrong, str(outcome)
