from __future__ import annotations

import re

import pytest
from django.test import Client

from portfolios.models import ApiToken
from portfolios.services.api_tokens import find_token, make_token

URL = "/admin/portfolios/apitoken/"


def test_a_token_is_shown_once_and_works(admin_client: Client) -> None:
    page = admin_client.post(
        f"{URL}add/", {"name": "bot", "scopes": ["read", "book"]}, follow=True
    ).content.decode()

    found = re.search(r"pst_[\w-]{40,}", page)
    assert found is not None
    token = find_token(found[0])
    assert token is not None
    assert (token.name, token.scopes) == ("bot", ["book", "read"])
    assert found[0] not in admin_client.get(URL).content.decode()


def test_a_new_token_is_in_its_page_alone_and_that_is_not_kept(admin_client: Client) -> None:
    answer = admin_client.post(f"{URL}add/", {"name": "bot", "scopes": ["read"]})

    assert "pst_" in answer.content.decode()
    assert "pst_" not in str(answer.cookies)
    assert "no-store" in answer.headers["Cache-Control"]


def test_a_token_without_a_scope_is_refused(admin_client: Client) -> None:
    page = admin_client.post(f"{URL}add/", {"name": "bot"}).content.decode()

    assert "This field is required" in page
    assert not ApiToken.objects.exists()


def test_tokens_are_revoked_from_the_list(admin_client: Client) -> None:
    token, text = make_token("bot", ["read"])

    admin_client.post(URL, {"action": "revoke", "_selected_action": [token.pk]})

    assert find_token(text) is None


@pytest.mark.django_db
def test_a_token_cannot_be_changed(admin_client: Client) -> None:
    token, _text = make_token("bot", ["read"])

    answer = admin_client.post(f"{URL}{token.pk}/change/", {"name": "bot", "scopes": ["sync"]})

    assert answer.status_code == 403
    assert ApiToken.objects.get().scopes == ["read"]
