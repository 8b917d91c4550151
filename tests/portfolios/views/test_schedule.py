from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.test import Client

from portfolios.models import AuditEvent
from tests.builders import make_account
from tests.portfolios.views.pages import html_of, shown, text_of

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CRON = {"by": "cron", "cron": "0 8 * * 1-5", "time_zone": "Europe/Berlin"}


@pytest.fixture(autouse=True)
def at_noon() -> Iterator[None]:
    with time_machine.travel(NOON, tick=False):
        yield


def test_it_shows_the_next_five_runs_before_anything_is_entered(client: Client) -> None:
    account = make_account(interval_seconds=600, next_sync_at=NOON + timedelta(minutes=4))

    page = shown(client, f"/accounts/{account.pk}/schedule/")

    for minute in ("04", "14", "24", "34", "44"):
        assert f"2026-11-22 12:{minute}:00 UTC" in page


def test_a_look_shows_the_runs_and_changes_nothing(client: Client) -> None:
    account = make_account(next_sync_at=NOON + timedelta(minutes=4))

    response = client.post(f"/accounts/{account.pk}/schedule/", CRON | {"look": "1"})

    account.refresh_from_db()
    assert account.cron == ""
    assert "2026-11-23 07:00:00 UTC" in text_of(response)
    assert "Mon 2026-11-23 08:00 CET (UTC+0100)" in text_of(response)


def test_a_cron_is_saved_and_followed(client: Client) -> None:
    account = make_account(next_sync_at=NOON + timedelta(minutes=4))

    client.post(f"/accounts/{account.pk}/schedule/", CRON | {"cron": " 0  8 * * 1-5"})

    account.refresh_from_db()
    assert (account.cron, account.time_zone) == ("0 8 * * 1-5", "Europe/Berlin")
    assert account.next_sync_at == datetime(2026, 11, 23, 7, 0, tzinfo=UTC)


def test_what_was_changed_is_in_the_audit_trail(client: Client) -> None:
    account = make_account(interval_seconds=300)

    client.post(f"/accounts/{account.pk}/schedule/", CRON)

    [event] = AuditEvent.objects.filter(kind=AuditEvent.Kind.SCHEDULE)
    assert (event.actor_name, event.account) == ("alice", account)
    assert event.detail == "300 s → 0 8 * * 1-5 Europe/Berlin"


@pytest.mark.parametrize(
    ("entered", "told"),
    [
        ({"cron": "0 8 * *"}, "Expected five fields"),
        ({"cron": "0 0 8 * * 1"}, "Expected five fields"),
        ({"cron": "61 8 * * *"}, "This is no cron expression: bad minute."),
        ({"cron": "0 0 31 2 *"}, "This is no cron expression: bad day-of-month."),
        ({"cron": "* * */20 * 1L"}, "This time never comes."),
        ({"cron": ""}, "This field is required."),
        ({"time_zone": "Europe/Nowhere"}, "Select a valid choice"),
        ({"by": "interval", "interval_seconds": "9"}, "greater than or equal to 10"),
        ({"by": "interval", "interval_seconds": ""}, "This field is required."),
        ({"by": "luck"}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    client: Client, entered: dict[str, str], told: str
) -> None:
    account = make_account()

    response = client.post(f"/accounts/{account.pk}/schedule/", CRON | entered)

    account.refresh_from_db()
    assert told in text_of(response)
    assert (account.cron, account.interval_seconds) == ("", 300)


def test_what_belongs_to_the_other_way_is_left_aside(client: Client) -> None:
    account = make_account()
    form = CRON | {"by": "interval", "interval_seconds": "60", "cron": "nonsense"}

    client.post(f"/accounts/{account.pk}/schedule/", form)

    account.refresh_from_db()
    assert (account.cron, account.interval_seconds) == ("", 60)


def test_the_account_says_by_what_cron_it_goes(client: Client) -> None:
    account = make_account(cron="0 8 * * 1-5", time_zone="Europe/Berlin")

    assert "0 8 * * 1-5 Europe/Berlin" in shown(client, account.get_absolute_url())


def test_a_reader_changes_no_schedule(reader: Client) -> None:
    account = make_account()

    assert reader.post(f"/accounts/{account.pk}/schedule/", CRON).status_code == 403
    assert "/schedule/" not in html_of(reader.get(account.get_absolute_url()))
