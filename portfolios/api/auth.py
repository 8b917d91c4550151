from __future__ import annotations

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja.errors import HttpError
from ninja.security import HttpBearer

from portfolios.models import ApiToken
from portfolios.services.api_tokens import find_token


def token_of(request: HttpRequest) -> ApiToken:
    token: ApiToken = request.auth  # type: ignore[attr-defined]  # set by ninja
    return token


class TokenAuth(HttpBearer):
    """Let in who sends `Authorization: Bearer <token>` with a token of the scope."""

    openapi_description = "A token made in the administration."

    def __init__(self, scope: ApiToken.Scope) -> None:
        super().__init__()
        self.scope = scope

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken | None:
        found = find_token(token)
        if found is not None and self.scope not in found.scopes:
            raise HttpError(
                403,
                _("Token %(name)s lacks the scope %(scope)s. Nothing was done.")
                % {"name": found.name, "scope": self.scope},
            )
        return found
