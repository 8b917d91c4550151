"""What an error's class means, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

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
            "opened. Enter them again in the administration. A new key may need some minutes "
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


def category_word(category: str) -> str | Promise:
    known = CATEGORIES.get(category)
    return known.word if known else category


def advice(category: str) -> str | Promise:
    return CATEGORIES.get(category, CATEGORIES["bug"]).advice
