from __future__ import annotations

import inspect
import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from portfolios.models import Incident
from portfolios.selectors.advice import CATEGORIES, SITUATIONS
from providers import errors
from providers.errors import OperationalException
from providers.sandbox.faults import Fault, FaultKind
from tests.builders import NOON, make_account, make_incident, make_occurrence, make_run
from tests.desk import Desk
from tests.portfolios.views.pages import html_of, shown

MAX_QUERIES = 12

TRACE = """Traceback (most recent call last):
  File "providers/legs.py", line 71, in record
    reading = await read()
  File "aiohttp/client.py", line 12, in _request
    conn = await connect()
providers.errors.RegionBlocked: binance: restricted location"""


def test_it_shows_the_newest_occurrence_with_its_run(client: Client) -> None:
    incident = make_incident()
    run = make_run(incident.account)
    make_occurrence(incident, run, message="the second", subject="spot", trace="Traceback: x")

    page = shown(client, f"/exceptions/{incident.pk}/")

    assert f"spot Run {run.pk} Succeeded the second" in page
    assert "Traceback: x" in page


def test_it_turns_to_newer_and_older_occurrences(client: Client) -> None:
    incident = make_incident()
    old, middle, new = (make_occurrence(incident, message=f"the {i}th") for i in range(3))

    html = html_of(client.get(f"/exceptions/{incident.pk}/?occurrence={middle.pk}"))

    assert "2 of 3, the newest first" in html
    assert f'rel="prev" href="?occurrence={new.pk}#occurrences"' in re.sub(r"\s+", " ", html)
    assert f'rel="next" href="?occurrence={old.pk}#occurrences"' in re.sub(r"\s+", " ", html)


@pytest.mark.parametrize("asked", ["x", "999999", ""])
def test_an_occurrence_that_is_not_there_is_the_newest(client: Client, asked: str) -> None:
    incident = make_incident()
    make_occurrence(incident)
    make_occurrence(incident)

    assert "1 of 2," in shown(client, f"/exceptions/{incident.pk}/?occurrence={asked}")


def test_the_run_leads_to_the_very_occurrence(client: Client) -> None:
    incident = make_incident()
    run = make_run(incident.account)
    occurrence = make_occurrence(incident, run)

    html = html_of(client.get(f"/runs/{run.pk}/"))

    assert f'href="/exceptions/{incident.pk}/?occurrence={occurrence.pk}"' in html


def test_frames_of_libraries_are_folded(client: Client) -> None:
    incident = make_incident()
    make_occurrence(incident, trace=TRACE)

    assert "1 frame of a library" in shown(client, f"/exceptions/{incident.pk}/")


def test_our_own_class_of_an_error_says_more_than_its_category(client: Client) -> None:
    incident = make_incident(category="permission")
    make_occurrence(incident, trace=TRACE)

    assert "does not serve the country" in shown(client, f"/exceptions/{incident.pk}/")


def test_a_key_that_the_exchange_rejects_is_told_apart_from_one_that_is_not_set(
    desk: Desk, client: Client
) -> None:
    desk.server.faults.append(Fault(FaultKind.EXPIRED_KEY))
    desk.sync()

    page = shown(client, Incident.objects.all()[0].get_absolute_url())

    assert "does not accept the key or its signature" in page
    assert "Category Key rejected" in page


def test_it_lists_the_accounts_that_it_touches(client: Client) -> None:
    here, there = (
        make_incident(make_account(label=label), fingerprint="aa11") for label in ("here", "there")
    )

    page = shown(client, f"/exceptions/{here.pk}/")

    assert "here Unresolved 1" in page
    assert "this one" in page
    assert f'href="{there.get_absolute_url()}"' in html_of(client.get(f"/exceptions/{here.pk}/"))


def test_a_muted_one_says_until_when_and_who_muted_it(client: Client) -> None:
    incident = make_incident(
        state=Incident.State.MUTED, muted_until=NOON, acted_by="alice", acted_at=NOON
    )

    page = shown(client, f"/exceptions/{incident.pk}/")

    assert "Muted until 2026-11-22 12:00:00 UTC" in page
    assert "Last decided 2026-11-22 12:00:00 UTC alice" in page


@pytest.mark.parametrize(
    ("state", "actions"),
    [
        (Incident.State.UNRESOLVED, ["resolve", "mute"]),
        (Incident.State.REGRESSED, ["resolve", "mute"]),
        (Incident.State.MUTED, ["resolve", "unmute"]),
        (Incident.State.RESOLVED, []),
    ],
)
def test_each_state_offers_what_it_allows(
    client: Client, state: Incident.State, actions: list[str]
) -> None:
    incident = make_incident(state=state)

    html = html_of(client.get(f"/exceptions/{incident.pk}/"))

    assert re.findall(rf'formaction="/exceptions/{incident.pk}/(\w+)/"', html) == actions


def test_it_says_what_to_do(client: Client) -> None:
    incident = make_incident(category="clock")

    page = shown(client, f"/exceptions/{incident.pk}/")

    assert "What to do The clock of this machine" in page


def test_every_class_of_errors_has_advice() -> None:
    classes = (kind for _name, kind in inspect.getmembers(errors, inspect.isclass))
    categories = {kind.category for kind in classes if issubclass(kind, OperationalException)}

    assert categories == set(CATEGORIES)


def test_what_says_more_than_a_category_is_a_class_of_errors() -> None:
    assert {name for name in SITUATIONS if not hasattr(errors, name)} == set()


def test_many_occurrences_take_as_many_queries_as_one(client: Client) -> None:
    incident = make_incident(fingerprint="aa11", category="clock")
    run = make_run(incident.account)
    make_occurrence(incident, run)
    url = incident.get_absolute_url()
    with CaptureQueriesContext(connection) as few:
        client.get(url)
    for _number in range(50):
        make_occurrence(incident, run)
        make_incident(fingerprint="aa11")

    with CaptureQueriesContext(connection) as many:
        client.get(url)

    assert len(many) == len(few) <= MAX_QUERIES
