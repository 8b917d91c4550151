"""The trail of what people did; what leaves a row of its own is not written twice."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver

from portfolios.models import AuditEvent, ExchangeAccount

Kind = AuditEvent.Kind
Actor = AbstractBaseUser | AnonymousUser | None
_LONGEST_SUBJECT = 200
_LONGEST_DETAIL = 500


def record(
    kind: AuditEvent.Kind,
    *,
    by: Actor,
    account: ExchangeAccount | None = None,
    subject: str = "",
    detail: str = "",
) -> AuditEvent:
    """Note what `by` did; None if no person did it.

    Parameters
    ----------
    subject : str
        What it is about; the account's label if empty.
    """
    actor = by if isinstance(by, AbstractBaseUser) else None
    return AuditEvent.objects.create(
        kind=kind,
        account=account,
        subject=(subject or (account.label if account else ""))[:_LONGEST_SUBJECT],
        detail=detail[:_LONGEST_DETAIL],
        actor_id=actor.pk if actor else None,
        actor_name=actor.get_username() if actor else "",
    )


@receiver(user_logged_in)
def _signed_in(user: Actor, **_facts: Any) -> None:
    record(Kind.SIGN_IN, by=user)


@receiver(user_logged_out)
def _signed_out(user: Actor, **_facts: Any) -> None:
    if user is not None:
        record(Kind.SIGN_OUT, by=user)


@receiver(user_login_failed)
def _sign_in_failed(credentials: dict[str, Any], **_facts: Any) -> None:
    # Only a name that there is: others are typing errors, and sometimes somebody's password.
    users = get_user_model()
    name = str(credentials.get(users.USERNAME_FIELD) or "")
    if users.objects.filter(**{users.USERNAME_FIELD: name}).exists():
        record(Kind.SIGN_IN_FAILED, by=None, subject=name)
