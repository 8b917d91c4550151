"""How long what `up` runs has to end in order."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from portfolios.management.commands import up


def graces() -> dict[str, float]:
    return {service.name: service.grace for service in up._services(demo_port=None)}


def test_after_ctrl_c_all_are_gone_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSSYNC_DRAIN_SECONDS", raising=False)

    assert max(graces().values()) < 10


def test_who_gives_syncs_longer_to_end_has_workers_that_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setenv("POSSYNC_DRAIN_SECONDS", "50")
    settings.POSSYNC_DRAIN_SECONDS = 50

    assert graces()["worker"] > 50
    assert graces()["web"] < 10
