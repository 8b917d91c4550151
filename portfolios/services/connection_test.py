from __future__ import annotations

from django.conf import settings
from django.utils.translation import gettext as _

from portfolios.models import ExchangeAccount, MarketCredential
from portfolios.services.credentials import note_credential_state, opened_credentials
from portfolios.services.providers import provider_lookup
from providers.errors import CredentialUnreadable
from providers.fetching import test_connection
from providers.redaction import leg_error, secrets_in_use
from providers.reports import ConnectionReport, SnapshotRequest

State = MarketCredential.State


def execute_connection_test(account_id: int) -> None:
    """Read the account's balances once; only the credential's state and what was learned are stored."""
    account = ExchangeAccount.objects.get(pk=account_id)
    # Secrets from the environment have no row of their own; the result needs a place all the same.
    MarketCredential.objects.get_or_create(account=account)
    try:
        request = SnapshotRequest(
            account=account.label,
            market=account.market,
            credentials=opened_credentials(account),
            endpoint=account.endpoint,
            sandbox=account.sandbox,
            wallets=tuple(account.wallets),
            deadline=settings.POSSYNC_SYNC_DEADLINE,
        )
        with secrets_in_use(request.credentials):
            report = test_connection(provider_lookup().for_market(account.market), request)
    except Exception as e:  # whatever it is, the person who pressed the button is told
        state = State.LOCKED if isinstance(e, CredentialUnreadable) else State.UNTESTED
        note_credential_state(account, state, leg_error(e).message)
        return
    _note(account, report)


def _note(account: ExchangeAccount, report: ConnectionReport) -> None:
    if report.error is not None:
        # Only a refusal says something about the key; an exchange that does not answer does not.
        refused = report.error.category in ("auth", "permission")
        state = State.REJECTED if refused else State.UNTESTED
        note_credential_state(account, state, report.error.message)
        return
    detail = _("Balances read: %(count)s assets.") % {"count": report.assets}
    if report.clock_offset is not None:
        offset = _("The exchange's clock is %(seconds)s s from ours.")
        detail += " " + offset % {"seconds": f"{report.clock_offset:+.1f}"}
    note_credential_state(account, State.ACCEPTED, detail)
