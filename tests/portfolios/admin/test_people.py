from __future__ import annotations

from django.contrib.auth.models import User
from django.test import Client


def test_nobody_is_deleted_whose_deeds_are_in_the_trail(admin_client: Client) -> None:
    sally = User.objects.create_user("sally")

    response = admin_client.post(f"/admin/auth/user/{sally.pk}/delete/", {"post": "yes"})

    assert response.status_code == 403
    assert User.objects.filter(username="sally").exists()


def test_somebody_who_left_is_let_in_no_more(admin_client: Client) -> None:
    sally = User.objects.create_user("sally")

    page = admin_client.get(f"/admin/auth/user/{sally.pk}/change/").content.decode()

    assert 'name="is_active"' in page
