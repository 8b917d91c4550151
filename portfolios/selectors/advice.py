"""What an error's class means, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Category:
    """A class of errors, in words for whoever has to mend it."""

    word: str | Promise
    advice: str | Promise


CATEGORIES = {
    "transport": Category(
        _("No answer"),
        _(
            "The exchange did not answer in time or broke the connection. PosSync tries again by "
            "itself. If it stays, look at the exchange's status page and at this machine's "
            "network."
        ),
    ),
    "maintenance": Category(
        _("Maintenance"),
        _("The exchange says that it is being worked on. PosSync tries again by itself."),
    ),
    "nonce": Category(
        _("Nonce"),
        _(
            "Another program uses the same API key at the same time. Make a key of its own for "
            "PosSync; reading needs no other right."
        ),
    ),
    "clock": Category(
        _("Clock"),
        _(
            "The clock of this machine and that of the exchange are apart. Switch on time "
            "synchronisation (NTP) on this machine."
        ),
    ),
    "parse": Category(
        _("Unexpected answer"),
        _(
            "The exchange answered something that it does not document, and nothing was changed "
            "because of it. If it stays, report it with the trace below: the exchange may have "
            "changed its interface."
        ),
    ),
    "rate": Category(
        _("Rate limit"),
        _(
            "The exchange asks for fewer requests. PosSync waits as long as it was told. If it "
            "stays, lengthen the account's interval, or find out what else uses this key or "
            "address."
        ),
    ),
    "auth": Category(
        _("Credentials"),
        _(
            "The exchange does not accept the credentials, or they are missing or cannot be "
            "opened. Enter them again on the account. A new key may need some minutes "
            "until the exchange knows it."
        ),
    ),
    "permission": Category(
        _("Permission"),
        _(
            "The key lacks a right, or this machine's address is not on the key's list, or the "
            "account is locked. Allow reading for the key at the exchange, and check its list of "
            "addresses."
        ),
    ),
    "unsupported": Category(
        _("Not supported"),
        _(
            "The exchange cannot be asked this, or the market is unknown. Check the account's "
            "market and wallets in the administration."
        ),
    ),
    "opening": Category(
        _("Opening"),
        _(
            "The books cannot be opened on what the exchange holds. Compare the portfolio's "
            "initial balance with the account's balance, then correct one of the two."
        ),
    ),
    "not_found": Category(
        _("Not found"),
        _(
            "The exchange says that it has no such order. The order stays as it is in the books: "
            "check its exchange id, and whether it was placed with this account."
        ),
    ),
    "bug": Category(
        _("Fault of PosSync"),
        _(
            "This is a fault of PosSync, not of the exchange, and nothing was changed because of "
            "it. Report it with the trace below; secrets have been removed from it."
        ),
    ),
}


# More exactly than by its category, by the name of our own class of it.
SITUATIONS: Final[Mapping[str, Category]] = {
    "RegionBlocked": Category(
        _("Region blocked"),
        _(
            "The exchange does not serve the country of this machine's address. Asking again does not help: run "
            "PosSync where the exchange serves, or pause the account."
        ),
    ),
    "AccountSuspended": Category(
        _("Account locked by the exchange"),
        _(
            "The exchange has locked the account. Log in at the exchange to see why; pause the account here until "
            "it is open again."
        ),
    ),
    "PermissionMissing": Category(
        _("Right missing"),
        _(
            "The key lacks the right to read this, or this machine's address is not on the key's list. Allow reading "
            "for the key at the exchange; it needs no right to trade or withdraw."
        ),
    ),
    "EndpointRefused": Category(
        _("Endpoint not allowed"),
        _(
            "The account's endpoint is not on the list of allowed hosts. Add the host to POSSYNC_ENDPOINT_ALLOWLIST, "
            "or empty the endpoint."
        ),
    ),
    "CredentialMissing": Category(
        _("Key not set"),
        _("A secret that this exchange requires is not stored. Enter it in the administration."),
    ),
    "CredentialUnreadable": Category(
        _("Key cannot be opened"),
        _(
            "The stored secret cannot be opened with the keys of this installation. Restore the key file, or enter "
            "the secret again."
        ),
    ),
    "CredentialsRejected": Category(
        _("Key rejected"),
        _(
            "The exchange does not accept the key or its signature. Check that the key has not expired or been "
            "deleted at the exchange, then enter it again. A new key may need some minutes until the exchange knows it."
        ),
    ),
    "TemporarilyBanned": Category(
        _("Banned for a while"),
        _(
            "The exchange refuses this address or key for a while, because it was asked too often. PosSync stays "
            "away as long as it was told; find out what else uses this key or address."
        ),
    ),
    "ExchangeTimeout": Category(
        _("No answer in time"),
        _(
            "The exchange did not answer within the deadline. PosSync tries again by itself. If it stays, look at "
            "the exchange's status page and at this machine's network."
        ),
    ),
}
# How a redacted trace ends: our class of the error, and its message.
_CLASS_IN_TRACE: Final = re.compile(r"^providers\.errors\.(\w+)(?::|$)", re.M)


def category_word(category: str) -> str | Promise:
    known = CATEGORIES.get(category)
    return known.word if known else category


def situation(category: str, trace: str) -> Category:
    """Tell what an exception means, by our own class of it if `trace` names one that says more than its category."""
    named = _CLASS_IN_TRACE.findall(trace)
    known = SITUATIONS.get(named[-1]) if named else None
    return known or CATEGORIES.get(category, CATEGORIES["bug"])
