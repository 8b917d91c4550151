"""Orders of which a look tells nothing that the books do not know: most of them, and nobody has to load those."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db.models import QuerySet

from portfolios.models import Discrepancy, ExchangeAccount, Order
from portfolios.reconciliation.orders import conflicts, merged_order
from portfolios.services.order_reads import OrderReads
from portfolios.services.order_states import STATE_FIELDS, state_of
from providers.reports import OrderReport

# More than tells the state: what somebody has to look at before the order is settled, and what its reports may deny.
_SETTLED: Final = ("missing_since", "fills_wanted", "frozen_because")
_COLUMNS: Final = (*STATE_FIELDS, *_SETTLED, "pk", "symbol", "side")
Row = Mapping[str, Any]


class UnmovedOrders:
    """Tells by its row alone whether a look changes nothing of an order: neither of it nor, through it, of another.

    Whatever is in doubt is moved: it is loaded then, and looked at whole.
    """

    def __init__(self, account: ExchangeAccount, reads: OrderReads) -> None:
        self._reads = reads
        # What is no longer found of these is to be resolved.
        live = account.discrepancies.filter(state__in=Discrepancy.LIVE, order__isnull=False)
        self._found = set(live.order_by().values_list("order_id", flat=True))
        self._with_fills = reads.ids_of_fills
        self._acknowledged = {
            (report.symbol, report.external_id)
            for reports in reads.acknowledged.values()
            for report in reports
        }

    def moved(self, orders: QuerySet[Order]) -> tuple[list[int], int]:
        """List the keys of those of `orders` that are to be loaded, and count the others that a report tells of."""
        moved, told = [], 0
        for row in orders.order_by().values(*_COLUMNS).iterator():
            if self._is_unmoved(row):
                told += row["external_id"] in self._reads.reports
            else:
                moved.append(row["pk"])
        return moved, told

    def _is_unmoved(self, row: Row) -> bool:
        order_id = row["external_id"]
        if not order_id or order_id in self._with_fills or row["pk"] in self._found:
            return False
        if any(row[name] for name in _SETTLED):
            return False
        reports = self._reads.reports.get(order_id, ())
        if len(reports) > 1:
            return False
        report = reports[0] if reports else None
        return not self._is_named(row, report) and (report is None or _says_the_same(row, report))

    def _is_named(self, row: Row, report: OrderReport | None) -> bool:
        """Whether the report of another order has one of the ids of this one: then the two are compared."""
        if (row["symbol"], row["external_id"]) in self._acknowledged:
            return True
        named = self._reads.by_client_id.get(row["client_order_id"], ())
        return any(other is not report for other in named)


def _says_the_same(row: Row, report: OrderReport) -> bool:
    is_of_it = report.symbol == row["symbol"] and report.side in (None, row["side"])
    if not is_of_it or report.client_order_id not in ("", row["client_order_id"]):
        return False
    known = state_of(row)
    is_known = report.status is not None and merged_order(known, report) == known
    return is_known and not conflicts(known, report)
