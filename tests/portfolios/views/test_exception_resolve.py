from __future__ import annotations

from django.test import Client

from portfolios.models import Incident
from tests.builders import make_incident


def test_it_resolves_and_returns_to_the_exception(client: Client) -> None:
    incident = make_incident()

    response = client.post(f"/exceptions/{incident.pk}/resolve/")

    incident.refresh_from_db()
    assert incident.state == Incident.State.RESOLVED
    assert response.headers["Location"] == f"/exceptions/{incident.pk}/"
