"""Trying an account's credential: what the exchange says to it, and what it may do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from portfolios.models import ExchangeAccount, MarketCredential
from portfolios.services.audit import Actor, Kind, record
from portfolios.services.credentials import key_name, note_credential_state, opened_credentials
from portfolios.services.leases import key_held
from portfolios.services.providers import provider_lookup
from providers.errors import CredentialUnreadable
from providers.fetching import test_connection
from providers.redaction import leg_error, secrets_in_use
from providers.reports import ConnectionReport, LegError, SnapshotRequest

State = MarketCredential.State
# Seconds to wait for a sync that uses the key, and between two looks at it.
WAIT: Final = 20.0
_POLL: Final = 0.2


@transaction.atomic
def note_test_asked(account: ExchangeAccount, *, by: Actor = None) -> None:
    """Note that somebody waits for a test, so that a page can say that it is under way."""
    # Secrets from the environment have no row of their own; the result needs a place all the same.
    MarketCredential.objects.update_or_create(
        account=account, defaults={"test_asked_at": timezone.now()}
    )
    record(Kind.TEST, by=by, account=account)


def execute_connection_test(account_id: int) -> None:
    """Read balances and key rights once; only the credential's state and what was learned are stored.

    A key that a sync uses is waited for; if it is used for longer than `WAIT`, nothing is read, and that is said.
    """
    account = ExchangeAccount.objects.get(pk=account_id)
    MarketCredential.objects.get_or_create(account=account)
    with _key_waited_for(account) as is_ours:
        if is_ours:
            _test(account)
        else:
            _note_busy(account)


@contextmanager
def _key_waited_for(account: ExchangeAccount) -> Iterator[bool]:
    """Hold the account's key as soon as nobody else does; whether that was so within `WAIT`."""
    until = time.monotonic() + WAIT
    while True:
        with key_held(account.pk, settings.POSSYNC_SYNC_DEADLINE) as is_ours:
            if is_ours or time.monotonic() >= until:
                yield is_ours
                return
        time.sleep(_POLL)


def _test(account: ExchangeAccount) -> None:
    read_at = timezone.now()
    try:
        request = SnapshotRequest(
            account=account.label,
            market=account.market,
            credentials=opened_credentials(account),
            endpoint=account.endpoint,
            sandbox=account.sandbox,
            wallets=tuple(account.wallets),
            deadline=settings.POSSYNC_SYNC_DEADLINE,
            patience=settings.POSSYNC_SYNC_DEADLINE,
            key_name=key_name(account),
        )
        with secrets_in_use(request.credentials):
            report = test_connection(provider_lookup().for_market(account.market), request)
    except Exception as e:  # whatever it is, the person who pressed the button is told
        state = State.LOCKED if isinstance(e, CredentialUnreadable) else State.UNTESTED
        error = leg_error(e)
        note_credential_state(account, state, error.message, _failure(error), read_at=read_at)
        return
    _note(account, report, read_at)


def _note_busy(account: ExchangeAccount) -> None:
    """Say that nothing was tested; what was known of the key still is."""
    credential = MarketCredential.objects.get(account=account)
    credential.findings = {**credential.findings, "was_busy": True}
    credential.test_asked_at = None
    credential.save(update_fields=["findings", "test_asked_at"])


def _note(account: ExchangeAccount, report: ConnectionReport, read_at: datetime) -> None:
    if report.error is not None:
        # Only a refusal says something about the key; an exchange that does not answer does not.
        refused = report.error.category in ("auth", "permission")
        state = State.REJECTED if refused else State.UNTESTED
        note_credential_state(
            account, state, report.error.message, _failure(report.error), read_at=read_at
        )
        return
    detail = _("Balances read: %(count)s assets.") % {"count": report.assets}
    if report.clock_offset is not None:
        offset = _("The exchange's clock is %(seconds)s s from ours.")
        detail += " " + offset % {"seconds": f"{report.clock_offset:+z.1f}"}
    note_credential_state(account, State.ACCEPTED, detail, _findings(report), read_at=read_at)


def _findings(report: ConnectionReport) -> dict[str, Any]:
    offset = report.clock_offset
    return {
        "assets": report.assets,
        "clock_offset": None if offset is None else f"{offset:+z.1f}",
        "requests": report.http_requests,
        "rights": asdict(report.rights) if report.rights else None,
    }


def _failure(error: LegError) -> dict[str, Any]:
    return {"category": error.category, "trace": error.trace}
