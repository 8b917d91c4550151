"""Taking an order that was claimed from its portfolio again."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.translation import gettext as _

from portfolios.amounts import sums_by
from portfolios.models import Discrepancy, LedgerEntry, Order, Portfolio
from portfolios.services.decisions.doing import Doing
from portfolios.services.journal import append_entries, posted
from portfolios.services.ledger import CLAIM, book_order


def release(order: Order, doing: Doing) -> None:
    """Give `order` with all that was booked for it back to the unassigned part; the account's totals stay.

    What the portfolio has booked, and what was taken out of the unassigned part for it, is booked back within their
    own series, so that the order can be claimed again. What was filled since the claim the unassigned part books now.
    """
    owner = order.portfolio
    if owner is None or order.book_values:
        raise doing.refused(
            _("Order %(order)s was not claimed: it has no owner, or its book has sent it.")
            % {"order": order.external_id or order.client_order_id}
        )
    entries = _back(order, owner, doing)
    order.portfolio, order.external = None, True
    order.save()
    append_entries(entries)
    with posted(order.account) as journal:
        book_order(order, None, journal)
    order.discrepancy_set.filter(state__in=Discrepancy.LIVE).update(portfolio=None)


def _back(order: Order, owner: Portfolio, doing: Doing) -> list[LedgerEntry]:
    series = f"order:{order.pk}:{owner.pk}:"
    back = []
    for prefix in (series, f"{CLAIM}{series}"):
        booked = list(order.ledger_entries.filter(key__startswith=prefix).order_by("pk"))
        back += _opposites(order, booked, f"{prefix}decision-{doing.decision.pk}", doing)
    return back


def _opposites(
    order: Order, booked: Iterable[LedgerEntry], prefix: str, doing: Doing
) -> list[LedgerEntry]:
    rows = [((row.portfolio_id, row.cause, row.asset), row) for row in booked]
    owners = {row.portfolio_id: row.portfolio for _key, row in rows}
    amounts = sums_by((key, row.amount) for key, row in rows)
    costs = sums_by((key, row.cost) for key, row in rows)
    gains = sums_by((key, row.gain) for key, row in rows)
    return [
        LedgerEntry(
            account=doing.account,
            portfolio=owners[owner],
            asset=asset,
            amount=amounts[key].copy_negate(),
            cost=costs[key].copy_negate(),
            gain=gains[key].copy_negate(),
            cause=cause,
            order=order,
            decision=doing.decision,
            key=f"{prefix}:{cause}:{owner or 0}:{asset}",
        )
        for key in amounts
        if amounts[key] or costs[key] or gains[key]
        for owner, cause, asset in (key,)
    ]
