"""The market credential service: an account's secrets, sealed when stored, opened only for a sync."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from portfolios.models import ExchangeAccount, MarketCredential
from portfolios.vault import (
    Binding,
    KeyFileError,
    KeyRing,
    create_key_file,
    open_sealed,
    seal,
    secret_fingerprint,
)
from providers import catalogue
from providers.budgets import place_name
from providers.credentials import CREDENTIAL_NAMES, Credentials, Secret
from providers.errors import CredentialMissing, CredentialUnreadable

State = MarketCredential.State
# The first two are the reference system's names; a market that requires more is asked for in the same way.
ENVIRONMENT_NAMES = {
    "apiKey": "API_KEY",
    "secret": "SECRET_KEY",
    "password": "PASSWORD",
    "uid": "UID",
    "accountId": "ACCOUNT_ID",
    "login": "LOGIN",
    "twofa": "TWOFA",
    "token": "TOKEN",
    "walletAddress": "WALLET_ADDRESS",
    "privateKey": "PRIVATE_KEY",
}


def key_ring() -> KeyRing:
    """Return the keys that seal credentials: from the environment, else from the key file, made when it is missing.

    Raises
    ------
    CredentialUnreadable
        If the key file is lost while credentials are stored, or cannot be used. A new key is not made then: the
        stored credentials open again when the old file is put back.
    """
    if settings.POSSYNC_CREDENTIAL_KEYS:
        return KeyRing.from_text(settings.POSSYNC_CREDENTIAL_KEYS, "POSSYNC_CREDENTIAL_KEYS")
    path: Path = settings.POSSYNC_CREDENTIAL_KEY_FILE
    if path.exists():
        return KeyRing.from_file(path)
    if MarketCredential.objects.exclude(sealed={}).exists():
        raise CredentialUnreadable(
            _(
                "The key file %(name)s is missing from its folder, and credentials are stored that only it can "
                "open. Put the file back, or delete these credentials and enter them again."
            )
            % {"name": path.name}
        )
    return _new_key_file(path)


def _new_key_file(path: Path) -> KeyRing:
    try:
        return create_key_file(path)
    except KeyFileError:
        # Another process was faster; then its key counts.
        return KeyRing.from_file(path)
    except OSError as e:
        raise CredentialUnreadable(
            _("The key file %(name)s cannot be made: %(reason)s.")
            % {"name": path.name, "reason": e.strerror}
        ) from None


def store_credential(
    account: ExchangeAccount, values: Mapping[str, str], *, keep_others: bool = True
) -> MarketCredential:
    """Seal and store the given secrets.

    Parameters
    ----------
    keep_others : bool
        Whether secrets that are not given, or blank, stay as they are stored; they are forgotten otherwise.

    Raises
    ------
    CredentialMissing
        If a secret that the market requires is neither given nor kept.
    CredentialUnreadable
        If there is no key to seal with.
    ValueError
        If a name is not one of `CREDENTIAL_NAMES`.
    """
    given = Credentials(values)
    ring = key_ring()
    with transaction.atomic():
        # First the account, then its credential, as a sync locks them: or each would wait for the other.
        ExchangeAccount.objects.select_for_update().get(pk=account.pk)
        rows = MarketCredential.objects.select_for_update()
        credential, _is_new = rows.get_or_create(account=account)
        sealed = dict(_sealed_texts(credential)) if keep_others else {}
        for name, secret in given.items():
            sealed[name] = seal(ring, secret, _binding(credential, name))
        _require_all(account, set(sealed))
        if given:
            credential.sealed = sealed
            credential.fingerprint = _fingerprint(ring, given, credential)
            credential.state, credential.state_detail = State.UNTESTED, ""
            credential.findings, credential.test_asked_at = {}, None
            credential.set_at, credential.tested_at = timezone.now(), None
            credential.save()
            ExchangeAccount.objects.filter(pk=account.pk).update(rejections=0, rejected_at=None)
    return credential


def holds_exactly(account: ExchangeAccount, values: Mapping[str, str]) -> bool:
    """Whether the account stores these secrets and no other ones, all of which can be opened."""
    given = Credentials(values)
    if not given or set(stored_names(account)) != set(given):
        return False
    try:
        stored = opened_credentials(account)
    except CredentialUnreadable:
        return False
    return all(stored[name] == secret for name, secret in given.items())


def stored_names(account: ExchangeAccount) -> list[str]:
    """Names of the secrets that the account stores, in the order in which they are asked for."""
    credential = MarketCredential.objects.filter(account=account).first()
    return [] if credential is None else names_in(credential)


def names_in(credential: MarketCredential) -> list[str]:
    return [name for name in CREDENTIAL_NAMES if name in credential.sealed]


def opened_credentials(account: ExchangeAccount) -> Credentials:
    """Open the account's secrets; from the environment where it stores none.

    Raises
    ------
    CredentialUnreadable
        If a stored secret cannot be opened. Nothing is sent to the exchange then.
    """
    return opened(account, MarketCredential.objects.filter(account=account).first())


def opened(account: ExchangeAccount, credential: MarketCredential | None) -> Credentials:
    """As `opened_credentials`, of a credential that the caller has just looked up."""
    if credential is None or not credential.sealed:
        return environment_credentials(account.market)
    credential.account = account
    ring = key_ring()
    return Credentials(
        {
            name: open_sealed(ring, text, _binding(credential, name))
            for name, text in _sealed_texts(credential)
        }
    )


def key_name(account: ExchangeAccount) -> str:
    """Name the account's key without telling it: the same for all accounts of a site that use it.

    Empty if it is not known to have one.
    """
    place = place_name(account.market, account.endpoint, sandbox=account.sandbox)
    credential = getattr(account, "credential", None)
    if credential is not None and credential.fingerprint:
        return f"{place} key {credential.fingerprint[:16]}"
    return f"{place} key of the environment" if environment_credentials(account.market) else ""


@dataclass(frozen=True, slots=True)
class Key:
    """What accounts that use the same key have in common.

    Attributes
    ----------
    account : int or None
        Id of an account that is not known to have a key, and so shares it with nobody.
    """

    market: str
    endpoint: str
    sandbox: bool
    fingerprint: str = ""
    account: int | None = None


def key_of(account: ExchangeAccount) -> Key:
    site = (account.market, account.endpoint, account.sandbox)
    credential = getattr(account, "credential", None)
    if credential is not None and credential.fingerprint:
        return Key(*site, credential.fingerprint)
    return Key(*site, account=None if environment_credentials(account.market) else account.pk)


def accounts_of_the_keys(keys: Iterable[Key]) -> QuerySet[ExchangeAccount]:
    """Find all accounts that use one of `keys`, and maybe some more."""
    known = set(keys)
    found = Q(credential__fingerprint__in={x.fingerprint for x in known} - {""})
    if accounts := {x.account for x in known} - {None}:
        found |= Q(pk__in=accounts)
    if of_the_environment := {x.market for x in known if not x.fingerprint and x.account is None}:
        has_none = Q(credential=None) | Q(credential__fingerprint="")
        found |= Q(has_none, market__in=of_the_environment)
    return ExchangeAccount.objects.filter(found)


def _sealed_texts(credential: MarketCredential) -> list[tuple[str, str]]:
    """List names and sealed values, as far as they can be such at all: the column may have been edited."""
    sealed: Any = credential.sealed
    if not isinstance(sealed, dict) or not all(
        name in CREDENTIAL_NAMES and isinstance(text, str) for name, text in sealed.items()
    ):
        raise CredentialUnreadable(
            _("The stored credential was changed and cannot be opened. Enter the credential again.")
        )
    return list(sealed.items())


def environment_credentials(market: str) -> Credentials:
    """`{MARKET}_API_KEY`, `{MARKET}_SECRET_KEY` and their like, as far as they are set."""
    prefix = market.upper()
    return Credentials(
        {
            name: os.environ.get(f"{prefix}_{suffix}", "")
            for name, suffix in ENVIRONMENT_NAMES.items()
        }
    )


def note_credential_state(
    account: ExchangeAccount,
    state: State,
    detail: str = "",
    findings: Mapping[str, Any] | None = None,
    *,
    read_at: datetime,
) -> None:
    """Note what became of the credential: with `findings` by a test, which is over then, without by a sync.

    Parameters
    ----------
    read_at : datetime
        Of the key that was used: nothing is said of one that was stored since.
    """
    learned = {} if findings is None else {"findings": dict(findings), "test_asked_at": None}
    rows = MarketCredential.objects.filter(account=account).exclude(set_at__gt=read_at)
    rows.update(state=state, state_detail=detail[:500], tested_at=timezone.now(), **learned)


def has_newer_key(account: ExchangeAccount, read_at: datetime) -> bool:
    """Whether a key was stored after the account's was read at that time."""
    return MarketCredential.objects.filter(account=account, set_at__gt=read_at).exists()


def note_accepted(accounts: Iterable[ExchangeAccount], *, read_at: datetime) -> None:
    """Note that the exchanges took the credentials of `accounts` in a sync; `read_at` as in `note_credential_state`."""
    rows = MarketCredential.objects.filter(account__in=accounts).exclude(set_at__gt=read_at)
    rows.update(state=State.ACCEPTED, state_detail="", tested_at=timezone.now())


def missing_names(market: str, present: set[str]) -> list[str]:
    """List required secrets of `market` that are not among `present`; a user's own market requires none."""
    if not catalogue.is_market(market):
        return []
    required = catalogue.market(market).required_credentials
    return [name for name in required if name not in present]


def _require_all(account: ExchangeAccount, present: set[str]) -> None:
    missing = missing_names(account.market, present)
    if missing:
        raise CredentialMissing(
            _("%(account)s: %(market)s requires %(names)s. Nothing was stored.")
            % {"account": account, "market": account.market, "names": ", ".join(missing)}
        )


def _binding(credential: MarketCredential, name: str) -> Binding:
    account = credential.account
    return Binding(
        row=f"{account.uuid}/{credential.uuid}",
        name=name,
        market=account.market,
        endpoint=account.endpoint,
    )


def _fingerprint(ring: KeyRing, given: Credentials, credential: MarketCredential) -> str:
    # Of the public half, which is what a person compares with the exchange's list of keys.
    for name in ("apiKey", "walletAddress", "uid", "login", *CREDENTIAL_NAMES):
        if name in given:
            return secret_fingerprint(ring, Secret(given[name].reveal()))
    return credential.fingerprint
