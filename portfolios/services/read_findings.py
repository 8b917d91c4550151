"""What has gone unread or unproved for long, and no exception or difference of a balance tells already.

An incident tells that a read failed, and how often; not that it is missing still, nor of what was read and cut short.
An account of which nothing can be read is failing, which its health tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q

from portfolios.models import Discrepancy, ExchangeAccount, StoredLeg
from portfolios.models.choices import Severity, Verdict
from portfolios.services.discrepancies import BALANCE_CODES, Finding, Findings
from portfolios.services.schedules import longest_gap, schedule_of
from providers.reports import Leg, LegKind, LegStatus

Code = Discrepancy.Code
# Of fills that were cut short `FILL_COVERAGE_GAP` tells; single orders have findings of their own.
_KINDS: Final = (
    LegKind.BALANCES,
    LegKind.OPEN_ORDERS,
    LegKind.TRIGGER_ORDERS,
    LegKind.ACCOUNT_FILLS,
    LegKind.FLOWS,
)
_FAILED: Final = Q(status=LegStatus.FAILED)
_CUT_SHORT: Final = Q(status=LegStatus.OBSERVED, complete=False)
# So many runs in a row that had to read a part, and could not read all of it.
_RUNS: Final = 3
_WARNS_AFTER: Final = timedelta(hours=1)
# Books that are read, and for so long not once agreed in every asset; four times as long is an error.
_STALE_AFTER: Final = timedelta(hours=6)
_STALE_INTERVALS: Final = 3
_ERROR_AFTER: Final = 4
_SHOWN: Final = 5


def find_partial_reads(
    account: ExchangeAccount, legs: Sequence[Leg], now: datetime, findings: Findings
) -> None:
    """Tell of each kind of read that fails or is cut short run after run, while others succeed."""
    if all(leg.status is not LegStatus.OBSERVED for leg in legs):
        return
    for kind in _KINDS:
        of_kind = [leg for leg in legs if leg.kind is kind and leg.status is not LegStatus.SKIPPED]
        if not of_kind:
            continue
        key = f"partial:{kind}"
        findings.judged.add(key)
        broken = [leg for leg in of_kind if _is_broken(leg)]
        if broken and _has_lasted(account, kind):
            findings.add(
                Finding(
                    key=key,
                    code=Code.SNAPSHOT_PARTIAL,
                    severity=_severity(account, key, now),
                    symbol=broken[0].subject if len(broken) == 1 else "",
                    cause=_words(kind, broken),
                    is_certain=True,
                )
            )


def _is_broken(leg: Leg) -> bool:
    if leg.status is LegStatus.FAILED:
        return True
    is_cut_short = leg.status is LegStatus.OBSERVED and not leg.complete
    return is_cut_short and leg.kind is not LegKind.ACCOUNT_FILLS


def _has_lasted(account: ExchangeAccount, kind: LegKind) -> bool:
    """Whether the last runs that had to read the kind, this one included, could not read all of it."""
    read = StoredLeg.objects.filter(run__account=account, kind=kind)
    runs = (
        read.exclude(status=LegStatus.SKIPPED).order_by("-run_id").values_list("run_id", flat=True)
    )
    last = list(runs.distinct()[:_RUNS])
    is_broken = _FAILED if kind is LegKind.ACCOUNT_FILLS else _FAILED | _CUT_SHORT
    broken = set(read.filter(is_broken, run__in=last).order_by().values_list("run_id", flat=True))
    return len(broken) == _RUNS


def _severity(account: ExchangeAccount, key: str, now: datetime) -> Severity:
    told = account.discrepancies.filter(key=key, state__in=Discrepancy.LIVE)
    is_old = told.filter(first_seen__lte=now - _WARNS_AFTER).exists()
    return Severity.WARNING if is_old else Severity.NOTICE


def _words(kind: LegKind, broken: Sequence[Leg]) -> str:
    leg = broken[0]
    why = leg.error.message if leg.error else leg.why_incomplete
    more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
    return f"{kind} {leg.subject}{more}: {why}"


def find_staleness(account: ExchangeAccount, now: datetime, findings: Findings) -> None:
    """Tell of books that are read and compared, and for long did not agree in every asset at once.

    Where an asset differs, that is what is told.
    """
    since = account.verified_at or account.baseline_at
    if since is None or findings.live(account, *BALANCE_CODES):
        return
    findings.judged.add("stale")
    # Reckoned only where it matters: a cron takes some time.
    if now - since <= _STALE_AFTER:
        return
    bound = max(_STALE_AFTER, _STALE_INTERVALS * longest_gap(schedule_of(account), now))
    # What differs and is told no more was dismissed by somebody.
    if now - since <= bound or account.balances.filter(verdict=Verdict.DIFFERS).exists():
        return
    severity = Severity.ERROR if now - since > _ERROR_AFTER * bound else Severity.WARNING
    findings.add(
        Finding(
            key="stale",
            code=Code.SNAPSHOT_STALE,
            severity=severity if _is_doubtful(account) else Severity.NOTICE,
            cause=_unproved(account),
        )
    )


def _is_doubtful(account: ExchangeAccount) -> bool:
    """Whether more than trading, which never pauses for as long as the lag, keeps the account from being proved."""
    agrees = (Verdict.VERIFIED, Verdict.CONSISTENT)
    return account.balances.exclude(verdict__in=agrees).exists()


def _unproved(account: ExchangeAccount) -> str:
    rows = account.balances.exclude(verdict=Verdict.VERIFIED).order_by("asset", "wallet")
    names = [f"{row.asset} {row.get_verdict_display()}" for row in rows[: _SHOWN + 1]]
    if not names:
        return "what was read waits for lists that could not be read"
    return ", ".join([*names[:_SHOWN], *(["…"] if len(names) > _SHOWN else [])])
