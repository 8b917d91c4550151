"""What one snapshot says of orders and their fills, sorted by order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from portfolios.models import ExchangeAccount, Order
from portfolios.services.fills import account_fills, fill_rows
from portfolios.services.ledger import fill_report
from providers.reports import FillReport, Leg, LegKind, OrderReport

NOT_FOUND: Final = "not_found"
# Symbol and the exchange's id: some exchanges number the orders of each symbol anew.
OrderId = tuple[str, str]


@dataclass(frozen=True, slots=True)
class OrderReads:
    """What one snapshot says of orders, by the exchange's id.

    Parameters
    ----------
    reports : Mapping
        All reports of the orders of an id; a snapshot may have several of one order, also older copies.
    fills : Mapping
        The reads of single orders' fills.
    account_fills : Mapping
        Fills of whole lists, oldest first.
    orphans : Mapping
        Fills that are stored, but whose order was not known.
    denied : frozenset of str
        Orders that the exchange, asked for one by one, says that it does not have.
    acknowledged : Mapping
        Reports of orders that have no id of the exchange's in the books, by the order's key there.
    """

    reports: Mapping[str, Sequence[OrderReport]]
    by_client_id: Mapping[str, Sequence[OrderReport]]
    fills: Mapping[str, Leg]
    account_fills: Mapping[str, Sequence[FillReport]]
    orphans: Mapping[str, Sequence[FillReport]] = field(default_factory=dict)
    denied: frozenset[str] = frozenset()
    acknowledged: Mapping[int, Sequence[OrderReport]] = field(default_factory=dict)

    @property
    def ids(self) -> set[str]:
        """Ids of all orders that something is told of."""
        return {*self.reports, *self.ids_of_fills} - {""}

    @property
    def ids_of_fills(self) -> set[str]:
        """Ids of the orders whose fills are told, or were asked for."""
        asked = {*self.fills, *(subject.rpartition(" ")[0] for subject in self.fills)}
        return {*self.account_fills, *self.orphans, *asked}

    def of(self, order: Order) -> Sequence[OrderReport]:
        """List the reports of `order`; those of its id and another symbol only if it was never told under its own."""
        if not order.external_id:
            return self.acknowledged.get(order.pk, ())
        reports = self.reports.get(order.external_id, ())
        own = [report for report in reports if report.symbol == order.symbol]
        return own if own or order.raw_status else reports

    def fills_leg(self, external_id: str, symbol: str) -> Leg | None:
        """Find the read of one order's fills."""
        plain, of_symbol = names_of(external_id, symbol)
        return self.fills.get(of_symbol) or self.fills.get(plain)

    def fills_of(self, external_id: str, symbol: str) -> list[list[FillReport]]:
        """List what each read tells of an order's fills; nothing without its id, as fills may be told without one."""
        if not external_id:
            return []
        reads = (
            fill_rows(self.fills_leg(external_id, symbol)),
            self.account_fills.get(external_id, ()),
            self.orphans.get(external_id, ()),
        )
        told = [[row for row in rows if row.symbol == symbol] for rows in reads]
        return [rows for rows in told if rows]


def names_of(order_id: str, symbol: str) -> tuple[str, str]:
    """Tell by which subjects a leg may name an order: its id, with its symbol where two orders share the id."""
    return order_id, f"{order_id} {symbol}"


def order_reads(legs: Iterable[Leg]) -> OrderReads:
    """Sort the legs of one snapshot by what they tell of orders."""
    legs = tuple(legs)
    reports: defaultdict[str, list[OrderReport]] = defaultdict(list)
    by_client_id: defaultdict[str, list[OrderReport]] = defaultdict(list)
    fills: dict[str, Leg] = {}
    for leg in legs:
        for row in leg.rows:
            if isinstance(row, OrderReport):
                reports[row.external_id].append(row)
                if row.client_order_id:
                    by_client_id[row.client_order_id].append(row)
        if leg.kind is LegKind.FILLS:
            fills[leg.subject] = leg
    return OrderReads(
        dict(reports), dict(by_client_id), fills, account_fills(legs), denied=denied_orders(legs)
    )


def denied_orders(legs: Iterable[Leg]) -> frozenset[str]:
    """Find the orders that the exchange, asked for one by one, says that it does not have."""
    asked = [leg for leg in legs if leg.kind is LegKind.ORDER and leg.error is not None]
    return frozenset(leg.subject for leg in asked if leg.error and leg.error.category == NOT_FOUND)


def with_orphans(account: ExchangeAccount, reads: OrderReads) -> OrderReads:
    """Add the stored fills whose order was not known: it may be one that this snapshot, or a book, has brought."""
    orphans: defaultdict[str, list[FillReport]] = defaultdict(list)
    for fill in account.fills.filter(order=None):
        orphans[fill.order_external_id].append(fill_report(fill))
    return replace(reads, orphans=dict(orphans))


def with_orders_of_fills(account: ExchangeAccount, reads: OrderReads) -> OrderReads:
    """Give fills that a list tells without their order to the one that they were told of, there or before.

    What is new of them, as a fee, is that order's then, and is booked with it.
    """
    loose = [row for row in reads.account_fills.get("", ()) if row.external_id]
    if not loose:
        return reads
    told = [fill_rows(leg) for leg in reads.fills.values()] + list(reads.account_fills.values())
    named = (row for rows in told for row in rows if row.order_external_id)
    orders = {_fill_key(row): row.order_external_id for row in named}
    stored = account.fills.filter(external_id__in={row.external_id for row in loose})
    for fill in stored.exclude(order=None).select_related("order"):
        if fill.order is not None:
            orders[fill.symbol, fill.side, fill.external_id] = fill.order.external_id
    fills: defaultdict[str, list[FillReport]] = defaultdict(list)
    for rows in reads.account_fills.values():
        for row in rows:
            order_id = row.order_external_id or orders.get(_fill_key(row), "")
            fills[order_id].append(replace(row, order_external_id=order_id))
    return replace(reads, account_fills=dict(fills))


def _fill_key(row: FillReport) -> tuple[str, str, str]:
    return row.symbol, row.side, row.external_id


def unknown_orders(account: ExchangeAccount, reads: OrderReads) -> dict[OrderId, list[OrderReport]]:
    """List what is told of orders that the books do not have.

    Of an id that a book has with another symbol, and that was never told with that, it is not: one of both is wrong.
    """
    if not reads.reports:
        return {}
    told: defaultdict[OrderId, list[OrderReport]] = defaultdict(list)
    for report in (report for reports in reads.reports.values() for report in reports):
        told[report.symbol, report.external_id].append(report)
    rows = account.orders.filter(is_backtest=False, external_id__in=list(reads.reports)).order_by()
    told_before = rows.values_list("symbol", "external_id", "raw_status")
    known = {(symbol, id_): raw_status for symbol, id_, raw_status in told_before}
    wrong = {key[1] for key, raw_status in known.items() if not raw_status and key not in told}
    return {
        key: reports for key, reports in told.items() if key not in known and key[1] not in wrong
    }
