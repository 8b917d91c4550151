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


def test_it_resolves_it_on_every_account_of_the_market(client: Client) -> None:
    here, there = (make_incident(fingerprint="aa11") for _number in range(2))
    make_incident()

    client.post(f"/exceptions/{here.pk}/resolve/", {"everywhere": "1"})

    resolved = Incident.objects.filter(state=Incident.State.RESOLVED)
    assert set(resolved) == {here, there}
    assert resolved[0].acted_by == "alice"
