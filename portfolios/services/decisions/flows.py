"""Whose a deposit, withdrawal or other movement is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from portfolios.amounts import plain, sums_by
from portfolios.models import Flow, LedgerEntry
from portfolios.services.claims import possible_owners
from portfolios.services.decisions.booking import Cause, Line, book
from portfolios.services.decisions.doing import Doing

ZERO = Decimal(0)


def left_of_flow(flow: Flow) -> dict[str, Decimal]:
    """Tell by asset what is booked of the flow in the unassigned part, and was given to nobody."""
    return left_of_entries(flow.ledger_entries.all())  # as they may have been prefetched


def left_of_entries(rows: Iterable[LedgerEntry]) -> dict[str, Decimal]:
    return sums_by((row.asset, row.amount) for row in rows if row.portfolio_id is None)


def flow_of(doing: Doing) -> Flow:
    return doing.find("flow", doing.account.flows.all())


def about_flow(doing: Doing) -> str:
    flow = flow_of(doing)
    return f"{flow.kind} {flow.external_id} of {plain(flow.amount)} {flow.asset}"


def assign(doing: Doing) -> None:
    """Move exact amounts of what a flow brought, or took, from the unassigned part to portfolios.

    `shares` lists ``{"portfolio": …, "asset": …, "amount": …}``, each with the sign of what is left of that asset.
    """
    flow = flow_of(doing)
    shares = _shares(doing, flow)
    left = left_of_flow(flow)
    for asset, given in sums_by((line.asset, line.amount) for line in shares).items():
        rest = left.get(asset, ZERO)
        if abs(given) > abs(rest):
            raise doing.refused(
                _("%(given)s %(asset)s are given away, but only %(rest)s are left.")
                % {"given": plain(given), "asset": asset, "rest": plain(rest)}
            )
    taken = [Line(None, line.asset, line.amount.copy_negate(), line.cause, flow) for line in shares]
    book(doing.account, doing.decision, [*shares, *taken])


def _shares(doing: Doing, flow: Flow) -> list[Line]:
    left = left_of_flow(flow)
    rows = doing.given.get("shares")
    shares = [_share(doing, flow, row) for row in rows] if isinstance(rows, list) else []
    if not shares:
        raise doing.refused(_("No portfolio was given anything."))
    for line in shares:
        if line.amount * left.get(line.asset, ZERO) <= 0:
            raise doing.refused(
                _("A share must have the sign of what is left of it, which is %(left)s %(asset)s.")
                % {"left": plain(left.get(line.asset, ZERO)), "asset": line.asset}
            )
    return shares


def _share(doing: Doing, flow: Flow, row: Mapping[str, Any]) -> Line:
    named = Doing(doing.account, row, doing.decision)
    owner = named.find("portfolio", possible_owners(doing.account))
    amount = doing.amount(row.get("amount"))
    return Line(owner, str(row.get("asset")), amount, Cause.ASSIGNMENT, flow)
