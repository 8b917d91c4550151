"""What a decision is made of: the account that it holds, what was given, and how it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _

from portfolios.amounts import amount
from portfolios.models import Decision, ExchangeAccount

Row = TypeVar("Row", bound=Model)


class DecisionRefused(Exception):
    """Nothing has changed; the message says what happened, to what, and what to do."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is to be decided on one account.

    Parameters
    ----------
    given : Mapping of str to Any
        Plain values: rows by their primary keys, amounts as text. The same ones mean the same again.
    """

    account: ExchangeAccount
    kind: Decision.Kind
    given: Mapping[str, Any]


@dataclass(slots=True)
class Doing:
    """A decision while it is done.

    Parameters
    ----------
    account : ExchangeAccount
        Locked until the transaction ends.
    decision : Decision
        Named by all that is written for it.
    kept : dict of str to Any
        What is gone afterwards and is needed to take the decision back.
    """

    account: ExchangeAccount
    given: Mapping[str, Any]
    decision: Decision
    kept: dict[str, Any] = field(default_factory=dict)

    def find(self, name: str, rows: QuerySet[Row]) -> Row:
        """Find which of the account's `rows` is given by `name`."""
        pk = self.given.get(name)
        row = rows.filter(pk=pk).first() if type(pk) is int else None
        if row is None:
            raise self.refused(
                _("What was chosen (%(what)s) is not there any more.") % {"what": name}
            )
        return row

    def amount(self, value: object) -> Decimal:
        if not isinstance(value, str):
            raise self.refused(_("An amount is missing."))
        try:
            return amount(value)
        except ValueError as e:
            raise self.refused(str(e)) from None

    def refused(self, why: str) -> DecisionRefused:
        return DecisionRefused(
            _("%(why)s Nothing was changed; look at account %(account)s again.")
            % {"why": why, "account": self.account}
        )
