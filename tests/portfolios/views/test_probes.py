from __future__ import annotations

from django.db import OperationalError, connection
from django.test import Client

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
