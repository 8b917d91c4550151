from __future__ import annotations

from django.test import Client

from portfolios.models import Incident
from tests.builders import make_incident


def test_it_alarms_again_and_returns_to_the_exception(client: Client) -> None:
    incident = make_incident(state=Incident.State.MUTED)

    response = client.post(f"/exceptions/{incident.pk}/unmute/")

    incident.refresh_from_db()
    assert incident.state == Incident.State.UNRESOLVED
    assert response.headers["Location"] == f"/exceptions/{incident.pk}/"
