from __future__ import annotations

from http import HTTPStatus

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from portfolios.models import ApiToken
from portfolios.selectors.metrics import metrics_text
from portfolios.selectors.readiness import why_not_ready
from portfolios.services.api_tokens import find_token


@login_not_required
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok", content_type="text/plain")


@login_not_required
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    why_not = why_not_ready()
    status = HTTPStatus.SERVICE_UNAVAILABLE if why_not else HTTPStatus.OK
    return HttpResponse(why_not or "ok", content_type="text/plain", status=status)


@login_not_required
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Tell Prometheus the numbers; to who is logged in, or sends a token with the scope `read`."""
    if not (request.user.is_authenticated or _has_token(request)):
        told = _("Log in, or send a token that may read: Authorization: Bearer ...")
        status = HTTPStatus.UNAUTHORIZED
        return HttpResponse(
            told, content_type="text/plain", status=status, headers={"WWW-Authenticate": "Bearer"}
        )
    return HttpResponse(metrics_text(timezone.now()), content_type=CONTENT_TYPE_LATEST)


def _has_token(request: HttpRequest) -> bool:
    scheme, _space, text = request.headers.get("Authorization", "").partition(" ")
    token = find_token(text.strip()) if scheme.lower() == "bearer" and text else None
    return token is not None and ApiToken.Scope.READ in token.scopes
