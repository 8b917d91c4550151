"""What is wrong, in one sentence with its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portfolios.amounts import plain
from portfolios.models import Discrepancy

Code = Discrepancy.Code
_OF_BALANCES: Final[Mapping[str, str | Promise]] = {
    Code.BALANCE_SHORT: gettext_lazy(
        "%(where)s holds %(exchange)s %(asset)s and the books expect %(book)s: %(size)s %(asset)s are missing at the "
        "exchange."
    ),
    Code.BALANCE_SURPLUS: gettext_lazy(
        "%(where)s holds %(exchange)s %(asset)s and the books expect %(book)s: %(size)s %(asset)s are there that no "
        "record explains."
    ),
    Code.BALANCE_LOCK_MISMATCH: gettext_lazy(
        "%(exchange)s %(asset)s are locked at %(where)s and the open orders lock %(book)s: %(difference)s %(asset)s."
    ),
    Code.BALANCE_IDENTITY_BROKEN: gettext_lazy(
        "Free and used are %(book)s %(asset)s together, and %(where)s tells a total of %(exchange)s: "
        "%(difference)s %(asset)s."
    ),
    Code.BALANCE_NEGATIVE: gettext_lazy(
        "%(where)s tells %(exchange)s %(asset)s, which is less than nothing."
    ),
    Code.ALLOC_OVERCOMMITTED: gettext_lazy(
        "The portfolios together claim %(book)s %(asset)s and account %(account)s holds %(exchange)s: %(size)s "
        "%(asset)s are claimed twice."
    ),
    Code.ORDER_EXTERNAL_AFFECTS_OWNED: gettext_lazy(
        "Orders that nobody booked lock %(exchange)s %(asset)s and only %(book)s %(asset)s are nobody's: %(size)s "
        "%(asset)s of the portfolios are locked."
    ),
}
_OF_FLOWS: Final[Mapping[str, str | Promise]] = {
    Code.FLOW_PENDING: gettext_lazy(
        "%(difference)s %(asset)s are on their way and not booked yet."
    ),
    Code.FLOW_UNCLASSIFIED: gettext_lazy(
        "A movement of %(difference)s %(asset)s is of a kind that is not known, and is not booked."
    ),
}

# Book, exchange, difference and its size.
_ALL_NUMBERS: Final = 4
_SIDES: Final[Mapping[str, str | Promise]] = {
    "book": gettext_lazy("%s in the books"),
    "exchange": gettext_lazy("%s at the exchange"),
    "difference": gettext_lazy("difference %s"),
}


def what_is_wrong(row: Discrepancy) -> str:
    """Say what is wrong, with every number that is known."""
    numbers = {
        name: plain(value)
        for name in ("book", "exchange")
        if (value := getattr(row, name)) is not None
    }
    if row.difference is not None:
        numbers["size"] = plain(row.difference.copy_abs())
        numbers["difference"] = _signed(row.difference)
    if row.code in _OF_BALANCES and len(numbers) == _ALL_NUMBERS:
        return _filled(_OF_BALANCES[Code(row.code)], row, numbers)
    if row.code in _OF_FLOWS and row.difference is not None:
        return _filled(_OF_FLOWS[Code(row.code)], row, numbers)
    return _in_general(row, numbers)


def _filled(sentence: str | Promise, row: Discrepancy, numbers: Mapping[str, str]) -> str:
    names = {
        "asset": row.asset,
        "account": str(row.account),
        "where": f"{row.account} {row.wallet}".strip(),
    }
    return str(sentence) % {**names, **numbers}


def _in_general(row: Discrepancy, numbers: Mapping[str, str]) -> str:
    """Name the kind, what it is about and the sides that are known: most codes are told by one side alone."""
    order = row.order
    if order is not None:
        name = order.external_id or order.client_order_id
        about = _("order %(order)s of %(owner)s") % {
            "order": name,
            "owner": row.portfolio or row.account,
        }
    else:
        about = row.asset or row.symbol or str(row.account)
    sides = [str(_SIDES[name]) % numbers[name] for name in _SIDES if name in numbers]
    told = [f"{row.get_code_display()}: {about}", *sides]
    return f"{', '.join(told)}."


def _signed(value: Decimal) -> str:
    return f"+{plain(value)}" if value > 0 else plain(value)
