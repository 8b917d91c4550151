from __future__ import annotations

from django.test import Client

from tests.builders import make_account


def test_it_pauses(client: Client) -> None:
    account = make_account()

    response = client.post(f"/accounts/{account.pk}/pause/")

    account.refresh_from_db()
    assert account.paused
    assert response.headers["Location"] == f"/accounts/{account.pk}/"


def test_it_resumes(client: Client) -> None:
    account = make_account(paused=True)

    client.post(f"/accounts/{account.pk}/resume/")

    account.refresh_from_db()
    assert not account.paused
