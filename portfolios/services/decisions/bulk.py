"""One kind of decision on many discrepancies: shown together, and done together or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils.translation import gettext as _

from portfolios.amounts import plain
from portfolios.models import Decision, Discrepancy, ExchangeAccount, Order
from portfolios.services.decisions.deciding import decide, why_not
from portfolios.services.decisions.doing import DecisionRefused, Proposal
from portfolios.services.decisions.kinds import KINDS
from portfolios.services.lapses import proposes_lapse, released_by_lapse

Kind = Decision.Kind
State = Discrepancy.State
# More than one page of the list shows.
MOST_ROWS: Final = 100


class SelectionChanged(DecisionRefused):
    """What is to be decided on is not what was shown; nothing has changed."""


def _is_live(row: Discrepancy) -> bool:
    return row.is_live


def _is_unknown(row: Discrepancy) -> bool:
    return row.is_live and row.state != State.ACKNOWLEDGED


def _is_put_aside(row: Discrepancy) -> bool:
    return row.state in (State.ACKNOWLEDGED, State.DISMISSED)


# The kinds that may be decided on many at once, and which rows each fits.
FITS: Final[Mapping[Decision.Kind, Callable[[Discrepancy], bool]]] = {
    Kind.ACKNOWLEDGE: _is_unknown,
    Kind.DISMISS: _is_live,
    Kind.REOPEN: _is_put_aside,
    Kind.ACCEPT_LAPSE: proposes_lapse,
}


@dataclass(frozen=True, slots=True)
class Selection:
    """What was chosen, as it is now.

    Parameters
    ----------
    fitting : tuple of Discrepancy
        What the decision is made on.
    left_out : tuple of (Discrepancy, str)
        What it is not made on, and why not.
    """

    kind: Decision.Kind
    fitting: tuple[Discrepancy, ...]
    left_out: tuple[tuple[Discrepancy, str], ...]

    @property
    def token(self) -> str:
        """Name what is shown of these rows: another row, state or amount has another name."""
        text = json.dumps([self.kind, [_shown(row) for row in self.fitting]])
        return hashlib.sha256(text.encode()).hexdigest()


def _shown(row: Discrepancy) -> list[Any]:
    amounts = [
        None if amount is None else plain(amount)
        for amount in (row.book, row.exchange, row.difference, row.low, row.high)
    ]
    facts = [] if row.order is None else _shown_of(row.order)
    return [row.pk, row.code, row.state, row.episode, *amounts, *facts]


def _shown_of(order: Order) -> list[str]:
    asset, released = released_by_lapse(order)
    return [order.status, plain(order.remaining), asset, plain(released)]


def selection_of(kind: Decision.Kind, pks: Sequence[int]) -> Selection:
    """Read the rows of `pks`, and tell which of them can be decided on.

    Raises
    ------
    DecisionRefused
        If they are more than `MOST_ROWS`.
    """
    if len(chosen := set(pks)) > MOST_ROWS:
        raise DecisionRefused(
            _(
                "%(count)s discrepancies are chosen, and %(most)s is the most that is decided on at once. Nothing was "
                "changed; choose fewer."
            )
            % {"count": len(chosen), "most": MOST_ROWS}
        )
    rows = Discrepancy.objects.filter(pk__in=chosen).order_by("account__label", "pk")
    fitting, left_out, seen = [], [], set()
    for row in rows.select_related("account", "portfolio", "order"):
        why = _why_not(kind, row)
        about = (row.account_id, *named(kind, row).values())
        if not why and about in seen:
            why = _("It is decided with another one of the same order.")
        if why:
            left_out.append((row, why))
        else:
            fitting.append(row)
            seen.add(about)
    return Selection(kind, tuple(fitting), tuple(left_out))


def _why_not(kind: Decision.Kind, row: Discrepancy) -> str:
    if why := why_not(row.account, is_bookless=KINDS[kind].is_bookless):
        return why
    if FITS[kind](row):
        return ""
    if kind == Kind.ACCEPT_LAPSE:
        return _("It does not prove that an order has lapsed.")
    return _("Its state does not allow it.")


def named(kind: Decision.Kind, row: Discrepancy) -> dict[str, int | None]:
    """Name what a decision of this kind on `row` is about, as its proposal wants it."""
    if kind == Kind.ACCEPT_LAPSE:
        return {"order": row.order_id}
    return {"discrepancy": row.pk}


@transaction.atomic
def decide_many(
    shown: Selection,
    *,
    given: Mapping[str, Any],
    actor: AbstractBaseUser | None,
    reason: str,
    token: str,
) -> list[Decision]:
    """Decide on every row that fits, each with a decision of its own; on none if one is refused.

    Parameters
    ----------
    given : Mapping of str to Any
        What all of them are decided with, such as a time.
    token : str
        Names the selection that the person has seen.

    Raises
    ------
    SelectionChanged
        If what was chosen is not what was shown any more.
    DecisionRefused
        If the reason is missing, or if one of them is refused.
    """
    if not reason.strip():
        raise DecisionRefused(
            _("A reason is missing: nobody could tell later why. Nothing was changed.")
        )
    _lock({row.account_id for row in shown.fitting})
    chosen = selection_of(shown.kind, [row.pk for row in shown.fitting])
    if not chosen.fitting or token != chosen.token:
        raise SelectionChanged(
            _("What was chosen is no longer what was shown. Nothing was changed; look at it again.")
        )
    return [
        decide(
            Proposal(row.account, shown.kind, named(shown.kind, row) | dict(given)),
            actor=actor,
            reason=reason,
        )
        for row in chosen.fitting
    ]


def _lock(accounts: Iterable[int]) -> None:
    """Hold the accounts in one order, so that two who decide at once do not wait for each other."""
    list(ExchangeAccount.objects.select_for_update().filter(pk__in=accounts).order_by("pk"))
