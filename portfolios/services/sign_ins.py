"""Keeps passwords from being guessed: after some failures a name, or an address, has to wait.

An attempt counts before its password is looked at, so that many at a time count too, and hashing costs nothing then.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Final

import structlog
from django.contrib.auth import get_user_model
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from portfolios.models import AuditEvent, SignInAttempt
from portfolios.services.audit import record

log = structlog.get_logger(__name__)
# For so long a failure counts.
WINDOW: Final = timedelta(hours=1)
FAILURES_OF_A_NAME: Final = 10
FAILURES_OF_AN_ADDRESS: Final = 20
# For so long an address is one that the name is known at.
KNOWN: Final = timedelta(days=90)
# Rows, beyond which nothing is noted: as many addresses at once only a flood has.
MOST: Final = 20_000


def begin_sign_in(name: str, address: str) -> datetime | None:
    """Count an attempt; until when it is refused, or None if the password may be looked at."""
    now, hashed, place = timezone.now(), _hashed(name), _place(address)
    _forget_old(now)
    until = _refused_until(hashed, place, now)
    if until is None and SignInAttempt.objects.count() < MOST:
        SignInAttempt.objects.create(name=hashed, address=place, at=now)
        until_next = _refused_until(hashed, place, now)
        if until_next is not None:
            _note_refusal(name, place, until_next)
    return until


def note_success(name: str, address: str) -> None:
    """Take back what failed of the name at this address, and remember that it is known there."""
    hashed, place = _hashed(name), _place(address)
    SignInAttempt.objects.filter(name=hashed, address=place).delete()
    SignInAttempt.objects.create(name=hashed, address=place, is_success=True, at=timezone.now())


def _refused_until(hashed: str, place: str, now: datetime) -> datetime | None:
    counted = SignInAttempt.objects.filter(is_success=False, at__gt=now - WINDOW).order_by("-at")
    is_known = SignInAttempt.objects.filter(name=hashed, address=place, is_success=True).exists()
    # One who is known at an address has to wait for nothing but what fails there.
    of_the_name = Q(name=hashed, address=place) if is_known else Q(name=hashed)
    bounds = ((of_the_name, FAILURES_OF_A_NAME), (Q(address=place), FAILURES_OF_AN_ADDRESS))
    last = [
        at
        for which, most in bounds
        for at in counted.filter(which).values_list("at", flat=True)[most - 1 : most]
    ]
    return max(last) + WINDOW if last else None


def _note_refusal(name: str, place: str, until: datetime) -> None:
    """Say it in the trail, once for each time; only a name that there is, as others may be passwords."""
    users = get_user_model()
    is_user = users.objects.filter(**{users.USERNAME_FIELD: name}).exists()
    detail = _("Refused from %(address)s until %(time)s UTC: too many failures.") % {
        "address": place or "?",
        "time": f"{until:%Y-%m-%d %H:%M}",
    }
    record(AuditEvent.Kind.SIGN_IN_FAILED, by=None, subject=name if is_user else "", detail=detail)
    log.warning("sign_in_refused", address=place)


def _forget_old(now: datetime) -> None:
    old = Q(is_success=False, at__lte=now - WINDOW) | Q(at__lte=now - KNOWN)
    SignInAttempt.objects.filter(old).delete()


def _hashed(name: str) -> str:
    return salted_hmac("possync.sign_in", name, algorithm="sha256").hexdigest()


def _place(address: str) -> str:
    try:
        parsed = ip_address(address.strip())
    except ValueError:  # a socket of this machine has none
        return ""
    if parsed.version == 6:
        return str(ip_network((parsed, 64), strict=False).network_address)
    return str(parsed)
