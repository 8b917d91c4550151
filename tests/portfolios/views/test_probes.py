from __future__ import annotations

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from portfolios.services.api_tokens import make_token
from tests.builders import make_account, make_discrepancy, make_incident, make_run
from tests.portfolios.views.pages import html_of


def test_healthz_answers_strangers(stranger: Client) -> None:
    response = stranger.get("/healthz")

    assert (response.status_code, html_of(response)) == (200, "ok")


def test_healthz_does_without_the_database() -> None:
    # Without the `db` fixture a query is an error.
    assert Client().get("/healthz").status_code == 200


def test_readyz_is_ready_once_all_migrations_are_applied(stranger: Client) -> None:
    response = stranger.get("/readyz")

    assert (response.status_code, html_of(response)) == (200, "ok")


def test_readyz_is_not_ready_before(stranger: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'portfolios'")

    response = stranger.get("/readyz")

    assert (response.status_code, html_of(response)) == (503, "migrations are missing")


def test_readyz_is_not_ready_without_a_database(stranger: Client) -> None:
    def refuse(*_args: object) -> None:
        raise OperationalError("no such host: db.internal")

    with connection.execute_wrapper(refuse):
        response = stranger.get("/readyz")

    assert (response.status_code, html_of(response)) == (503, "database does not answer")


@pytest.mark.parametrize("sent", ["", "Bearer nonsense", "Basic YTpi"])
def test_metrics_are_refused_to_strangers(stranger: Client, sent: str) -> None:
    response = stranger.get("/metrics", headers={"Authorization": sent})

    assert response.status_code == 401
    assert "possync_" not in html_of(response)


def test_a_token_that_may_not_read_gets_no_metrics(stranger: Client) -> None:
    _token, text = make_token("bot", ["sync"])

    assert stranger.get("/metrics", headers={"Authorization": f"Bearer {text}"}).status_code == 401


def test_metrics_tell_how_every_account_stands(stranger: Client) -> None:
    account = make_account(label='main "desk"')
    make_run(account, status="failed")
    make_discrepancy(account, state="OPEN", severity="error")
    make_incident(account)
    _token, text = make_token("prometheus", ["read"])

    response = stranger.get("/metrics", headers={"Authorization": f"Bearer {text}"})

    told = html_of(response).splitlines()
    name = r'account="main \"desk\""'
    assert f'possync_account_state{{{name},state="credentials"}} 1.0' in told
    assert f'possync_account_state{{{name},state="agrees"}} 0.0' in told
    assert f"possync_account_verified_timestamp_seconds{{{name}}} 0.0" in told
    assert f'possync_open_discrepancies{{{name},severity="error"}} 1.0' in told
    assert f"possync_unresolved_exceptions{{{name}}} 1.0" in told
    assert "possync_worker_beat_timestamp_seconds 0.0" in told


def test_metrics_cost_the_same_for_many_accounts(client: Client) -> None:
    make_run(make_account())
    with CaptureQueriesContext(connection) as of_one:
        client.get("/metrics")
    for _account in range(3):
        make_run(make_account())
    with CaptureQueriesContext(connection) as of_four:
        client.get("/metrics")

    assert len(of_four) == len(of_one) <= 12
