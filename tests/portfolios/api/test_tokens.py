from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from portfolios.models import ApiToken
from portfolios.services.api_tokens import find_token, make_token, revoke_token

pytestmark = pytest.mark.django_db
Bot = Callable[..., Client]


def test_without_a_token_nothing_is_told() -> None:
    response = Client().get("/api/v1/accounts")

    assert (response.status_code, response.json()) == (401, {"detail": "Unauthorized"})


def test_a_page_log_in_is_no_token(admin_client: Client) -> None:
    assert admin_client.get("/api/v1/accounts").status_code == 401


def test_a_scope_that_is_lacking_is_named(bot: Bot) -> None:
    response = bot("book").get("/api/v1/accounts")

    assert response.status_code == 403
    assert "lacks the scope read" in response.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path"), [("post", "/accounts/a/sync"), ("put", "/portfolios/p/orders/o")]
)
def test_who_may_read_may_not_write(bot: Bot, method: str, path: str) -> None:
    assert getattr(bot("read"), method)(f"/api/v1{path}").status_code == 403


def test_the_text_of_a_token_is_stored_nowhere() -> None:
    token, text = make_token("bot", ["read"])

    stored = ApiToken.objects.values().get()

    assert text not in str(stored)
    assert text.startswith(token.prefix)
    assert len(token.prefix) == 10


def test_a_revoked_token_lets_nobody_in() -> None:
    token, text = make_token("bot", ["read"])
    assert find_token(text) == token

    revoke_token(token)

    assert find_token(text) is None


def test_a_use_is_noted(bot: Bot) -> None:
    bot("read").get("/api/v1/accounts")

    assert ApiToken.objects.get().last_used_at is not None
