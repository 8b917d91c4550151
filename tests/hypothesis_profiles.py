"""How many cases a property test tries: more for the laws of the books, ten times as many where proof is asked for."""

from __future__ import annotations

import os
from random import Random
from typing import Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

IS_PROVE: Final = os.environ.get("POSSYNC_PROVE") == "1"
_TIMES: Final = 10 if IS_PROVE else 1
# One of so many cases: what runs on PostgreSQL has run on SQLite before, and fewer show a difference between the two.
PART: Final = 8 if os.environ.get("POSSYNC_DATABASE_URL") and not IS_PROVE else 1
# Of the laws that everything rests on: joins, replays, sums, the survival of numbers.
CASES_OF_A_LAW: Final = (20_000 if IS_PROVE else 2_000) // PART
# Seconds that all cases of a law may take, on whatever machine.
LAW_TIMEOUT: Final = 400 * _TIMES
CASES: Final = 200 * _TIMES


class Pick(Random):
    """Picks everything of a case by one number: drawn one by one, picks take longer than what they are for."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    def __repr__(self) -> str:
        return f"Pick({self.number})"


picks = st.integers(0, 2**64).map(Pick)


def load() -> None:
    """Load the profile of all property tests; a test that needs another number of cases says so itself."""
    # A slow machine is no defect, and neither is a test that draws large values.
    common = settings(
        deadline=None, database=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.register_profile("possync", common, max_examples=CASES)
    settings.load_profile("possync")
