from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from portfolios.models import AuditEvent, Decision, ExchangeAccount, SyncRun
from portfolios.services.api_tokens import make_token, revoke_token
from portfolios.services.audit import record
from tests.builders import make_account, make_incident, make_run
from tests.portfolios.views.pages import html_of, shown

Kind = AuditEvent.Kind


def sally() -> User:
    return User.objects.get_or_create(username="sally")[0]


def make_one_of_each(account: ExchangeAccount) -> None:
    """Make what comes from each of the four tables, by sally."""
    person = sally()
    Decision.objects.create(
        account=account,
        kind=Decision.Kind.ADJUST,
        subject="7 ADA",
        reason="gift",
        actor_name="sally",
    )
    make_run(account, trigger=SyncRun.Trigger.MANUAL, requested_by=person)
    record(Kind.PAUSE, by=person, account=account)
    LogEntry.objects.log_actions(
        person.pk, [account], CHANGE, [{"changed": {"fields": ["Label"]}}], single_object=True
    )


def test_it_tells_all_that_people_did(client: Client) -> None:
    make_one_of_each(make_account(label="main"))

    page = shown(client, "/audit/?by=sally")

    for told in ("Book an adjustment 7 ADA sally", "Sync now", "Account paused", "Changed Label."):
        assert told in page


def test_what_the_schedule_did_is_nobodys_doing(client: Client) -> None:
    make_run(make_account(), trigger=SyncRun.Trigger.MANUAL)

    assert "Sync now" not in shown(client, "/audit/?kind=sync")


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("decision", "Book an adjustment"),
        ("sync", "Sync now"),
        ("admin", "Changed in the administration"),
        ("event-pause", "Account paused"),
    ],
)
def test_it_narrows_to_a_kind(client: Client, kind: str, told: str) -> None:
    make_one_of_each(make_account())

    rows = shown(client, f"/audit/?kind={kind}").partition("Detail Account")[2]

    assert told in rows
    assert rows.count("sally") == 1


def test_it_narrows_to_a_person(client: Client) -> None:
    make_one_of_each(make_account())
    record(Kind.RESUME, by=User.objects.create_user("tom"), account=make_account())

    page = shown(client, "/audit/?by=tom")

    assert page.count("Account resumed") == 2  # the filter's own word, and the row
    assert "gift" not in page


def test_it_narrows_to_an_account(client: Client) -> None:
    first, second = make_account(label="first"), make_account(label="second")
    make_one_of_each(first)
    record(Kind.RESUME, by=sally(), account=second)

    page = shown(client, f"/audit/?account={first.pk}")

    assert "Changed Label." in page
    assert page.count("Account resumed") == 1


def test_it_narrows_to_a_time(client: Client) -> None:
    with time_machine.travel(datetime.now(UTC) - timedelta(days=3)):
        record(Kind.TOKEN, by=sally(), subject="old-bot")

    assert "old-bot" not in shown(client, "/audit/?period=1")
    assert "old-bot" in shown(client, "/audit/?period=7")


def test_it_finds_words(client: Client) -> None:
    make_one_of_each(make_account())

    page = shown(client, "/audit/?q=GIFT")

    assert "7 ADA" in page
    assert "Changed Label." not in page


def test_buttons_leave_a_trail(client: Client) -> None:
    account = make_account(label="main")
    incident = make_incident(account)
    for path in ("pause", "resume", "test"):
        client.post(f"/accounts/{account.pk}/{path}/")
    client.post(f"/exceptions/{incident.pk}/resolve/")

    told = (
        AuditEvent.objects.filter(account=account).order_by("pk").values_list("kind", "actor_name")
    )

    assert list(told) == [
        (kind, "alice") for kind in (Kind.PAUSE, Kind.RESUME, Kind.TEST, Kind.RESOLVE)
    ]


@pytest.mark.django_db
def test_tokens_leave_a_trail_without_their_text() -> None:
    token, text = make_token("bot", ["read", "sync"], sally())
    revoke_token(token, by=sally())

    told = list(AuditEvent.objects.order_by("pk").values_list("kind", "subject", "detail"))

    assert told == [(Kind.TOKEN, "bot", "read, sync"), (Kind.REVOKE, "bot", "")]
    assert text not in str(told)


def test_signing_in_and_out_leaves_a_trail(stranger: Client) -> None:
    User.objects.create_user("carol", password="right-horse")

    stranger.post("/login/", {"username": "carol", "password": "wrong"})
    stranger.post("/login/", {"username": "carol", "password": "right-horse"})
    stranger.post("/logout/")

    told = AuditEvent.objects.order_by("pk").values_list("kind", "subject", "actor_name")
    assert list(told) == [
        (Kind.SIGN_IN_FAILED, "carol", ""),
        (Kind.SIGN_IN, "", "carol"),
        (Kind.SIGN_OUT, "", "carol"),
    ]


def test_a_name_that_nobody_has_is_not_kept(stranger: Client) -> None:
    stranger.post("/login/", {"username": "right-horse", "password": "carol"})

    assert not AuditEvent.objects.exists()


def test_the_name_stays_when_the_user_is_deleted(client: Client) -> None:
    record(Kind.TOKEN, by=sally(), subject="bot")
    User.objects.get(username="sally").delete()

    assert "bot sally" in shown(client, "/audit/?kind=event-token")


def test_it_is_exported_as_it_is_shown(client: Client) -> None:
    account = make_account(label="main")
    make_one_of_each(account)

    response = client.get(f"/export/audit.json?account={account.pk}")

    rows = json.loads(b"".join(response))
    assert [row["what"] for row in rows] == ["changed", "pause", "manual", "adjust"]
    assert {(row["account"], row["by"]) for row in rows} == {("main", "sally")}


def test_who_may_not_see_it_sees_neither_page_nor_export_nor_link(
    client: Client, reader: Client
) -> None:
    assert reader.get("/audit/").status_code == 403
    assert reader.get("/export/audit.csv").status_code == 403
    assert "/audit/" not in html_of(reader.get("/decisions/"))
    assert "/audit/" in html_of(client.get("/decisions/"))


def test_it_asks_the_database_as_often_for_many_rows(
    client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _number in range(20):
        make_one_of_each(make_account())

    with django_assert_max_num_queries(12):
        client.get("/audit/")
