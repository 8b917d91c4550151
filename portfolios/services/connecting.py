"""Connecting an exchange step by step: an account that is begun, and kept from its schedule until it is finished."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from portfolios.models import ExchangeAccount, Portfolio
from portfolios.services.accounts import change_schedule
from portfolios.services.audit import Actor, Kind, record
from portfolios.services.credentials import store_credential
from portfolios.services.schedules import Schedule


class NameTaken(Exception):
    """Somebody else, or a second click, made one of the same name a moment ago."""


@contextmanager
def _named_once(words: str) -> Iterator[None]:
    """Tell in `words` that what is made inside is there already; nothing of it is made then."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError:
        raise NameTaken(words) from None


@transaction.atomic
def begin_connection(
    given: Mapping[str, Any], secrets: Mapping[str, str], *, by: Actor = None
) -> ExchangeAccount:
    """Make an account that the schedule leaves alone, and store its secrets.

    Raises
    ------
    OperationalException
        If the secrets cannot be stored; nothing is made then.
    NameTaken
        If there is an account of this name by now.
    """
    with _named_once(_("An account of this name was made a moment ago. This one was not added.")):
        account = ExchangeAccount.objects.create(**given, connecting=True, paused=True)
    record(Kind.BEGIN, by=by, account=account, detail=account.market)
    enter_credential(account, secrets, by=by)
    return account


@transaction.atomic
def enter_credential(
    account: ExchangeAccount, secrets: Mapping[str, str], *, by: Actor = None
) -> None:
    """Store secrets in the place of those that are given; blank ones stay as they are stored.

    Raises
    ------
    OperationalException
        If they cannot be stored.
    """
    # Nothing is given where the environment tells the secrets, or the stored ones are good.
    if any(value.strip() for value in secrets.values()):
        store_credential(account, secrets)
        record(Kind.CREDENTIAL, by=by, account=account)


@transaction.atomic
def add_portfolio(
    account: ExchangeAccount,
    name: str,
    trading_symbol: str,
    initial_balance: Decimal | None,
    *,
    by: Actor = None,
) -> Portfolio:
    """Add an empty portfolio; the next sync opens it.

    Raises
    ------
    NameTaken
        If there is a portfolio of this name by now.
    """
    with _named_once(_("A portfolio of this name was made a moment ago. This one was not added.")):
        portfolio = Portfolio.objects.create(
            account=account,
            name=name,
            trading_symbol=trading_symbol,
            initial_balance=initial_balance,
        )
    record(Kind.PORTFOLIO, by=by, account=account, subject=name)
    return portfolio


@transaction.atomic
def finish_connection(
    account: ExchangeAccount, schedule: Schedule, now: datetime, *, by: Actor = None
) -> None:
    """Let the schedule have the account from now on.

    Raises
    ------
    ScheduleRefused
        If the schedule's cron is none.
    """
    change_schedule(account, schedule, now, by=by)
    ExchangeAccount.objects.filter(pk=account.pk).update(connecting=False, paused=False)
    record(Kind.CONNECT, by=by, account=account, detail=account.market)


@transaction.atomic
def discard_connection(account: ExchangeAccount, *, by: Actor = None) -> bool:
    """Delete an account whose connection was not finished; whether it could be: what was read or booked stays."""
    has_books = account.orders.exists() or account.positions.exists()
    if not account.connecting or account.runs.exists() or has_books:
        return False
    record(Kind.DISCARD, by=by, subject=account.label, detail=account.market)
    account.portfolios.all().delete()
    account.delete()
    return True
