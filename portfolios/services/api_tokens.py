"""Tokens that programs sign in with: shown once, kept as digests."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from datetime import timedelta
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from portfolios.models import ApiToken
from portfolios.services.audit import Actor, Kind, record

PREFIX: Final = "pst_"
_SHOWN: Final = len(PREFIX) + 6
# A use is noted once in so long: a write each request would be too much.
_NOTED_EVERY: Final = timedelta(minutes=1)


@transaction.atomic
def make_token(name: str, scopes: Collection[str], made_by: Any = None) -> tuple[ApiToken, str]:
    """Make a token and return it with its text, which can never be shown again."""
    text = PREFIX + secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        name=name,
        prefix=text[:_SHOWN],
        digest=_digest(text),
        scopes=sorted(scopes),
        made_by=made_by,
    )
    record(Kind.TOKEN, by=made_by, subject=name, detail=", ".join(token.scopes))
    return token, text


def find_token(text: str) -> ApiToken | None:
    """Find the token of this text and note that it was used; None if there is none, or it was revoked."""
    token = ApiToken.objects.filter(digest=_digest(text), revoked_at=None).first()
    if token is None:
        return None
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at >= _NOTED_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token


@transaction.atomic
def revoke_token(token: ApiToken, *, by: Actor = None) -> None:
    still_valid = ApiToken.objects.filter(pk=token.pk, revoked_at=None)
    if still_valid.update(revoked_at=timezone.now()):
        record(Kind.REVOKE, by=by, subject=token.name)


def _digest(text: str) -> str:
    """256 random bits need no slow digest: nobody can try them all."""
    return hashlib.sha256(text.encode()).hexdigest()
