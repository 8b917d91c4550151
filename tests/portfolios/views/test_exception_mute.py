from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.test import Client

from portfolios.models import Incident
from tests.builders import NOON, make_incident


@pytest.mark.parametrize(
    ("chosen", "hours"), [("hour", 1), ("day", 24), ("week", 168), ("", None), ("ever", None)]
)
def test_it_mutes_for_as_long_as_was_chosen(client: Client, chosen: str, hours: int | None) -> None:
    incident = make_incident()

    with time_machine.travel(NOON, tick=False):
        response = client.post(f"/exceptions/{incident.pk}/mute/", {"for": chosen})

    incident.refresh_from_db()
    until = None if hours is None else NOON + timedelta(hours=hours)
    assert (incident.state, incident.muted_until) == (Incident.State.MUTED, until)
    assert response.headers["Location"] == f"/exceptions/{incident.pk}/"
