"""Reads that are too strange to be believed at once: kept as legs, not applied until further looks say the same."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from portfolios.amounts import difference
from portfolios.models import Discrepancy, ExchangeAccount, Quarantine
from portfolios.models.choices import Severity
from portfolios.models.order import OPEN_STATUSES
from portfolios.reconciliation.plausibility import (
    confirmation,
    implausible_balances,
    implausible_orders,
)
from portfolios.services.accounts import grace
from portfolios.services.discrepancies import Finding, Findings
from portfolios.services.effects import expected_by_wallet, observed_balances
from providers.reports import Leg, LegKind, LegStatus, OrderReport

ZERO = Decimal(0)
_LISTS: Final = (LegKind.BALANCES, LegKind.OPEN_ORDERS)


@dataclass(frozen=True, slots=True)
class Believed:
    """What of a snapshot may be concluded from.

    Parameters
    ----------
    legs : tuple of Leg
        All legs, those in quarantine without their rows and skipped.
    is_plausible : bool
        Whether absence from the lists may count.
    """

    legs: tuple[Leg, ...]
    is_plausible: bool


def believed(account: ExchangeAccount, legs: Sequence[Leg], findings: Findings) -> Believed:
    """Set aside what cannot be true, until two further looks at least `grace` apart say the same.

    A read that books explain is believed at once. Single orders are never set aside.
    """
    kept = {(row.kind, row.subject): row for row in account.quarantines.all()}
    taken = []
    is_plausible = True
    for leg in legs:
        if leg.kind not in _LISTS or leg.status is not LegStatus.OBSERVED:
            taken.append(leg)
            continue
        why = _why_not(account, leg, legs)
        if _is_set_aside(account, leg, why, kept.get((leg.kind, leg.subject)), findings):
            is_plausible = False
            leg = _without_rows(leg, why)
        taken.append(leg)
    return Believed(tuple(taken), is_plausible)


def _why_not(account: ExchangeAccount, leg: Leg, legs: Sequence[Leg]) -> str:
    if not leg.complete:
        return ""  # such a read proves no absence anyway
    if leg.kind is LegKind.BALANCES:
        return _why_not_balances(account, leg)
    return "" if leg.rows else _why_not_orders(account, leg, legs)


def _why_not_orders(account: ExchangeAccount, leg: Leg, legs: Sequence[Leg]) -> str:
    real = account.orders.filter(status__in=OPEN_STATUSES, is_backtest=False)
    orders = real.exclude(external_id="")
    if leg.subject:
        orders = orders.filter(symbol=leg.subject)
    ended = _known_to_have_ended(legs)
    still = [id_ for id_ in orders.values_list("external_id", flat=True) if id_ not in ended]
    return implausible_orders(len(still), len(leg.rows))


def _why_not_balances(account: ExchangeAccount, leg: Leg) -> str:
    # A total that is not told is unknown, not zero.
    told = {row.asset: row.total for row in observed_balances(leg).values()}
    held = {asset: total for asset, total in told.items() if total is not None}
    expected = expected_by_wallet(account).get(leg.subject, {})
    if account.baseline_at is None:
        # Nothing was read before: a read with nothing in it, though the books claim something, is no baseline at once.
        return "" if told else implausible_balances(expected, held)
    last = account.balances.filter(wallet=leg.subject).values_list("asset", "total")
    before = {
        asset: total
        for asset, total in last
        if total is not None and (asset in held or asset not in told)
    }
    if not implausible_balances(before, held):
        return ""
    explained = {asset: difference(expected.get(asset, ZERO), before[asset]) for asset in before}
    return implausible_balances(before, held, explained)


def _known_to_have_ended(legs: Sequence[Leg]) -> set[str]:
    """Ids of orders of which the exchange, asked one by one, says that they have ended."""
    return {
        row.external_id
        for leg in legs
        if leg.kind in (LegKind.ORDER, LegKind.ENDED_ORDERS)
        for row in leg.rows
        if isinstance(row, OrderReport) and row.status is not None and row.status.is_terminal
    }


def _is_set_aside(
    account: ExchangeAccount, leg: Leg, why: str, kept: Quarantine | None, findings: Findings
) -> bool:
    key = f"implausible:{leg.kind}:{leg.subject}"
    if not why:
        if kept is not None:
            kept.delete()
        findings.judged.add(key)
        return False
    if _is_confirmed(account, leg, kept):
        findings.judged.add(key)
        return False
    findings.add(
        Finding(
            key=key,
            code=Discrepancy.Code.SNAPSHOT_IMPLAUSIBLE,
            severity=Severity.ERROR,
            wallet=leg.subject if leg.kind is LegKind.BALANCES else "",
            symbol=leg.subject if leg.kind is LegKind.OPEN_ORDERS else "",
            cause=why,
            is_certain=True,
        )
    )
    return True


def _is_confirmed(account: ExchangeAccount, leg: Leg, kept: Quarantine | None) -> bool:
    digest = _digest(leg)
    if kept is None:
        Quarantine.objects.create(
            account=account,
            kind=leg.kind,
            subject=leg.subject,
            digest=digest,
            last_counted_at=leg.requested_at,
        )
        return False
    since_last = leg.requested_at - kept.last_counted_at
    times, is_confirmed = confirmation(
        kept.times_seen, kept.digest == digest, since_last, grace(account)
    )
    if times != kept.times_seen or kept.digest != digest:
        kept.digest, kept.times_seen, kept.last_counted_at = digest, times, leg.requested_at
        kept.save()
    return is_confirmed


def _digest(leg: Leg) -> str:
    """Name what is there at all by the read: how much of an asset is left may change while the others stay away."""
    if leg.kind is LegKind.BALANCES:
        told = {asset for asset, row in observed_balances(leg).items() if row.total}
    else:
        told = {row.external_id for row in leg.rows if isinstance(row, OrderReport)}
    return hashlib.sha256("\n".join(sorted(told)).encode()).hexdigest()


def _without_rows(leg: Leg, why: str) -> Leg:
    return replace(
        leg,
        status=LegStatus.SKIPPED,
        rows=(),
        complete=False,
        why_incomplete=f"not believed: {why}",
    )
