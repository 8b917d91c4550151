"""What a person makes of a discrepancy: known, dismissed, opened again; and how each is taken back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.utils import timezone
from django.utils.translation import gettext as _

from portfolios.models import Decision, Discrepancy
from portfolios.reconciliation.fingerprints import Extent, fingerprint
from portfolios.services.discrepancy_turns import By, move

State = Discrepancy.State


class DiscrepancyRefused(Exception):
    """What a person decided is not possible for the discrepancy as it is; nothing has changed."""


@dataclass(frozen=True, slots=True)
class Known:
    """How much was acknowledged, and until when; None for as long as it lasts."""

    difference: Decimal | None
    until: datetime | None


def dismiss(row: Discrepancy, decision: Decision) -> None:
    """Tell it no more while the same is found; another amount or kind begins a new episode.

    Raises
    ------
    DiscrepancyRefused
        If it is not live any more.
    """
    _refuse_unless(row, row.is_live)
    is_exact = row.low is None or row.high is None
    extent = Extent(row.difference, row.difference) if is_exact else Extent(row.low, row.high)
    row.fingerprint = fingerprint(row.code, extent)
    _decide(row, State.DISMISSED, decision)


def acknowledge(row: Discrepancy, decision: Decision, until: datetime | None) -> None:
    """Take it as known until `until`, None for as long as it lasts; it opens again when it grows.

    A suspicion is taken as real by this.

    Raises
    ------
    DiscrepancyRefused
        If it is not live any more.
    """
    _refuse_unless(row, row.is_live)
    row.acknowledged_difference, row.acknowledged_until = row.difference, until
    _decide(row, State.ACKNOWLEDGED, decision)


def put_aside_again(
    row: Discrepancy, decision: Decision, known: Known, fingerprint_then: str = ""
) -> None:
    """Dismiss or acknowledge it as it was before it was opened again; what has grown since is told by the next look.

    Parameters
    ----------
    fingerprint_then : str
        Of what was dismissed; empty if it was acknowledged.

    Raises
    ------
    DiscrepancyRefused
        If it is not live any more.
    """
    _refuse_unless(row, row.is_live)
    if fingerprint_then:
        row.fingerprint = fingerprint_then
        _decide(row, State.DISMISSED, decision)
        return
    row.acknowledged_difference, row.acknowledged_until = known.difference, known.until
    _decide(row, State.ACKNOWLEDGED, decision)


def reopen(row: Discrepancy, decision: Decision) -> None:
    """Open what was dismissed or acknowledged again, in the same episode.

    Raises
    ------
    DiscrepancyRefused
        If it is neither.
    """
    _refuse_unless(row, row.state in (State.DISMISSED, State.ACKNOWLEDGED))
    _decide(row, State.OPEN, decision)


def undo(row: Discrepancy, decision: Decision, known: Known | None = None) -> None:
    """Put the row back into the state that it had before the decision which `decision` takes back.

    Parameters
    ----------
    known : Known or None
        What had been acknowledged before, if anything was.

    Raises
    ------
    DiscrepancyRefused
        If the row has moved since, or had been put aside before and it is not known how: that is to be decided anew.
    """
    last = row.events.last()
    if last is None or last.decision_id is None or last.decision_id != decision.reverses_id:
        raise _refused(row)
    if last.before == State.ACKNOWLEDGED and known is not None:
        row.acknowledged_difference, row.acknowledged_until = known.difference, known.until
        _decide(row, State.ACKNOWLEDGED, decision)
        return
    if last.before not in (State.SUSPECTED, State.OPEN):
        raise _refused(row)
    if last.before == State.SUSPECTED:
        row.opened_at = None
    row.fingerprint = ""
    _decide(row, last.before, decision)


def put_back(decision: Decision) -> None:
    """Put back what the decision had resolved that `decision` takes back; what moved on since stays where it is.

    What had been acknowledged is open again: to take it as known is to be decided anew.
    """
    resolved = Discrepancy.objects.filter(events__decision=decision.reverses, state=State.RESOLVED)
    for row in resolved.select_related("account"):
        last = row.events.last()
        if last is None or last.decision_id != decision.reverses_id:
            continue
        if last.before == State.ACKNOWLEDGED:
            _decide(row, State.OPEN, decision)
        else:
            undo(row, decision)


def _decide(row: Discrepancy, state: str, decision: Decision) -> None:
    move(row, state, decision.reason, By(at=timezone.now(), decision=decision))


def _refuse_unless(row: Discrepancy, is_possible: bool) -> None:
    if not is_possible:
        raise _refused(row)


def _refused(row: Discrepancy) -> DiscrepancyRefused:
    return DiscrepancyRefused(
        _(
            "“%(what)s” of account %(account)s is “%(state)s” by now, which does not allow this. "
            "Nothing was changed; look at the discrepancy again and decide by what it says."
        )
        % {
            "what": f"{row.get_code_display()} {row.asset or row.symbol}".strip(),
            "account": row.account,
            "state": row.get_state_display(),
        }
    )
