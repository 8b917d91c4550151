from __future__ import annotations

import os
import re
from typing import Any, Final

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from portfolios.models import ExchangeAccount
from portfolios.services.accounts import keep_to_schedule
from portfolios.services.book.changes import Import, update_row
from portfolios.services.book.document import BookError, Node, is_writing, shown
from portfolios.services.credentials import holds_exactly, store_credential
from portfolios.services.providers import is_served
from portfolios.services.schedules import (
    MOST_CRON_CHARACTERS,
    ScheduleRefused,
    checked_cron,
    checked_zone,
    schedule_of,
)
from providers import catalogue
from providers.credentials import CREDENTIAL_NAMES
from providers.endpoints import allowed_endpoint
from providers.errors import OperationalException
from providers.reports import SPOT

IMMUTABLE: Final = ("market", "endpoint", "sandbox", "wallets")

Policy = ExchangeAccount.Policy
# Without commas: the admin shows them separated by these.
_SYMBOL = re.compile(r"[^\s,/:]{1,20}/[^\s,/:]{1,20}(:[^\s,/]{1,40})?")
_ENVIRONMENT: Final = "env:"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}", re.A)
_LONGEST_SECRET: Final = 10_000


def import_account(node: Node, under_way: Import) -> None:
    label = node.text("label", limit=100)
    under_way.refuse_twice(node, "label", "account", label)
    given = _given(node)
    node.value("credential", None)
    node.refuse_unknown()
    account = under_way.accounts.get(label)
    if account is None:
        account = ExchangeAccount.objects.create(label=label, **given)
        under_way.accounts[label] = account
        _import_credential(node, account)
        under_way.count_created()
        return
    schedule = schedule_of(account)
    is_changed = update_row(node, account, given, IMMUTABLE)
    if schedule_of(account) != schedule:
        keep_to_schedule(account, timezone.now())
        account.save(update_fields=["next_sync_at"])
    is_changed |= _import_credential(node, account)
    under_way.count_existing(is_changed=is_changed)


def _given(node: Node) -> dict[str, Any]:
    market = node.text("market", limit=50).lower()
    if not is_served(market):
        raise node.fail(
            "market", _("no market of this name is known, was %(value)s"), value=shown(market)
        )
    time_zone = _time_zone(node)
    return {
        "market": market,
        "endpoint": _endpoint(node),
        "sandbox": _sandbox(node, market),
        "wallets": _wallets(node),
        "interval_seconds": node.whole("interval_seconds", 300, at_least=10),
        "cron": _cron(node, time_zone),
        "time_zone": time_zone,
        "paused": node.flag("paused"),
        "lag_seconds": node.whole("lag_seconds", None, at_least=0),
        "grace_seconds": node.whole("grace_seconds", None, at_least=0),
        "symbols": _symbols(node),
        "policy": node.one_of("policy", Policy.values, Policy.STANDARD),
        "lapses_by_itself": node.flag("lapses_by_itself"),
    }


def _endpoint(node: Node) -> str:
    url = node.text("endpoint", "", limit=200)
    if not url:
        return ""
    try:
        return allowed_endpoint(url, settings.POSSYNC_ENDPOINT_ALLOWLIST)
    except OperationalException as e:
        raise node.fail("endpoint", str(e)) from None


def _sandbox(node: Node, market: str) -> bool:
    sandbox = node.flag("sandbox")
    if sandbox and catalogue.is_market(market) and not catalogue.market(market).has_sandbox:
        raise node.fail("sandbox", _("%(market)s has no test network"), market=market)
    return sandbox


def _wallets(node: Node) -> list[str]:
    wallets = node.value("wallets", [SPOT])
    if wallets != [SPOT]:
        raise node.fail(
            "wallets",
            _('only ["spot"] can be read so far, was %(value)s'),
            value=shown(str(wallets) if isinstance(wallets, list) else wallets),
        )
    return [SPOT]


def _symbols(node: Node) -> list[str]:
    symbols = node.value("symbols", [])
    if not isinstance(symbols, list):
        raise node.fail("symbols", _("expected a list, was %(value)s"), value=shown(symbols))
    for index, symbol in enumerate(symbols):
        if not isinstance(symbol, str) or not _SYMBOL.fullmatch(symbol):
            raise node.fail(
                f"symbols[{index}]",
                _("expected a symbol such as BTC/USDT, was %(value)s"),
                value=shown(symbol),
            )
    return list(dict.fromkeys(symbols))


def _cron(node: Node, time_zone: str) -> str:
    text: str = node.text("cron", "", limit=MOST_CRON_CHARACTERS)
    try:
        return text and checked_cron(text, time_zone, timezone.now())
    except ScheduleRefused as e:
        raise node.fail("cron", str(e)) from None


def _time_zone(node: Node) -> str:
    try:
        return checked_zone(node.text("time_zone", "UTC", limit=64))
    except ScheduleRefused as e:
        raise node.fail("time_zone", str(e)) from None


def _import_credential(node: Node, account: ExchangeAccount) -> bool:
    values = node.value("credential", None)
    if values is None:
        return False
    if not isinstance(values, dict):
        raise node.fail(
            "credential", _("expected an object")
        )  # and no word of what may be a secret
    credential = Node(f"{node.path}.credential", values)
    given = {name: _secret(credential, name) for name in CREDENTIAL_NAMES if credential.names(name)}
    credential.read.update(CREDENTIAL_NAMES)
    credential.refuse_unknown()
    if holds_exactly(account, given):
        return False
    try:
        store_credential(account, given, keep_others=False)
    except OperationalException as e:
        raise BookError(credential.path, str(e)) from None
    return bool(given)


def _secret(node: Node, name: str) -> str:
    """Read a secret, or what the environment variable that it names holds; no message quotes either."""
    value = node.value(name)
    if not isinstance(value, str):
        raise node.fail(name, _("expected text"))
    if value.startswith(_ENVIRONMENT):
        value = _environment(node, name, value.removeprefix(_ENVIRONMENT))
    # Only keys in a PEM file have line breaks.
    if len(value) > _LONGEST_SECRET or not is_writing(value.replace("\n", "").replace("\r", "")):
        raise node.fail(
            name,
            _("expected printable text of at most %(limit)d characters"),
            limit=_LONGEST_SECRET,
        )
    return value


def _environment(node: Node, name: str, variable: str) -> str:
    if not _VARIABLE.fullmatch(variable):
        raise node.fail(name, _("expected env: and the name of an environment variable"))
    value = os.environ.get(variable, "")
    if not value.strip():
        raise node.fail(
            name, _("the environment variable %(variable)s is not set"), variable=variable
        )
    return value
