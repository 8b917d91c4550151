"""How far the lists of an account were read; cursors move with the rows that they stand for, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from django.db.models import F, Q

from portfolios.models import Discrepancy, ExchangeAccount, ReadCursor
from portfolios.models.choices import Severity
from portfolios.reconciliation.flows import UNSETTLED
from portfolios.services.accounts import lag
from portfolios.services.discrepancies import (
    BALANCE_CODES,
    Finding,
    Findings,
    Live,
    live_of,
)
from portfolios.services.fills import TOLD_LATE, denied_fills, half_told_since
from providers import catalogue
from providers.reports import Cursor, FlowKind, FlowSource, FlowStatus, Leg, LegKind, LegStatus

# Lists that seldom tell anything are read no further back: some go no further.
SELDOM_SINCE: Final = timedelta(days=90)
SELDOM: Final = [source for source in FlowSource if source.is_seldom]
CURSOR_KINDS: Final = (LegKind.ACCOUNT_FILLS, LegKind.FLOWS)
# What an exchange lists late is found by reading so much again, and a clock's error on top.
LEAST_OVERLAP: Final = timedelta(minutes=5)
# So long a deposit or withdrawal may be on its way.
LONGEST_WAY: Final = timedelta(days=14)
# By so much at most an exchange is behind with all that it tells.
SHOWN_LATE: Final = timedelta(hours=1)
# For so many looks a new difference makes the lists be read again from when all agreed.
LOOKS_BACK: Final = 3
DENIED: Final = Discrepancy.Code.FILL_LOCAL_ONLY
CLOCK_ERROR: Final = timedelta(seconds=5)


def overlap(account: ExchangeAccount) -> timedelta:
    return max(LEAST_OVERLAP, lag(account) + CLOCK_ERROR)


def cursors(
    account: ExchangeAccount, now: datetime, live: Live | None = None
) -> tuple[Cursor, ...]:
    """Tell a provider how far the lists were read, set back to what is still to be completed.

    That are fills whose fee or order was not told yet, or that are told no more, movements that were on their way or
    left without a fee, and what a new difference may be of.

    Parameters
    ----------
    live : dict or None
        What `live_of` the account gives, if it is known.
    """
    rows = (live_of(account) if live is None else live).values()
    keys = [row.key for row in rows if row.code == DENIED]
    told = [fill.executed_at for fill in denied_fills(account, keys, now)]
    fills_since = min(filter(None, [*told, half_told_since(account, now)]), default=now)
    # A list may have left out what would explain a new difference.
    is_new = any(row.code in BALANCE_CODES and row.times_seen <= LOOKS_BACK for row in rows)
    agreed_at = (is_new and _agreed_at(account)) or now
    flows_since = _half_told_flows_since(account, now) or now
    # What was on its way then keeps its older time, where what is asked for is listed and not what has moved.
    asked_since = min(flows_since, agreed_at - LONGEST_WAY) if is_new else flows_since
    back: dict[str, datetime] = {
        LegKind.ACCOUNT_FILLS: min(fills_since, agreed_at),
        LegKind.FLOWS: min(flows_since, agreed_at),
        FlowSource.DEPOSITS: asked_since,
        FlowSource.WITHDRAWALS: asked_since,
    }
    read = {(cursor.kind, cursor.subject): cursor for cursor in account.cursors.all()}
    return (
        *(
            Cursor(
                LegKind(kind),
                subject,
                min(cursor.covered_until, back.get(subject) or back[kind]),
            )
            for (kind, subject), cursor in sorted(read.items())
        ),
        *_first_of_flows(account, set(read)),
        *_of_seldom_flows(account, flows_since, now),
    )


def _agreed_at(account: ExchangeAccount) -> datetime | None:
    """Tell when all agreed last, for sure: balances and lists may have been shown as they were, all of them."""
    if account.verified_at is None or account.baseline_at is None:
        return account.baseline_at
    return max(account.verified_at - SHOWN_LATE, account.baseline_at)


def _half_told_flows_since(account: ExchangeAccount, now: datetime) -> datetime | None:
    """Tell when the first movement began that has not ended, or that left lately and whose fee was not told since.

    Of one that was told without its time nobody knows: it may have been on its way for long.
    """
    is_estimate = ~Q(fees_status="")
    left = Q(Q(fees=[]) | is_estimate, kind=FlowKind.WITHDRAWAL, status=FlowStatus.DONE)
    is_recent = Q(settled_at__gt=now - TOLD_LATE) | Q(
        settled_at=None, occurred_at__gt=now - TOLD_LATE
    )
    half_told = account.flows.filter(Q(status__in=UNSETTLED) | left & is_recent)
    oldest = half_told.order_by(F("occurred_at").asc(nulls_first=True)).first()
    return None if oldest is None else oldest.occurred_at or now - LONGEST_WAY


def _first_of_flows(account: ExchangeAccount, read: set[tuple[str, str]]) -> list[Cursor]:
    """Let lists of movements begin before the baseline: what was on its way then keeps its older time."""
    if account.baseline_at is None:
        return []
    return [
        Cursor(LegKind.FLOWS, source, account.baseline_at - LONGEST_WAY)
        for source in FlowSource
        if not source.is_seldom and (LegKind.FLOWS, source) not in read
    ]


def _of_seldom_flows(
    account: ExchangeAccount, flows_since: datetime, now: datetime
) -> list[Cursor]:
    """Let lists that are read only while something differs begin when all agreed last."""
    agreed_at = _agreed_at(account) or now
    since = max(min(flows_since, agreed_at), now - SELDOM_SINCE)
    return [Cursor(LegKind.FLOWS, source, since) for source in SELDOM]


def advance_cursors(account: ExchangeAccount, legs: Iterable[Leg], findings: Findings) -> None:
    """Move each cursor as far as its list was read without a gap; tell of what no read can tell any more.

    Over a stretch of which nothing is told they move at the second look.
    """
    read = [
        leg
        for leg in legs
        if leg.kind in CURSOR_KINDS
        and leg.status is LegStatus.OBSERVED
        and leg.subject not in SELDOM
    ]
    if not read:
        return
    moved: dict[tuple[str, str], ReadCursor] = {}
    stored = {(cursor.kind, cursor.subject): cursor for cursor in account.cursors.all()}
    for leg in read:
        _note_gap(leg, findings)
        cursor = stored.get((leg.kind, leg.subject))
        if leg.since is None or leg.until is None:
            continue
        begins = cursor.covered_until if cursor else account.baseline_at
        if begins is None:
            continue
        is_forgotten = _note_forgotten(account, leg, begins, findings)
        if leg.since > begins and not is_forgotten:
            continue
        if cursor is None:
            cursor = ReadCursor(account=account, kind=leg.kind, subject=leg.subject)
        elif leg.until <= cursor.covered_until:
            continue
        _advance(cursor, leg, begins)
        cursor.pk = None
        stored[leg.kind, leg.subject] = moved[leg.kind, leg.subject] = cursor
    ReadCursor.objects.bulk_create(
        moved.values(),
        update_conflicts=True,
        unique_fields=("account", "kind", "subject"),
        update_fields=("covered_until", "empty_until"),
    )


def _advance(cursor: ReadCursor, leg: Leg, begins: datetime) -> None:
    if leg.until is not None and (leg.rows or not leg.complete):
        cursor.covered_until, cursor.empty_until = leg.until, None
    else:
        # A list that is answered with nothing may be one that is not answered.
        cursor.covered_until, cursor.empty_until = cursor.empty_until or begins, leg.until


def _note_gap(leg: Leg, findings: Findings) -> None:
    if leg.kind is not LegKind.ACCOUNT_FILLS:
        return
    key = f"coverage:{leg.subject}"
    findings.judged.add(key)
    if not leg.complete:
        findings.add(
            Finding(
                key=key,
                code=Discrepancy.Code.FILL_COVERAGE_GAP,
                severity=Severity.WARNING,
                symbol=leg.subject,
                cause=leg.why_incomplete,
            )
        )


def _note_forgotten(
    account: ExchangeAccount, leg: Leg, begins: datetime, findings: Findings
) -> bool:
    """Tell of fills that nobody read while the exchange told them; whether there may be any."""
    if leg.kind is not LegKind.ACCOUNT_FILLS or not catalogue.is_market(account.market):
        return False
    kept = catalogue.market(account.market).fills_seconds
    if kept is None or leg.until is None:
        return False
    oldest = leg.until - timedelta(seconds=kept)
    is_forgotten = begins < oldest
    if is_forgotten:
        findings.found.append(
            Finding(
                key=f"forgotten:{leg.subject}:{begins:%Y-%m-%dT%H:%M}",
                code=Discrepancy.Code.FILL_COVERAGE_GAP,
                severity=Severity.WARNING,
                symbol=leg.subject,
                cause=f"fills from {begins:%Y-%m-%d %H:%M} to {oldest:%Y-%m-%d %H:%M} UTC are no "
                f"longer told by {account.market}",
                is_certain=True,
            )
        )
    return is_forgotten
