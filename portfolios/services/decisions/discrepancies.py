"""What a person says of a discrepancy."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from portfolios.models import Discrepancy
from portfolios.services import discrepancies
from portfolios.services.decisions.doing import Doing

State = Discrepancy.State


def discrepancy_of(doing: Doing) -> Discrepancy:
    return doing.find("discrepancy", doing.account.discrepancies.select_related("account", "order"))


def about_discrepancy(doing: Doing) -> str:
    row = discrepancy_of(doing)
    order = row.order and (row.order.external_id or row.order.client_order_id)
    return f"{row.get_code_display()}: {row.asset or order or row.symbol or row.account}"


def dismiss(doing: Doing) -> None:
    discrepancies.dismiss(discrepancy_of(doing), doing.decision)


def acknowledge(doing: Doing) -> None:
    discrepancies.acknowledge(discrepancy_of(doing), doing.decision, _until(doing))


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
    until = row.acknowledged_until
    doing.kept.update(state=row.state, until=until.isoformat() if until else None)
    discrepancies.reopen(row, doing.decision)


def close_again(doing: Doing, done: Doing) -> None:
    """Put what was opened again back to what a person had made of it."""
    row = discrepancy_of(done)
    if done.kept["state"] == State.DISMISSED:
        discrepancies.dismiss(row, doing.decision)
        return
    until = parse_datetime(done.kept["until"]) if done.kept["until"] else None
    discrepancies.acknowledge(row, doing.decision, until)


def undo(doing: Doing, done: Doing) -> None:
    discrepancies.undo(discrepancy_of(done), doing.decision)
