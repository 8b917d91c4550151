"""Whether a fill that the exchange tells no more was undone."""

from __future__ import annotations

from django.utils.translation import gettext as _

from portfolios.amounts import amount, plain
from portfolios.services.decisions.discrepancies import discrepancy_of
from portfolios.services.decisions.doing import Doing
from portfolios.services.discrepancy_decisions import put_back
from portfolios.services.undone_fills import UndoingRefused, accept_undone, newest, take_back


def accept_bust(doing: Doing) -> None:
    row = discrepancy_of(doing)
    if row.order is not None:
        average = row.order.average
        doing.kept.update(
            status=row.order.status,
            raw_status=row.order.raw_status,
            average=None if average is None else plain(average),
        )
    try:
        doing.kept["fill"] = accept_undone(row, doing.decision).pk
    except UndoingRefused as e:
        raise doing.refused(str(e)) from None


def restore(doing: Doing, done: Doing) -> None:
    """Take back what took the fill back; what its order said before counts again until the exchange tells more."""
    fill = doing.account.fills.filter(pk=done.kept["fill"]).select_related("order__account").first()
    if fill is None or fill.order is None or not fill.is_undone:
        raise doing.refused(_("The fill is not taken as undone any more."))
    order, average = fill.order, done.kept["average"]
    take_back(newest(fill), order, doing.decision)
    order.status, order.raw_status = done.kept["status"], done.kept["raw_status"]
    order.average = None if average is None else amount(average)
    order.save(update_fields=["status", "raw_status", "average"])
    put_back(doing.decision)
