"""Orders of which the exchange and the books contradict each other: nothing is applied to them meanwhile.

All orders of a look are compared before anything is applied to one of them, so that their order decides nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from portfolios.models import Discrepancy, ExchangeAccount, Order
from portfolios.models.choices import Severity
from portfolios.models.order import OPEN_STATUSES
from portfolios.services.discrepancies import Findings
from portfolios.services.order_findings import order_finding, order_key
from portfolios.services.order_reads import OrderReads
from providers.reports import OrderReport, OrderStatus

Code = Discrepancy.Code


def has_frozen_orders(account: ExchangeAccount) -> bool:
    """Whether an open order contradicts the exchange: what it moves is not booked to its owner meanwhile."""
    waiting = account.orders.filter(status__in=OPEN_STATUSES)
    return waiting.exclude(frozen_because="").exists()


class Contradictions:
    """What the reports of one look contradict of `orders`, which are as the books knew them before."""

    def __init__(self, orders: Collection[Order], reads: OrderReads) -> None:
        self._told = {order.pk: reads.of(order) for order in orders}
        self._named = reads.by_client_id
        self._by_id: defaultdict[tuple[str, str], list[Order]] = defaultdict(list)
        self._waiting: defaultdict[str, list[Order]] = defaultdict(list)
        for order in orders:
            if order.external_id:
                self._by_id[order.symbol, order.external_id].append(order)
            if order.client_order_id and self._waits(order):
                self._waiting[order.client_order_id].append(order)
        self._of: defaultdict[int, dict[Discrepancy.Code, str]] = defaultdict(dict)
        # What the report of another order contradicts of theirs.
        self._of_others: dict[int, str] = {}
        for order in orders:
            for report in self._told[order.pk]:
                self._compare(order, report)

    def freeze(self, order: Order, findings: Findings) -> bool:
        """Freeze `order` if its ids or terms are those of another one; whether it is frozen.

        It thaws when the exchange no longer contradicts the books: nothing was applied meanwhile.
        """
        why, of_other = self._of.get(order.pk, {}), self._of_others.get(order.pk, "")
        if not (of_other or self._is_told(order)):
            return bool(order.frozen_because)
        findings.judged |= set(_keys(order).values())
        for code, text in why.items():
            severity = Severity.CRITICAL if code == Code.ORDER_FIELD_MISMATCH else Severity.ERROR
            key = _keys(order)[code]
            findings.add(order_finding(order, code, severity, key, cause=text, is_certain=True))
        _freeze(order, next(iter(why.values()), of_other))
        return bool(order.frozen_because)

    def _is_told(self, order: Order) -> bool:
        """Whether something is told of the order, or of others by its client id alone: then it is none of those."""
        is_named = not order.external_id and order.client_order_id in self._named
        return is_named or bool(self._told[order.pk])

    def _waits(self, order: Order) -> bool:
        """Whether the order holds its client id: one that ends in this look has given it back."""
        return order.is_open and not any(_is_end(report) for report in self._told[order.pk])

    def _compare(self, order: Order, report: OrderReport) -> None:
        if report.symbol != order.symbol or report.side not in (None, order.side):
            self._of[order.pk][Code.ORDER_FIELD_MISMATCH] = (
                f"Order {report.external_id} is {order.side} {order.symbol} in the books and "
                f"{report.side} {report.symbol} at the exchange. It was left as it is."
            )
        other = self._other_of_those_ids(order, report)
        if other is None:
            return
        why = (
            f"Order {report.external_id} has the client id {report.client_order_id} at the exchange; in the books "
            "these are the ids of two orders. It was left as it is."
        )
        self._of[order.pk][Code.ORDER_ID_CONFLICT] = why
        # What nobody claims has no other ids than those of the exchange.
        if other.portfolio_id is not None:
            self._of_others[other.pk] = why

    def _other_of_those_ids(self, order: Order, report: OrderReport) -> Order | None:
        """Find the other order of the books that has one of the report's ids, while `order` has the other one."""
        client_id = report.client_order_id
        if not order.external_id:
            same = self._by_id[report.symbol, report.external_id]
        elif not client_id or client_id == order.client_order_id or is_used_up(order, report):
            return None
        else:
            # A client id may be used again after its order has ended.
            waiting = self._waiting[client_id]
            same = [other for other in waiting if not self._is_told_apart(order, report, other)]
        return next((other for other in same if other.pk != order.pk), None)

    def _is_told_apart(self, order: Order, report: OrderReport, other: Order) -> bool:
        """Whether the exchange itself gives the client id of the report to `other` too: some let it be used again.

        Of an `other` that is not told in this look that stays as it was.
        """
        told = self._told[other.pk]
        if not told:
            return bool(other.raw_status) and not order.frozen_because
        return any(
            one.client_order_id == report.client_order_id
            and (one.symbol, one.external_id) != (report.symbol, report.external_id)
            for one in told
        )


def is_used_up(order: Order, report: OrderReport) -> bool:
    """Whether the client id of its report is the order's own and free again, because the order has ended."""
    if order.client_order_id not in ("", report.client_order_id):
        return False
    has_ended = not order.is_open and order.status != OrderStatus.LAPSED
    return has_ended or _is_end(report)


def _is_end(report: OrderReport) -> bool:
    return report.status is not None and report.status.is_terminal


def _keys(order: Order) -> dict[Discrepancy.Code, str]:
    return {
        Code.ORDER_FIELD_MISMATCH: order_key(order, "fields"),
        Code.ORDER_ID_CONFLICT: order_key(order, "ids"),
    }


def _freeze(order: Order, because: str) -> None:
    if order.frozen_because != because[:200]:
        order.frozen_because = because[:200]
        order.save(update_fields=["frozen_because"])
