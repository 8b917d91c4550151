"""What is in use at the exchange against what the orders lock, and numbers of a balance that contradict each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db.models import Max, Q
from django.utils.translation import gettext as _

from portfolios.amounts import difference, exact_sum
from portfolios.models import Discrepancy, ExchangeAccount, Order
from portfolios.models.choices import Severity
from portfolios.reconciliation.execution import fees_by_asset, lock
from portfolios.reconciliation.locks import (
    Lock,
    UsedJudgement,
    fee_rate,
    is_unchanged_since,
    judge_used,
    looks_swapped,
    order_lock,
)
from portfolios.reconciliation.verdicts import Verdict
from portfolios.services.accounts import lag
from portfolios.services.asset_rules import Rules
from portfolios.services.discrepancies import Finding, Findings
from portfolios.services.ledger import locking_facts, stored_fees
from providers.mapping import base_and_quote
from providers.reports import (
    BalanceReport,
    FlowSource,
    FlowStatus,
    Leg,
    LegKind,
    LegStatus,
    OrderReport,
    OrderStatus,
)

Code = Discrepancy.Code
# Symbol and exchange's id: some exchanges number the orders of each symbol anew.
OrderKey = tuple[str, str]
ZERO = Decimal(0)
OPEN_STATUSES: Final = (OrderStatus.CREATED, OrderStatus.OPEN)
# The latest fills show what is charged now; older ones need not be read for it.
_FILLS_THAT_TELL: Final = 200
ORDERS_NOT_READ: Final = "open orders were not all read"
_TELL_A_LOCK: Final = (
    *("symbol", "side", "price", "amount", "filled", "status", "type", "external_id"),
    *("missing_since", "frozen_because", "created_at", "updated_at", "account"),
)
# What is in use and what is open come from two lists, and an exchange may be behind with either for a while.
_LOOKS: Final = 5
_ORDER_LISTS: Final = (LegKind.OPEN_ORDERS, LegKind.TRIGGER_ORDERS)
_BY_WALLET: Final = (
    Code.BALANCE_LOCK_MISMATCH,
    Code.BALANCE_IDENTITY_BROKEN,
    Code.BALANCE_NEGATIVE,
)


def used_by_wallet(
    account: ExchangeAccount, legs: Sequence[Leg], rules: Rules
) -> dict[str, dict[str, UsedJudgement]]:
    """Judge `used` of every asset of every wallet whose balances one run read."""
    return {
        leg.subject: used_judgements(account, leg, legs, rules)
        for leg in legs
        if leg.kind is LegKind.BALANCES and leg.status is LegStatus.OBSERVED
    }


def used_judgements(
    account: ExchangeAccount, leg: Leg, legs: Sequence[Leg] | None, rules: Rules
) -> dict[str, UsedJudgement]:
    """Judge `used` of every asset that a read of balances tells of, by the orders that the books know.

    Orders lock in the trading wallet only: of another wallet nothing is said. They are as the books have them now, so
    `leg` is to be the newest read.

    Parameters
    ----------
    legs : sequence of Leg or None
        All legs of the same run: an order that they do not tell of is doubtful, and unless all lists of open orders
        were read whole nothing can be said. None: the books' orders are taken as told.
    """
    if leg.subject != account.wallets[0]:
        return {}
    seen = None
    if legs is not None:
        if not _are_orders_read(legs):
            return {
                asset: UsedJudgement(Verdict.NOT_VERIFIABLE, ZERO, None, ZERO, ORDERS_NOT_READ)
                for asset in rules.counted(_reported(leg))
            }
        seen = _open_orders(legs)
    return _judgements(account, leg, rules, seen)


def _judgements(
    account: ExchangeAccount, leg: Leg, rules: Rules, seen: Collection[OrderKey] | None
) -> dict[str, UsedJudgement]:
    held = rules.counted(_reported(leg))
    locks: defaultdict[str, list[Lock]] = defaultdict(list)
    reach = _reach(account, leg)
    for found in [*_order_locks(account, reach, seen), *_leaving(account, leg)]:
        locks[rules.counts_as(found.asset)].append(found)
    rate = _FeeRate(account)
    judged = {}
    for asset in sorted(held.keys() | (locks.keys() if leg.complete else ())):
        used = held[asset].used if asset in held else ZERO
        judged[asset] = judge_used(used, locks[asset])
        # Only then it matters whether the exchange locks fees as well.
        if judged[asset].verdict is Verdict.DIFFERS and locks[asset]:
            judged[asset] = judge_used(used, locks[asset], rate.read())
    return judged


def _reported(leg: Leg) -> dict[str, BalanceReport]:
    return {row.asset: row for row in leg.rows if isinstance(row, BalanceReport)}


def _reach(account: ExchangeAccount, leg: Leg) -> datetime:
    """Give the earliest moment that the balances may show, by the exchange's clock."""
    return leg.requested_at + timedelta(seconds=leg.clock_offset) - lag(account)


def _order_locks(
    account: ExchangeAccount, reach: datetime, seen: Collection[OrderKey] | None
) -> Iterator[Lock]:
    is_open = Q(status__in=OPEN_STATUSES)
    may_show = is_open | Q(updated_at__gt=reach)
    orders = account.orders.filter(may_show, is_backtest=False).order_by()
    changes = orders.values_list("pk", Max("fills__executed_at"), Max("versions__replaced_at"))
    changed = {pk: moments for pk, *moments in changes.iterator() if any(moments)}
    for order in orders.only(*_TELL_A_LOCK).iterator():
        moments = (order.created_at, order.updated_at, *changed.get(order.pk, ()))
        is_certain = (
            _waits_at_the_exchange(order)
            and is_unchanged_since(moments, reach)
            and (seen is None or (order.symbol, order.external_id) in seen)
        )
        yield order_lock(
            locking_facts(order), order.amount, is_open=order.is_open, is_certain=is_certain
        )


def _waits_at_the_exchange(order: Order) -> bool:
    """Whether nothing makes it doubtful that the exchange has the order in its book.

    A trigger order may lock from the first or only once it is triggered.
    """
    is_known = order.status == OrderStatus.OPEN and bool(order.external_id)
    is_doubtful = order.missing_since is not None or bool(order.frozen_because)
    return is_known and not (is_doubtful or order.is_trigger)


def _leaving(account: ExchangeAccount, leg: Leg) -> Iterator[Lock]:
    """Tell what an exchange may set aside because it is about to leave, or had not left yet when it was read.

    Of what failed it may not be told when; until that was told for the first time it may have been held.
    """
    is_failed = Q(status=FlowStatus.FAILED, settled_at=None)
    may_show = (
        Q(status=FlowStatus.PENDING)
        | Q(settled_at__gt=_reach(account, leg))
        | (is_failed & Q(told_at__gt=leg.requested_at - lag(account)))
    )
    for flow in account.flows.filter(may_show, amount__negative=True):
        fee = fees_by_asset(stored_fees(flow.fees)).get(flow.asset, ZERO)
        amount = exact_sum((flow.amount.copy_abs(), fee.copy_abs()))
        yield Lock(flow.asset, ZERO, amount, ZERO, may_hold_fee=False)


@dataclass(slots=True)
class _FeeRate:
    """The largest fee rate that the account's latest fills show, read when it is first asked for."""

    account: ExchangeAccount
    known: Decimal | None = None

    def read(self) -> Decimal:
        if self.known is None:
            rows = self.account.fills.order_by("-pk").values_list(
                "symbol", "amount", "cost", "fees"
            )
            self.known = fee_rate(
                share for row in rows[:_FILLS_THAT_TELL] for share in _shares(*row)
            )
        return self.known


def _shares(
    symbol: str, amount: Decimal, cost: Decimal, fees: list[dict[str, str]]
) -> Iterator[tuple[Decimal, Decimal]]:
    base, quote = base_and_quote(symbol)
    charged = fees_by_asset(stored_fees(fees))
    for asset, whole in ((base, amount), (quote, cost)):
        if asset in charged:
            yield charged[asset], whole


def lock_findings(
    account: ExchangeAccount,
    legs: Sequence[Leg],
    rules: Rules,
    used: Mapping[str, Mapping[str, UsedJudgement]],
    findings: Findings,
) -> None:
    """Find balances that are not what the orders lock or that contradict themselves; none is certain at one look.

    What was not told is not judged, and `used` only if all lists of open orders were read whole. While the lists of
    movements were not read since, what is in use beyond the orders may be about to leave: it stays suspected.

    Parameters
    ----------
    used : Mapping of str to Mapping
        What `used_by_wallet` says of the same legs.
    """
    live = findings.live(account, *_BY_WALLET)
    are_orders_read = _are_orders_read(legs)
    for leg in legs:
        if leg.kind is LegKind.BALANCES and leg.status is LegStatus.OBSERVED:
            _find_contradictions(leg, rules, live, findings)
            if are_orders_read:
                _find_mismatches(account, leg, rules, used.get(leg.subject, {}), findings)
    if are_orders_read and account.baseline_at is not None:
        _find_external_locks(account, findings)


def _are_orders_read(legs: Sequence[Leg]) -> bool:
    lists = [leg for leg in legs if leg.kind in _ORDER_LISTS]
    is_observed = any(
        leg.kind is LegKind.OPEN_ORDERS and leg.status is LegStatus.OBSERVED for leg in lists
    )
    is_broken = any(
        leg.status is LegStatus.FAILED or (leg.status is LegStatus.OBSERVED and not leg.complete)
        for leg in lists
    )
    return is_observed and not is_broken


def _open_orders(legs: Iterable[Leg]) -> frozenset[OrderKey]:
    """Name all orders that the legs told to be open."""
    return frozenset(
        (row.symbol, row.external_id)
        for leg in legs
        for row in leg.rows
        if isinstance(row, OrderReport) and row.status is OrderStatus.OPEN
    )


def _find_contradictions(leg: Leg, rules: Rules, live: Collection[str], findings: Findings) -> None:
    held = _reported(leg)
    for row in held.values():
        _check_identity(leg.subject, row, rules, findings)
        _check_sign(leg.subject, row, findings)
    if leg.complete:  # an asset that is not listed is none held
        for key in live:
            name, wallet, asset = key.split(":", 2)
            if name in ("identity", "negative") and wallet == leg.subject and asset not in held:
                findings.judged.add(key)


def _check_identity(wallet: str, row: BalanceReport, rules: Rules, findings: Findings) -> None:
    if row.free is None or row.used is None or row.total is None:
        return
    key = f"identity:{wallet}:{row.asset}"
    findings.judged.add(key)
    parts = exact_sum((row.free, row.used))
    rest = difference(row.total, parts)
    if not rest or (rest > 0 and rules.is_earn(row.asset)):
        return
    findings.add(
        Finding(
            key=key,
            code=Code.BALANCE_IDENTITY_BROKEN,
            severity=Severity.WARNING,
            wallet=wallet,
            asset=row.asset,
            book=parts,
            exchange=row.total,
            difference=rest,
            cause=_(
                "free and used are not the total; if the rest is in earn, an asset rule says so"
            ),
        )
    )


def _check_sign(wallet: str, row: BalanceReport, findings: Findings) -> None:
    numbers = [number for number in (row.total, row.free) if number is not None]
    if not numbers:
        return
    key = f"negative:{wallet}:{row.asset}"
    findings.judged.add(key)
    lowest = min(numbers)
    if lowest < 0:
        findings.add(
            Finding(
                key=key,
                code=Code.BALANCE_NEGATIVE,
                severity=Severity.ERROR,
                wallet=wallet,
                asset=row.asset,
                book=ZERO,
                exchange=lowest,
                difference=lowest,
                cause=_("the exchange reports less than nothing"),
            )
        )


def _find_mismatches(
    account: ExchangeAccount,
    leg: Leg,
    rules: Rules,
    used_by_asset: Mapping[str, UsedJudgement],
    findings: Findings,
) -> None:
    held = rules.counted(_reported(leg))
    are_movements_read = account.full_read_at is not None and (
        account.full_read_at >= leg.requested_at
    )
    for asset, judged in used_by_asset.items():
        key = f"used:{leg.subject}:{asset}"
        if judged.verdict is not Verdict.NOT_VERIFIABLE:
            findings.judged.add(key)
        if judged.verdict is not Verdict.DIFFERS:
            continue
        row = held.get(asset)
        used = row.used if row is not None else ZERO
        is_swapped = row is not None and looks_swapped(row.free, judged)
        beyond = difference(used or ZERO, judged.expected)
        may_leave = beyond > 0 and not is_swapped and _is_told_late_of_leaving(account)
        findings.add(
            Finding(
                key=key,
                code=Code.BALANCE_LOCK_MISMATCH,
                severity=Severity.NOTICE if may_leave else Severity.WARNING,
                wallet=leg.subject,
                asset=asset,
                book=judged.expected,
                exchange=used,
                difference=beyond,
                cause=_cause(is_swapped=is_swapped, may_leave=may_leave),
                is_unproved=beyond > 0 and not are_movements_read,
                looks=2 if is_swapped else _LOOKS,
            )
        )


def _is_told_late_of_leaving(account: ExchangeAccount) -> bool:
    """Whether a ledger alone tells of movements: of a withdrawal it tells only when it has left."""
    read = account.cursors.filter(kind=LegKind.FLOWS).values_list("subject", flat=True)
    return set(read) == {FlowSource.LEDGER}


def _cause(*, is_swapped: bool, may_leave: bool) -> str:
    if is_swapped:
        return _("free and used look swapped")
    if may_leave:
        return _("more is in use than the open orders lock; it may be a withdrawal on its way")
    return _("what is in use is not what the open orders lock")


def _find_external_locks(account: ExchangeAccount, findings: Findings) -> None:
    """Find assets of which the orders that nobody claims lock more than what nobody claims."""
    unassigned = account.positions.filter(portfolio=None)
    for asset, amount, reserved in unassigned.values_list("asset", "amount", "reserved"):
        key = f"external-lock:{asset}"
        findings.judged.add(key)
        if reserved > max(amount, ZERO):
            order = _largest_external(account, asset)
            findings.add(
                Finding(
                    key=key,
                    code=Code.ORDER_EXTERNAL_AFFECTS_OWNED,
                    severity=Severity.ERROR,
                    asset=asset,
                    order=order,
                    symbol=order.symbol if order else "",
                    book=amount,
                    exchange=reserved,
                    difference=difference(reserved, amount),
                    cause=_("orders that nobody booked lock more than what no portfolio owns"),
                )
            )


def _largest_external(account: ExchangeAccount, asset: str) -> Order | None:
    orders = account.orders.filter(portfolio=None, status__in=OPEN_STATUSES)
    locks = [(lock(locking_facts(order), order.remaining), order) for order in orders]
    of_asset = [(locked, order) for (name, locked), order in locks if name == asset]
    return max(of_asset, key=lambda pair: pair[0])[1] if of_asset else None
