"""Orders that the exchange says it does not have: the ladder from the first denial to a proposal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db.models import Q

from portfolios.amounts import difference, exact_sum
from portfolios.models import Discrepancy, ExchangeAccount, Order, StoredLeg
from portfolios.models.choices import Severity
from portfolios.models.order import OPEN_STATUSES
from portfolios.reconciliation.absence import (
    NO_TIME,
    Absence,
    Conclusion,
    conclusion,
    looks_at,
    may_lapse,
    next_absence,
)
from portfolios.reconciliation.execution import lock
from portfolios.services.accounts import grace, lag
from portfolios.services.claims import unacked_match
from portfolios.services.discrepancies import Finding, Findings
from portfolios.services.host_clocks import clock_was_set
from portfolios.services.ledger import order_facts
from portfolios.services.order_reads import denied_orders, names_of
from portfolios.services.quarantine import Believed
from providers import catalogue
from providers.reports import (
    BalanceReport,
    Leg,
    LegKind,
    LegStatus,
    OrderReport,
    OrderStatus,
    Row,
)

CODES = {
    Conclusion.NONE: Discrepancy.Code.ORDER_MISSING_AT_VENUE,
    Conclusion.MISSING_AT_VENUE: Discrepancy.Code.ORDER_MISSING_AT_VENUE,
    Conclusion.RETENTION_EXPIRED: Discrepancy.Code.ORDER_RETENTION_EXPIRED,
}
_OF_ONE_ORDER: Final = (LegKind.ORDER, LegKind.ENDED_ORDERS, LegKind.FILLS)
ABSENCE_FIELDS = ("missing_since", "strikes", "last_strike_at")


def climb_ladder(
    account: ExchangeAccount, read: Believed, seen_at: datetime, findings: Findings
) -> int:
    """Count what this snapshot says of each open order that the exchange denies; how many lapsed by themselves."""
    _judge_those_found(account, findings)
    lapsed = 0
    doubtful = _doubtful_orders(account, read)
    was_set = clock_was_set() if doubtful else NO_TIME
    legs = _Legs(read.legs)
    for order in doubtful:
        concluded = _look_for(order, legs, seen_at, was_set, is_plausible=read.is_plausible)
        if concluded is None:
            is_unacked = not order.external_id
        elif _lapses(order, read, concluded):
            _lapse(order, findings)
            lapsed += 1
            continue
        else:
            # Without an id of the exchange's there is nothing yet that it could have lost.
            is_unacked = not order.external_id and (
                concluded is Conclusion.NONE or unacked_match(order) is not None
            )
            if not is_unacked:
                findings.add(_finding(order, concluded))
                findings.judged.add(_unacked_key(order))
        if is_unacked:
            _find_unacked(order, findings)
    return lapsed


def old_denials(account: ExchangeAccount, legs: Sequence[Leg]) -> frozenset[str]:
    """Find the denials that tell nothing new: of orders that are not open, and of those never acknowledged.

    The latter once their finding is open: it says all that the exchange's answer could.
    """
    denied = denied_orders(legs)
    if not denied:
        return denied
    codes = [*CODES.values(), Discrepancy.Code.ORDER_UNACKED]
    told = account.discrepancies.filter(code__in=codes).exclude(
        state__in=[Discrepancy.State.SUSPECTED, Discrepancy.State.RESOLVED]
    )
    real = account.orders.filter(status__in=OPEN_STATUSES, is_backtest=False)
    waiting = real.exclude(external_id="", pk__in=told.values("order"))
    named = waiting.values_list("external_id", "client_order_id", "symbol")
    news = {name for id_, own, symbol in named for name in names_of(id_ or own, symbol)}
    return denied - news


def _doubtful_orders(account: ExchangeAccount, read: Believed) -> list[Order]:
    """Find the open orders that were asked for one by one, or have never been acknowledged."""
    subjects = [leg.subject for leg in read.legs if leg.kind is LegKind.ORDER]
    asked = [id_ for subject in subjects for id_ in (subject, subject.rpartition(" ")[0]) if id_]
    real = account.orders.filter(status__in=OPEN_STATUSES, is_backtest=False)
    orders = real.select_related("portfolio")
    return list(orders.filter(Q(external_id__in=asked) | Q(external_id="")).order_by("pk"))


def _judge_those_found(account: ExchangeAccount, findings: Findings) -> None:
    """Resolve what was said of orders that are found, acknowledged or ended by now."""
    keys = findings.live(account, *CODES.values(), Discrepancy.Code.ORDER_UNACKED)
    if not keys:
        return
    for discrepancy in account.discrepancies.filter(key__in=keys).select_related("order"):
        order = discrepancy.order
        if order is None or not order.is_open or order.missing_since is None:
            findings.judged.add(discrepancy.key)


def _look_for(
    order: Order, legs: _Legs, seen_at: datetime, was_set: timedelta, *, is_plausible: bool
) -> Conclusion | None:
    """Count one look at an order; None if the exchange does not deny it."""
    name = order.external_id or order.client_order_id
    look = looks_at(
        name,
        _legs_of(name, order.symbol, legs.of(name, order.symbol)),
        symbol=order.symbol,
        is_trigger=order.is_trigger,
        triggers_apart=_triggers_apart(order.account.market),
        is_plausible=is_plausible,
    )
    if look is None:
        return None
    before = Absence(order.strikes, order.last_strike_at, order.missing_since)
    # The exchange may not know yet what was only just sent.
    age = look.since(order.created_at) if order.created_at else look.looked_at - order.joined_at
    after = next_absence(before, look, grace(order.account), age=age, was_set=was_set)
    if after != before:
        for name in ABSENCE_FIELDS:
            setattr(order, name, getattr(after, name))
        order.save(update_fields=ABSENCE_FIELDS)
    return None if after.missing_since is None else _conclusion(order, after, seen_at, age)


class _Legs:
    """The legs of a snapshot by the orders that they are of: no order is looked for in those of all others."""

    def __init__(self, legs: Iterable[Leg]) -> None:
        self._lists: list[Leg] = []
        self._of_orders: defaultdict[str, list[Leg]] = defaultdict(list)
        for leg in legs:
            if leg.kind not in _OF_ONE_ORDER:
                self._lists.append(leg)
                continue
            told = [row for row in leg.rows if isinstance(row, OrderReport)]
            ids = {id_ for row in told for id_ in (row.external_id, row.client_order_id)}
            for name in {leg.subject, *ids} - {""}:
                self._of_orders[name].append(leg)

    def of(self, name: str, symbol: str) -> Sequence[Leg]:
        """List what may say something of an order, the lists of many orders among it."""
        return [
            *self._lists,
            *(leg for each in names_of(name, symbol) for leg in self._of_orders.get(each, ())),
        ]


def _legs_of(name: str, symbol: str, legs: Sequence[Leg]) -> Sequence[Leg]:
    """Leave out what legs say of another symbol's order of the same id, where there is one."""
    _plain, shared = names_of(name, symbol)
    if all(leg.subject != shared for leg in legs):
        return legs
    return [
        replace(
            leg,
            subject=name if leg.subject == shared else leg.subject,
            rows=tuple(row for row in leg.rows if _is_of(symbol, row)),
        )
        for leg in legs
    ]


def _is_of(symbol: str, row: Row) -> bool:
    return not isinstance(row, OrderReport) or row.symbol == symbol


def _lapse(order: Order, findings: Findings) -> None:
    order.status = OrderStatus.LAPSED
    order.save(update_fields=["status"])
    findings.judged.add(_key(order))


def _conclusion(order: Order, absence: Absence, seen_at: datetime, age: timedelta) -> Conclusion:
    account = order.account
    return conclusion(
        absence,
        last_known_at=_last_known_at(order, absence),
        now=seen_at,
        age=age,
        grace=grace(account),
        lag=lag(account),
        retention=_retention(order),
    )


def _last_known_at(order: Order, absence: Absence) -> datetime:
    """Tell when the order was last seen open: by its own times, or by the last whole list before it was denied."""
    own = order.updated_at or order.created_at or order.joined_at
    lists = StoredLeg.objects.filter(
        run__account=order.account,
        kind=LegKind.OPEN_ORDERS,
        subject__in=["", order.symbol],
        status=LegStatus.OBSERVED,
        complete=True,
        requested_at__gte=order.joined_at,
        run__finished_at__lt=absence.missing_since,  # of the run that denied it, the list did not have it
    )
    listed = lists.order_by("-responded_at").values_list("responded_at", flat=True).first()
    return max(own, listed) if listed else own


def _retention(order: Order) -> timedelta | None:
    """How long the exchange tells of an order that has ended; None where nobody knows."""
    if not catalogue.is_market(order.account.market):
        return None
    market = catalogue.market(order.account.market)
    seconds = market.ended_orders_seconds
    if not order.filled and market.canceled_orders_seconds is not None:
        seconds = market.canceled_orders_seconds
    return None if seconds is None else timedelta(seconds=seconds)


def _lapses(order: Order, read: Believed, concluded: Conclusion) -> bool:
    account = order.account
    is_allowed = account.lapses_by_itself and account.policy == ExchangeAccount.Policy.STANDARD
    return is_allowed and may_lapse(
        concluded,
        has_fill_coverage=_has_fill_coverage(order, read),
        is_lock_gone=_is_lock_gone(order, read),
    )


def _has_fill_coverage(order: Order, read: Believed) -> bool:
    return any(
        leg.kind is LegKind.FILLS
        and leg.subject in names_of(order.external_id or order.client_order_id, order.symbol)
        and leg.status is LegStatus.OBSERVED
        and leg.complete
        for leg in read.legs
    )


def _is_lock_gone(order: Order, read: Believed) -> bool:
    """Whether all that the exchange has locked of the order's asset is locked by other orders."""
    asset, locked = lock(order_facts(order), order.remaining)
    rows = [
        row
        for leg in read.legs
        if leg.kind is LegKind.BALANCES and leg.complete
        for row in leg.rows
        if isinstance(row, BalanceReport)
    ]
    used = next((row.used for row in rows if row.asset == asset), Decimal(0) if rows else None)
    if used is None or not locked:
        return False
    others = order.account.orders.filter(status__in=OPEN_STATUSES).exclude(pk=order.pk)
    locks = (lock(order_facts(other), other.remaining) for other in others)
    of_others = exact_sum(amount for name, amount in locks if name == asset)
    return difference(used, of_others) <= 0


def _triggers_apart(market: str) -> bool:
    return catalogue.is_market(market) and catalogue.market(market).has_trigger_orders_apart


def _find_unacked(order: Order, findings: Findings) -> None:
    match = unacked_match(order)
    cause = "the exchange does not know this order"
    if match is not None:
        cause = f"it looks like order {match.external_id}"
    findings.add(
        Finding(
            key=_unacked_key(order),
            code=Discrepancy.Code.ORDER_UNACKED,
            severity=Severity.WARNING,
            order=order,
            portfolio=order.portfolio,
            symbol=order.symbol,
            book=order.remaining,
            cause=cause,
        )
    )


def _key(order: Order) -> str:
    return f"order:{order.pk}:missing"


def _unacked_key(order: Order) -> str:
    return f"order:{order.pk}:unacked"


def _finding(order: Order, concluded: Conclusion) -> Finding:
    code = CODES[concluded]
    is_expired = concluded is Conclusion.RETENTION_EXPIRED
    return Finding(
        key=_key(order),
        code=code,
        severity=Severity.WARNING if is_expired else Severity.ERROR,
        order=order,
        portfolio=order.portfolio,
        symbol=order.symbol,
        book=order.remaining,
        cause=f"the exchange does not know this order (proof {order.strikes} of 3)",
        is_certain=concluded is not Conclusion.NONE,
        is_unproved=concluded is Conclusion.NONE,
    )
