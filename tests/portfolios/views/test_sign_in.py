from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.http import HttpResponseBase
from django.test import Client

from portfolios.models import AuditEvent, SignInAttempt
from portfolios.services import sign_ins
from portfolios.services.sign_ins import FAILURES_OF_A_NAME, FAILURES_OF_AN_ADDRESS, WINDOW
from tests.portfolios.views.pages import text_of

HERE, THERE, ELSEWHERE = "192.0.2.1", "192.0.2.2", "192.0.2.3"
RIGHT = "correct horse"


@pytest.fixture(autouse=True)
def bob(db: None, settings: Any) -> User:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return User.objects.create_user("bob", password=RIGHT, is_staff=True)


def sign_in(
    client: Client,
    password: str = "wrong",
    *,
    name: str = "bob",
    at: str = HERE,
    path: str = "/login/",
    told: str = "",
) -> HttpResponseBase:
    form = {"username": name, "password": password}
    return client.post(path, form, REMOTE_ADDR=at, headers={"X-Forwarded-For": told})


def fail(client: Client, times: int = FAILURES_OF_A_NAME, **how: Any) -> None:
    statuses = {sign_in(client, **how).status_code for _time in range(times)}
    assert statuses == {HTTPStatus.OK}


def is_refused(response: HttpResponseBase) -> bool:
    return response.status_code == HTTPStatus.TOO_MANY_REQUESTS


@pytest.mark.parametrize("path", ["/login/", "/admin/login/"])
def test_after_some_failures_even_the_right_password_is_not_looked_at(
    stranger: Client, path: str
) -> None:
    fail(stranger)

    assert is_refused(sign_in(stranger, RIGHT, path=path))
    assert stranger.get("/").status_code == HTTPStatus.FOUND


def test_it_says_when_to_try_again(stranger: Client) -> None:
    with time_machine.travel("2026-11-22 12:00Z", tick=False):
        fail(stranger)

        response = sign_in(stranger)

        assert response.headers["Retry-After"] == "3600"
        assert "Try again in 60 minutes, at 13:00 UTC." in text_of(response)


def test_it_is_over_when_it_said(stranger: Client) -> None:
    with time_machine.travel("2026-11-22 12:00Z", tick=False) as now:
        fail(stranger)
        now.shift(WINDOW)

        assert sign_in(stranger, RIGHT).status_code == HTTPStatus.FOUND


def test_what_was_refused_does_not_make_it_longer(stranger: Client) -> None:
    with time_machine.travel("2026-11-22 12:00Z", tick=False) as now:
        fail(stranger)
        now.shift(WINDOW - timedelta(minutes=1))
        assert is_refused(sign_in(stranger))
        now.shift(timedelta(minutes=1))

        assert sign_in(stranger, RIGHT).status_code == HTTPStatus.FOUND


def test_a_name_has_to_wait_from_wherever_it_is_tried(stranger: Client) -> None:
    fail(stranger, FAILURES_OF_A_NAME - 1)
    fail(stranger, 1, at=THERE)

    assert is_refused(sign_in(stranger, at=ELSEWHERE))


def test_who_is_known_at_an_address_is_not_kept_out_by_others(stranger: Client) -> None:
    sign_in(stranger, RIGHT, at=THERE)
    stranger.logout()
    fail(stranger)

    assert sign_in(stranger, RIGHT, at=THERE).status_code == HTTPStatus.FOUND


def test_an_address_has_to_wait_whatever_names_it_makes_up(stranger: Client) -> None:
    for number in range(FAILURES_OF_AN_ADDRESS):
        fail(stranger, 1, name=f"made up {number}")

    assert is_refused(sign_in(stranger, RIGHT))
    assert sign_in(stranger, RIGHT, at=THERE).status_code == HTTPStatus.FOUND


def test_refusals_write_no_more_rows(stranger: Client) -> None:
    fail(stranger)
    before = SignInAttempt.objects.count(), AuditEvent.objects.count()

    sign_in(stranger)

    assert (SignInAttempt.objects.count(), AuditEvent.objects.count()) == before


def test_the_trail_tells_of_it_once(stranger: Client) -> None:
    fail(stranger)
    sign_in(stranger)

    told = AuditEvent.objects.exclude(detail="")
    assert [(event.subject, event.kind) for event in told] == [("bob", "sign_in_failed")]
    assert told[0].detail.startswith(f"Refused from {HERE} until ")


def test_a_name_that_is_none_is_stored_nowhere(stranger: Client) -> None:
    fail(stranger, name="my secret")

    rows = [*SignInAttempt.objects.values_list(), *AuditEvent.objects.values_list()]
    assert "my secret" not in str(rows)


def test_a_success_takes_back_what_failed_before(stranger: Client) -> None:
    fail(stranger, FAILURES_OF_A_NAME - 1)
    sign_in(stranger, RIGHT)
    stranger.logout()

    fail(stranger, FAILURES_OF_A_NAME - 1)


def test_who_is_signed_in_goes_on(client: Client, stranger: Client) -> None:
    fail(stranger)

    assert client.get("/", REMOTE_ADDR=HERE).status_code == HTTPStatus.OK


def test_a_network_of_one_customer_counts_as_one(stranger: Client) -> None:
    for number in range(FAILURES_OF_AN_ADDRESS):
        fail(stranger, 1, name=f"made up {number}", at=f"2001:db8::{number:x}")

    assert is_refused(sign_in(stranger, RIGHT, at="2001:db8::ffff"))
    assert not is_refused(sign_in(stranger, RIGHT, at="2001:db8:0:1::1"))


@pytest.mark.parametrize("is_behind", [True, False])
def test_only_a_proxy_of_ours_says_where_a_request_came_from(
    stranger: Client, settings: Any, *, is_behind: bool
) -> None:
    settings.POSSYNC_BEHIND_PROXY = is_behind
    for number in range(FAILURES_OF_AN_ADDRESS):
        fail(stranger, 1, name=f"made up {number}", told=f"198.51.100.{number}, {THERE}")

    assert is_refused(sign_in(stranger, told=f"198.51.100.99, {THERE}"))
    assert is_refused(sign_in(stranger, told=ELSEWHERE)) is not is_behind


def test_a_flood_does_not_fill_the_table(stranger: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_ins, "MOST", 3)

    fail(stranger, 5)

    assert SignInAttempt.objects.count() == 3


def test_what_no_longer_counts_goes(stranger: Client) -> None:
    with time_machine.travel("2026-11-22 12:00Z", tick=False) as now:
        fail(stranger)
        now.shift(WINDOW)
        fail(stranger, 1, at=THERE)

    assert SignInAttempt.objects.count() == 1
