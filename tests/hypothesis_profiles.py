"""How many cases a property test tries: thousands in the gate, ten times as many where the proof is asked for."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings


def load() -> None:
    """Load `gate`, or `prove` where `POSSYNC_PROVE` is 1; a test that needs another number says so itself."""
    # A slow machine is no defect, and neither is a test that draws large values.
    common = settings(
        deadline=None, database=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.register_profile("gate", common, max_examples=2_000)
    settings.register_profile("prove", common, max_examples=20_000)
    settings.load_profile("prove" if os.environ.get("POSSYNC_PROVE") == "1" else "gate")
