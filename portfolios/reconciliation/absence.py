"""The ladder from an exchange's first denial of an order to the conclusion that it does not have it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from providers.reports import Leg, LegKind, LegStatus, OrderReport

NO_TIME: Final = timedelta(0)
_PROOF: Final = 3
_NOT_FOUND: Final = "not_found"


class Conclusion(StrEnum):
    NONE = "none"
    MISSING_AT_VENUE = "missing_at_venue"
    RETENTION_EXPIRED = "retention_expired"


@dataclass(frozen=True, slots=True)
class Absence:
    """What the looks for one order have proved so far.

    Parameters
    ----------
    strikes : int
        Looks that found it nowhere, with nothing left out.
    last_strike_at : datetime or None
        By a clock that only goes on as time passes.
    missing_since : datetime or None
        When the exchange first denied it; None if it has not, or has shown it since.
    """

    strikes: int = 0
    last_strike_at: datetime | None = None
    missing_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What one snapshot says of one order.

    Parameters
    ----------
    is_whole : bool
        Whether every place where the order could be was looked through, or cannot be asked on that market.
    looked_at : datetime
        By our clock.
    clock_offset : timedelta
        By how much the exchange's clock was ahead of ours then.
    """

    is_denied: bool
    is_whole: bool
    looked_at: datetime
    clock_offset: timedelta = NO_TIME

    def since(self, moment: datetime) -> timedelta:
        """Tell how long before the look `moment` was, which is by the exchange's clock."""
        return self.looked_at + self.clock_offset - moment


def looks_at(
    subject: str,
    legs: Sequence[Leg],
    *,
    symbol: str = "",
    is_trigger: bool,
    triggers_apart: bool,
    is_plausible: bool,
) -> Look | None:
    """Tell what `legs` say of one order; None if they say nothing: it was not asked for, or the answer failed.

    Parameters
    ----------
    subject : str
        The order's external id or, if it has none, its client id.
    symbol : str
        The order's; of lists that are read by symbol only its own matters.
    triggers_apart : bool
        Whether the market lists orders that wait for a price apart from the others.
    is_plausible : bool
        Whether the lists of the snapshot are to be believed.
    """
    shown = next((leg for leg in legs if _shows(leg, subject)), None)
    if shown is not None:
        return Look(is_denied=False, is_whole=True, looked_at=shown.responded_at)
    of_order = {leg.kind: leg for leg in legs if leg.subject == subject}
    denial = _denial(of_order.get(LegKind.ORDER), of_order.get(LegKind.ENDED_ORDERS))
    if denial is None:
        return None
    lists = [LegKind.OPEN_ORDERS]
    if is_trigger and triggers_apart:
        lists.append(LegKind.TRIGGER_ORDERS)
    is_whole = (
        is_plausible
        and all(_is_read(legs, kind, symbol) for kind in lists)
        and _is_searched(of_order.get(LegKind.ENDED_ORDERS))
        and _is_searched(of_order.get(LegKind.FILLS))
    )
    offset = timedelta(seconds=denial.clock_offset)
    return Look(
        is_denied=True, is_whole=is_whole, looked_at=denial.responded_at, clock_offset=offset
    )


def _shows(leg: Leg, subject: str) -> bool:
    rows = (row for row in leg.rows if isinstance(row, OrderReport))
    return any(subject in (row.external_id, row.client_order_id) for row in rows)


def _denial(asked: Leg | None, searched: Leg | None) -> Leg | None:
    """Find the leg that says that there is no such order."""
    if asked is None:
        return None
    if asked.status is LegStatus.UNSUPPORTED:
        # Where no single order can be asked for, only the list of those that ended can deny it.
        return searched if searched is not None and _is_complete(searched) else None
    is_denied = asked.error is not None and asked.error.category == _NOT_FOUND
    return asked if is_denied else None


def _is_read(legs: Iterable[Leg], kind: LegKind, symbol: str) -> bool:
    found = [_is_complete(leg) for leg in legs if leg.kind is kind and leg.subject in ("", symbol)]
    return bool(found) and all(found)


def _is_searched(leg: Leg | None) -> bool:
    return leg is not None and (leg.status is LegStatus.UNSUPPORTED or _is_complete(leg))


def _is_complete(leg: Leg) -> bool:
    return leg.status is LegStatus.OBSERVED and leg.complete


def next_absence(
    absence: Absence,
    look: Look,
    grace: timedelta,
    *,
    age: timedelta | None = None,
    was_set: timedelta = NO_TIME,
) -> Absence:
    """Count one look.

    Only a whole one at least `grace` after the last that counted is a strike; an order that is seen starts anew.

    Parameters
    ----------
    was_set : timedelta
        By how much our clock was set forward since it was first read: so much has not passed.
    age : timedelta or None
        Since the order was sent. Younger than `grace`, the exchange may not know it yet and nothing is counted.
    """
    if not look.is_denied:
        return Absence()
    if age is not None and age < grace:
        return absence
    missing_since = absence.missing_since or look.looked_at
    last, now = absence.last_strike_at, look.looked_at - was_set
    if not look.is_whole or (last is not None and NO_TIME <= now - last < grace):
        return Absence(absence.strikes, last, missing_since)
    # Another host's clock, or that of another boot, may be behind: what has passed since then is not known.
    is_behind = last is not None and now < last
    strikes = absence.strikes if is_behind else min(absence.strikes + 1, _PROOF)
    return Absence(strikes, now, missing_since)


def conclusion(  # noqa: PLR0913 - every clock of one judgement
    absence: Absence,
    *,
    last_known_at: datetime,
    now: datetime,
    age: timedelta,
    grace: timedelta,
    lag: timedelta,
    retention: timedelta | None,
) -> Conclusion:
    """Conclude from three strikes; what was last alive before the exchange's memory begins has been forgotten.

    Parameters
    ----------
    last_known_at : datetime
        The order's last sign of life.
    retention : timedelta or None
        How long the exchange tells of orders that ended; None if nobody knows, which is not for ever.
    """
    if absence.strikes < _PROOF or age <= max(grace, 2 * lag):
        return Conclusion.NONE
    first_look = absence.missing_since or now
    if retention is not None and first_look - last_known_at > retention:
        return Conclusion.RETENTION_EXPIRED
    return Conclusion.MISSING_AT_VENUE


def may_lapse(reached: Conclusion, *, has_fill_coverage: bool, is_lock_gone: bool) -> bool:
    """Whether an order may end by itself: all its fills are read, and nothing is locked for it any more."""
    return reached is not Conclusion.NONE and has_fill_coverage and is_lock_gone
