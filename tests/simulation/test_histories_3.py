"""The gate's share of histories, 3 of 3: in several files, so that several processes run them."""

from __future__ import annotations

import pytest

from tests.simulation.history import History

pytestmark = pytest.mark.timeout(300)  # these files take long: they begin first


@pytest.mark.parametrize("seed", range(20, 30))
def test_books_equal_what_truly_happened(seed: int, books_in_memory: None) -> None:
    outcome = History(seed).run()

    assert not outcome.wrong, str(outcome)
