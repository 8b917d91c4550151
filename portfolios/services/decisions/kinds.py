"""The kinds of decisions: what each does, how it is taken back, and what it may not change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext as _

from portfolios.models import Decision
from portfolios.services.decisions import amounts, busts, discrepancies, flows, openings, orders
from portfolios.services.decisions.booking import book_back
from portfolios.services.decisions.doing import Doing
from portfolios.services.discrepancy_decisions import put_back

Kind = Decision.Kind


@dataclass(frozen=True, slots=True)
class Act:
    """One kind of decision.

    Parameters
    ----------
    undo : Callable
        Takes back what was done: given the decision that does so, and the one that is taken back.
    about : Callable
        Says what it is about, in words that need no other row.
    changes_totals : bool
        Whether it may change what the account is expected to hold.
    needs_reason : bool
        Whether nobody could tell later why, unless the person says it.
    is_bookless : bool
        Whether it leaves orders and amounts alone.
    """

    do: Callable[[Doing], None]
    undo: Callable[[Doing, Doing], None]
    about: Callable[[Doing], str]
    changes_totals: bool = False
    needs_reason: bool = False
    is_bookless: bool = False


def _book_back(doing: Doing, done: Doing) -> None:
    book_back(doing.account, doing.decision, done.decision.ledger_entries.order_by("pk"))
    put_back(doing.decision)


def _of_order(do: Callable[[Doing], None], undo: Callable[[Doing, Doing], None]) -> Act:
    return Act(do, undo, orders.about_order)


def _of_discrepancy(do: Callable[[Doing], None], undo: Callable[[Doing, Doing], None]) -> Act:
    return Act(do, undo, discrepancies.about_discrepancy, is_bookless=True)


def reversed_by(doing: Doing) -> Doing:
    """Find the decision that is to be taken back, as it was done."""
    decision = doing.find("decision", doing.account.decisions.all())
    given = {name: value for name, value in decision.given.items() if name != "kept"}
    return Doing(doing.account, given, decision, decision.given.get("kept", {}))


def _reverse(doing: Doing) -> None:
    done = reversed_by(doing)
    if done.decision.kind == Kind.REVERSE:
        raise doing.refused(_("What was taken back is decided anew, not taken back again."))
    KINDS[Kind(done.decision.kind)].undo(doing, done)


def _never(doing: Doing, _done: Doing) -> None:
    raise doing.refused(_("What was taken back is decided anew, not taken back again."))


def _about_reversed(doing: Doing) -> str:
    return reversed_by(doing).decision.subject


KINDS: Final[Mapping[Decision.Kind, Act]] = {
    Kind.CLAIM_ORDER: _of_order(orders.claim, orders.unclaim),
    Kind.RELEASE_ORDER: _of_order(orders.take_from_owner, orders.give_back_to_owner),
    Kind.MATCH_ORDER: _of_order(orders.match, orders.unmatch),
    Kind.ACCEPT_LAPSE: _of_order(orders.lapse, orders.unlapse),
    Kind.ACCEPT_BUST: Act(
        busts.accept_bust,
        busts.restore,
        discrepancies.about_discrepancy,
        changes_totals=True,
    ),
    Kind.ASSIGN_FLOW: Act(flows.assign, _book_back, flows.about_flow),
    Kind.ADJUST: Act(
        amounts.adjust,
        _book_back,
        amounts.about_adjustment,
        changes_totals=True,
        needs_reason=True,
    ),
    Kind.REBASELINE: Act(
        amounts.rebaseline,
        _book_back,
        amounts.about_baseline,
        changes_totals=True,
        needs_reason=True,
    ),
    Kind.ACCEPT_OPENING: Act(
        openings.accept_opening, openings.close_again, openings.about_opening, changes_totals=True
    ),
    Kind.DISMISS: _of_discrepancy(discrepancies.dismiss, discrepancies.undo),
    Kind.ACKNOWLEDGE: _of_discrepancy(discrepancies.acknowledge, discrepancies.undo),
    Kind.REOPEN: _of_discrepancy(discrepancies.reopen, discrepancies.close_again),
    Kind.REVERSE: Act(_reverse, _never, _about_reversed),
}


def act_of(doing: Doing, kind: Decision.Kind) -> Act:
    """Find the act whose rules hold: a reversal goes by those of what it takes back."""
    if kind != Kind.REVERSE:
        return KINDS[kind]
    return KINDS[Kind(reversed_by(doing).decision.kind)]
