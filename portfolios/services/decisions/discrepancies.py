"""What a person says of a discrepancy."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from portfolios.amounts import amount, plain
from portfolios.models import Discrepancy
from portfolios.services import discrepancy_decisions
from portfolios.services.decisions.doing import Doing
from portfolios.services.discrepancy_decisions import Known

State = Discrepancy.State


def discrepancy_of(doing: Doing) -> Discrepancy:
    return doing.find("discrepancy", doing.account.discrepancies.select_related("account", "order"))


def about_discrepancy(doing: Doing) -> str:
    row = discrepancy_of(doing)
    order = row.order and (row.order.external_id or row.order.client_order_id)
    return f"{row.get_code_display()}: {row.asset or order or row.symbol or row.account}"


def dismiss(doing: Doing) -> None:
    row = discrepancy_of(doing)
    _keep(doing, row)
    discrepancy_decisions.dismiss(row, doing.decision)


def acknowledge(doing: Doing) -> None:
    row = discrepancy_of(doing)
    _keep(doing, row)
    discrepancy_decisions.acknowledge(row, doing.decision, _until(doing))


def _keep(doing: Doing, row: Discrepancy) -> None:
    """Keep what the row was before, and what of it was known."""
    known, until = row.acknowledged_difference, row.acknowledged_until
    doing.kept.update(
        state=row.state,
        fingerprint=row.fingerprint if row.state == State.DISMISSED else "",
        until=until.isoformat() if until else None,
        difference=None if known is None else plain(known),
    )


def _until(doing: Doing) -> datetime | None:
    value = doing.given.get("until")
    if value is None:
        return None
    try:
        until = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:  # well formed, and yet no date
        until = None
    if until is None or timezone.is_naive(until) or until <= timezone.now():
        raise doing.refused(_("It can only be acknowledged until a time to come."))
    return until


def reopen(doing: Doing) -> None:
    row = discrepancy_of(doing)
    _keep(doing, row)
    discrepancy_decisions.reopen(row, doing.decision)


def close_again(doing: Doing, done: Doing) -> None:
    """Put what was opened again back to what a person had made of it."""
    row = discrepancy_of(done)
    then = done.kept.get("fingerprint", "")
    if done.kept["state"] == State.DISMISSED and not then:
        discrepancy_decisions.dismiss(row, doing.decision)
        return
    discrepancy_decisions.put_aside_again(row, doing.decision, _known(done), then)


def undo(doing: Doing, done: Doing) -> None:
    known = _known(done) if done.kept["state"] == State.ACKNOWLEDGED else None
    discrepancy_decisions.undo(discrepancy_of(done), doing.decision, known)


def _known(done: Doing) -> Known:
    until, told = done.kept["until"], done.kept["difference"]
    return Known(
        difference=None if told is None else amount(told),
        until=None if until is None else parse_datetime(until),
    )
