"""What is wrong with a single order: reports that contradict each other, fills that do not fit what is reported."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from portfolios.amounts import difference, exact_sum
from portfolios.models import Discrepancy, Order
from portfolios.models.choices import Severity
from portfolios.reconciliation.execution import covers
from portfolios.reconciliation.fills import overfill
from portfolios.reconciliation.orders import Conflict, OrderState, conflicts
from portfolios.services.discrepancies import Finding, Findings
from providers.reports import Leg, LegStatus, OrderReport, OrderStatus

Code = Discrepancy.Code
_CONFLICTS: Final = {
    Conflict.STATE: (Code.ORDER_STATE_CONFLICT, Severity.ERROR, "two ends that cannot both hold"),
    Conflict.FILL_AHEAD: (
        Code.ORDER_FILL_AHEAD,
        Severity.ERROR,
        "the exchange reports less filled",
    ),
    Conflict.RESURRECTED: (Code.ORDER_RESURRECTED, Severity.WARNING, "it is known there after all"),
    Conflict.REGRESSION: (
        Code.ORDER_REGRESSION,
        Severity.NOTICE,
        "the exchange shows it open again after its end",
    ),
}
# A stale copy tells less than is known: only a second one, later, says something.
_MAY_BE_STALE: Final = (Conflict.FILL_AHEAD, Conflict.REGRESSION)
# As many looks in a row make an order that is open after its end a warning.
_LOOKS_THAT_WARN: Final = 3


def find_in_report(order: Order, known: OrderState, report: OrderReport) -> list[Finding]:
    """Tell what a report says against the books; it changes nothing there."""
    found = []
    for conflict in conflicts(known, report):
        if conflict not in _CONFLICTS:
            continue
        code, severity, cause = _CONFLICTS[conflict]
        if conflict is Conflict.REGRESSION and _has_lasted(order):
            severity = Severity.WARNING
        found.append(
            order_finding(
                order,
                code,
                severity,
                order_key(order, code),
                book=known.filled,
                exchange=report.filled,
                cause=cause,
                is_certain=conflict not in _MAY_BE_STALE,
            )
        )
    return found


def _has_lasted(order: Order) -> bool:
    """Whether the looks before this one have shown the order open after its end."""
    told = order.discrepancy_set.filter(
        code=Code.ORDER_REGRESSION, times_seen__gte=_LOOKS_THAT_WARN - 1
    )
    return told.filter(state__in=Discrepancy.LIVE).exists()


def judge_reports(order: Order, findings: Findings) -> None:
    """Note that the order was looked at: what contradicted the books before and does no more is resolved."""
    findings.judged |= {order_key(order, code) for code, *_ in _CONFLICTS.values()}


def find_in_state(
    order: Order,
    state: OrderState,
    reports: Sequence[OrderReport],
    fills: Leg | None,
    findings: Findings,
) -> None:
    """Tell of fills that an ended order still lacks, and of more of them than were ordered."""
    _find_gap(order, state, fills, findings)
    _find_untold(order, state, reports, fills, findings)
    key = order_key(order, "overfilled")
    findings.judged.add(key)
    if overfill(state.amount, state.filled) > 0:
        findings.add(
            order_finding(
                order,
                Code.ORDER_OVERFILLED,
                Severity.ERROR,
                key,
                book=state.amount,
                exchange=state.filled,
                cause="more was filled than was ordered; all of it is booked",
                is_certain=True,
            )
        )


def find_fills_ahead(
    order: Order, told: OrderState, reports: Sequence[OrderReport], findings: Findings
) -> bool:
    """Tell of an ended order with more fills than the exchange says is filled; whether it is one.

    Parameters
    ----------
    told : OrderState
        What is known of the order without these fills.
    """
    has_ended = told.status.is_terminal and told.status is not OrderStatus.LAPSED
    of_fills = amount_of_fills(order)
    figure = _told_filled(order, told, reports) if has_ended and of_fills else None
    if figure is None or of_fills <= figure:
        return False
    if overfill(told.amount, of_fills) == 0:  # that is told as such
        findings.add(
            order_finding(
                order,
                Code.ORDER_FILL_AHEAD,
                Severity.ERROR,
                order_key(order, Code.ORDER_FILL_AHEAD),
                book=of_fills,
                exchange=figure,
                cause="it has ended with less than its fills add up to; all of them are booked",
            )
        )
    return True


def _told_filled(order: Order, told: OrderState, reports: Sequence[OrderReport]) -> Decimal | None:
    """Tell how much of an ended order the exchange says is filled; None if it never did."""
    ends = [report.filled for report in reports if report.status and report.status.is_terminal]
    if ends:
        return max((filled for filled in ends if filled is not None), default=None)
    untold = order.discrepancy_set.filter(code=Code.ORDER_FILLED_UNKNOWN)
    return told.filled if told.raw_status and not untold.exists() else None


def tells_undone(order: Order, known: OrderState, report: OrderReport) -> bool:
    """Whether a report is an older copy, from before a fill was undone that it still counts."""
    if report.updated_at is None or report.filled is None or report.filled <= known.filled:
        return False
    undoing = [fill.executed_at for fill in order.fills.all() if fill.undoes_id is not None]
    return any(at is not None and at >= report.updated_at for at in undoing)


def amount_of_fills(order: Order) -> Decimal:
    return exact_sum(fill.amount for fill in order.fills.all())


def _find_gap(order: Order, state: OrderState, fills: Leg | None, findings: Findings) -> None:
    """Tell of an ended order whose fills do not add up; that nobody asks for them any more resolves nothing."""
    key = order_key(order, "fills")
    of_fills = amount_of_fills(order)
    if not state.status.is_terminal or covers(of_fills, order.opening_filled, state.filled):
        findings.judged.add(key)
        return
    if fills is not None and fills.status is LegStatus.UNSUPPORTED:
        findings.judged.add(key)  # the market lists no fills: what the order tells is all there is
    elif order.fills_wanted or fills is not None:
        known = exact_sum((of_fills, order.opening_filled))
        findings.add(
            order_finding(
                order,
                Code.ORDER_FILLS_INCOMPLETE,
                Severity.WARNING,
                key,
                book=known,
                exchange=state.filled,
                cause="not all of its fills were told yet",
            )
        )


def _find_untold(
    order: Order,
    state: OrderState,
    reports: Sequence[OrderReport],
    fills: Leg | None,
    findings: Findings,
) -> None:
    """Tell of an ended order of which nobody knows how much was filled: neither a report says it nor all its fills."""
    key = order_key(order, "filled")
    ends = [report for report in reports if report.status is None or report.status.is_terminal]
    is_untold = any(report.filled is None for report in ends)
    is_whole = fills is not None and fills.status is LegStatus.OBSERVED and fills.complete
    if not state.status.is_terminal or is_whole or (ends and not is_untold):
        findings.judged.add(key)
    elif is_untold:
        findings.add(
            order_finding(
                order,
                Code.ORDER_FILLED_UNKNOWN,
                Severity.WARNING,
                key,
                book=state.filled,
                cause="the exchange does not say how much was filled",
                # Nobody asks again: no second look would open it.
                is_certain=not order.fills_wanted,
            )
        )


def order_finding(
    order: Order, code: Discrepancy.Code, severity: Severity, key: str, **values: Any
) -> Finding:
    book, exchange = values.get("book"), values.get("exchange")
    if isinstance(book, Decimal) and isinstance(exchange, Decimal):
        values["difference"] = difference(exchange, book)
    return Finding(
        key=key,
        code=code,
        severity=severity,
        order=order,
        portfolio=order.portfolio,
        symbol=order.symbol,
        **values,
    )


def order_key(order: Order, what: str) -> str:
    return f"order:{order.pk}:{what}"
