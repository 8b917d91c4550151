from __future__ import annotations

import inspect

from django.test import Client

from portfolios.models import Incident
from portfolios.selectors.advice import CATEGORIES
from providers import errors
from providers.errors import OperationalException
from tests.builders import make_incident, make_occurrence, make_run
from tests.portfolios.views.pages import html_of, shown


def test_it_shows_every_occurrence_with_its_run(client: Client) -> None:
    incident = make_incident()
    run = make_run(incident.account)
    make_occurrence(incident, run, message="the second", subject="spot", trace="Traceback: x")

    page = shown(client, f"/exceptions/{incident.pk}/")

    assert f"spot Run {run.pk}" in page
    assert "the second Trace Traceback: x" in page.replace("  ", " ")


def test_it_says_what_to_do(client: Client) -> None:
    incident = make_incident(category="clock")

    page = shown(client, f"/exceptions/{incident.pk}/")

    assert "What to do The clock of this machine" in page


def test_every_class_of_errors_has_advice() -> None:
    classes = (kind for _name, kind in inspect.getmembers(errors, inspect.isclass))
    categories = {kind.category for kind in classes if issubclass(kind, OperationalException)}

    assert categories == set(CATEGORIES)


def test_an_unresolved_one_can_be_resolved(client: Client) -> None:
    incident = make_incident()

    assert f'action="/exceptions/{incident.pk}/resolve/"' in html_of(
        client.get(f"/exceptions/{incident.pk}/")
    )


def test_a_resolved_one_cannot_be_resolved_again(client: Client) -> None:
    incident = make_incident(state=Incident.State.RESOLVED)

    assert "/resolve/" not in html_of(client.get(f"/exceptions/{incident.pk}/"))
