"""Stands before the forms that take a password, the admin's too."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone

from portfolios.services.sign_ins import begin_sign_in, note_success

_View = Callable[..., HttpResponseBase]


def with_patience(view: _View) -> _View:
    """Refuse attempts for a while once too many have failed; whoever is signed in already is none."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST" or _is_signed_in(request):
            return view(request, *args, **kwargs)
        name, address = request.POST.get("username", ""), _address_of(request)
        until = begin_sign_in(name, address)
        if until is not None:
            return _refused(request, until)
        response = view(request, *args, **kwargs)
        if _is_signed_in(request):
            note_success(name, address)
        return response

    return guarded


def _is_signed_in(request: HttpRequest) -> bool:
    return bool(request.user.is_authenticated)


def _refused(request: HttpRequest, until: datetime) -> HttpResponseBase:
    left = math.ceil((until - timezone.now()).total_seconds())
    told = {"until": until, "minutes": math.ceil(left / 60)}
    response = render(request, "429.html", told, status=HTTPStatus.TOO_MANY_REQUESTS)
    response.headers["Retry-After"] = str(max(left, 1))
    return response


def _address_of(request: HttpRequest) -> str:
    """Tell where a request comes from: behind a proxy the last that it names, as only that is its own word."""
    told = request.headers.get("X-Forwarded-For", "") if settings.POSSYNC_BEHIND_PROXY else ""
    return told.rpartition(",")[2].strip() or request.META.get("REMOTE_ADDR", "")
