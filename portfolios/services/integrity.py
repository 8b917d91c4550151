"""Whether what is stored of an account still adds up; while it does not, nothing is booked on top of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal, Inexact, InvalidOperation
from typing import Any, Final

from django.db import transaction
from django.db.models import Aggregate, F, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.translation import gettext as _

from portfolios.amounts import amount, exact_sum, plain
from portfolios.models import Discrepancy, ExchangeAccount, Order, Portfolio, Position, SyncRun
from portfolios.models.choices import Severity
from portfolios.models.order import OPEN_STATUSES
from portfolios.reconciliation.verification import Check, Difference, unequal
from portfolios.services.accounts import disturb
from portfolios.services.discrepancies import Finding, record_findings
from portfolios.services.incidents import record_incident
from portfolios.services.ledger import rewrite_reserved
from portfolios.services.verification import verify_books
from providers.errors import OursToFix
from providers.reports import LegError

ZERO = Decimal(0)
KEY: Final = "integrity"
OPERATION: Final = "sync.integrity"
# What `rebuild_positions` puts right, since the ledger has it.
REBUILT: Final = frozenset({Check.POSITION, Check.COST, Check.REALIZED_GAIN, Check.OVERFILL})
# A sync writes it anew: it is no reason not to sync.
HEALED_BY_A_SYNC: Final = frozenset({Check.RESERVED})
_LONGEST: Final = 200
Owned = tuple[int | None, str]


class UnreadableAmount(ValueError):
    """What is stored where an amount should be is none."""


@dataclass(frozen=True, slots=True)
class Break:
    """The first place at which what is stored does not add up, in words and numbers."""

    check: Check | None
    message: str
    asset: str = ""
    owner: int | None = None
    stored: Decimal | None = None


class _Listed(Aggregate):
    """All values of a group in one text: neither database adds up our amounts exactly for us."""

    function = "group_concat"
    template = "%(function)s(%(expressions)s, ' ')"
    output_field = TextField()

    def as_postgresql(self, *args: Any, **extra: Any) -> Any:
        return self.as_sql(*args, function="string_agg", **extra)


def check_integrity(account: ExchangeAccount, run: SyncRun | None) -> bool:
    """Prove what is stored of `account` before anything is booked on it; whether it may be.

    The sums of positions and fills are checked each time, everything as `verify_books` does once a day and while the
    account is read-only. At the first break it becomes read-only, with an incident and a discrepancy that names the
    numbers; found whole again, it is so no more.

    Parameters
    ----------
    run : SyncRun or None
        The run that is about to book; None if a person asks, who gets the whole check.
    """
    is_thorough = run is None or bool(account.read_only_because) or _is_first_of_its_day(run)
    found = first_break(account, is_thorough=is_thorough)
    if found is not None or account.read_only_because:
        _note(account, found, run)
    return found is None


def _is_first_of_its_day(run: SyncRun) -> bool:
    """Whether `run` is the one of its day that has everything proved."""
    earlier = run.account.runs.filter(pk__lt=run.pk).order_by("-pk")
    latest = earlier.values_list("queued_at", flat=True).first()
    if latest is None:  # nothing of ours was stored by a run yet
        return False
    return latest.date() != run.queued_at.date()


@transaction.atomic
def _note(account: ExchangeAccount, found: Break | None, run: SyncRun | None) -> None:
    ExchangeAccount.objects.select_for_update().get(pk=account.pk)
    because = "" if found is None else found.message[:_LONGEST]
    if because != account.read_only_because:
        account.read_only_because = because
        account.save(update_fields=["read_only_because"])
        disturb([account.pk])
        if because:
            error = LegError(OursToFix.category, "LocalIntegrity", because)
            record_incident(account, error, OPERATION, run=run)
    findings = [] if found is None else [_finding(account, found)]
    record_findings(account, findings, {KEY}, timezone.now(), run)


def _finding(account: ExchangeAccount, found: Break) -> Finding:
    remedy = _("Restore a backup.")
    if found.check in REBUILT:
        command = _("Run manage.py rebuild_positions --account %(label)s.")
        remedy = command % {"label": account.label}
    return Finding(
        key=KEY,
        code=Discrepancy.Code.LOCAL_INTEGRITY,
        severity=Severity.CRITICAL,
        portfolio=account.portfolios.filter(pk=found.owner or 0).first(),
        asset=found.asset,
        book=found.stored,
        # What to do comes first: the numbers may be long.
        cause=f"{remedy} {found.message}",
        is_certain=True,
    )


def first_break(account: ExchangeAccount, *, is_thorough: bool = False) -> Break | None:
    """Find the first place at which what is stored of `account` does not add up.

    Parameters
    ----------
    is_thorough : bool
        Whether everything is recomputed from its facts, instead of the sums of positions and fills alone.
    """
    try:
        return next(_breaks(account, is_thorough=is_thorough), None)
    except UnreadableAmount as e:
        return Break(None, str(e))
    except InvalidOperation:  # of a number that the cheap check does not read
        return Break(None, _("a stored number cannot be read"))


def _breaks(account: ExchangeAccount, *, is_thorough: bool) -> Iterator[Break]:
    yield from _unequal_positions(account)
    for order in _overfilled(account):
        where = _("filled of order %(id)s") % {"id": order.external_id}
        numbers = _numbers_of(order.filled or _("nothing"), plain(order.of_fills))
        yield Break(Check.OVERFILL, f"{where}: {numbers}", order.base)
    if is_thorough:
        found = verify_books([account.label])
        if found.difference is not None and found.difference.check not in HEALED_BY_A_SYNC:
            yield _break(found.difference, found.portfolio)


def _unequal_positions(account: ExchangeAccount) -> Iterator[Break]:
    checks = {"amount": Check.POSITION, "cost": Check.COST}
    booked = _sums(account.ledger_entries.all(), *checks)
    try:
        stored = _sums(account.positions.all(), *checks)
    except UnreadableAmount as e:
        yield Break(Check.POSITION, str(e))
        return
    for column, check in checks.items():
        for (owner, asset), is_amount, should_be in unequal(stored[column], booked[column]):
            name = account.portfolios.filter(pk=owner or 0).values_list("name", flat=True).first()
            yield _break(Difference(check, is_amount, should_be, asset, owner), name)


def _sums(rows: QuerySet[Any], *columns: str) -> dict[str, dict[Owned, Decimal]]:
    """Sum each of the columns by owner and asset, in one query and exactly.

    Raises
    ------
    UnreadableAmount
        If one of its values is no number.
    """
    groups = rows.order_by().values_list("portfolio_id", "asset")
    texts = {f"all_{column}": _Listed(Cast(F(column), TextField())) for column in columns}
    sums: dict[str, dict[Owned, Decimal]] = {column: {} for column in columns}
    for owner, asset, *listed in groups.annotate(**texts):
        for column, text in zip(columns, listed, strict=True):
            sums[column][owner, asset] = _sum(text, asset)
    return sums


def _sum(listed: str | None, name: str) -> Decimal:
    texts = (listed or "").split()
    with suppress(InvalidOperation, Inexact):
        total = exact_sum(map(Decimal, texts))
        if total.is_finite():
            return total
    wrong = next((text for text in texts if not _is_amount(text)), "")
    said = _("%(name)s: %(text)s is stored as an amount, and is none")
    raise UnreadableAmount(said % {"name": name, "text": repr(wrong[:40])})


def _is_amount(text: str) -> bool:
    try:
        amount(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Overfilled:
    pk: int
    external_id: str
    base: str
    filled: str
    of_fills: Decimal


def _overfilled(account: ExchangeAccount) -> Iterator[_Overfilled]:
    """Find ended orders with more fills than is filled, where no discrepancy tells of it.

    Those of an open one may have been read after it.
    """
    ended = account.orders.exclude(status__in=OPEN_STATUSES)
    rows = (
        ended.filter(discrepancy=None, fills__isnull=False)
        .order_by()
        .values_list("pk", "external_id", "symbol", Cast("filled", TextField()))
        .annotate(listed=_Listed(Cast("fills__amount", TextField())))
    )
    for pk, external_id, symbol, filled, listed in list(rows):
        of_fills = _sum(listed, external_id)
        if not _is_at_least(filled, of_fills):
            yield _Overfilled(pk, external_id, symbol.split("/", 1)[0], filled, of_fills)


def _is_at_least(text: str, number: Decimal) -> bool:
    return _is_amount(text) and amount(text) >= number


def _break(found: Difference, portfolio: str | None) -> Break:
    where = [
        found.check.value,
        found.asset,
        _("of %(name)s") % {"name": portfolio} if portfolio else "",
        _("order %(id)s") % {"id": found.order} if found.order else "",
        _("fill %(id)s") % {"id": found.fill} if found.fill else "",
        _("flow %(id)s") % {"id": found.flow} if found.flow else "",
    ]
    numbers = _numbers_of(_digits(found.stored), _digits(found.recomputed))
    said = f"{' '.join(filter(None, where))}: {numbers}"
    return Break(found.check, said, found.asset, found.owner, found.stored)


def _numbers_of(stored: str, recomputed: str) -> str:
    said = _("%(stored)s stored, %(recomputed)s recomputed")
    return said % {"stored": stored, "recomputed": recomputed}


def _digits(number: Decimal | None) -> str:
    return _("nothing") if number is None else plain(number)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """One stored amount that was not what the ledger, or the fills, make it; `before` as it was written."""

    what: str
    before: str
    after: Decimal


@transaction.atomic
def rebuild_positions(account: ExchangeAccount) -> list[Rebuilt]:
    """Write positions, costs and gains anew from the ledger, and what ended orders have filled from their fills.

    Nothing is guessed: the ledger and the fills are append-only, the rest is their sums.

    Raises
    ------
    UnreadableAmount
        If an amount of the ledger or of a fill is none; nothing is changed then.
    """
    ExchangeAccount.objects.select_for_update().get(pk=account.pk)
    done = [*_rebuild_orders(account), *_rebuild_positions(account), *_rebuild_gains(account)]
    rewrite_reserved(account)
    disturb([account.pk])
    return done


def _rebuild_orders(account: ExchangeAccount) -> Iterator[Rebuilt]:
    for order in _overfilled(account):
        Order.objects.filter(pk=order.pk).update(filled=order.of_fills)
        what = _("filled of order %(id)s") % {"id": order.external_id}
        yield Rebuilt(what, order.filled, order.of_fills)


def _rebuild_positions(account: ExchangeAccount) -> Iterator[Rebuilt]:
    names = dict(account.portfolios.values_list("pk", "name"))
    entries = account.ledger_entries.all()
    booked = _sums(entries, "amount", "cost")
    texts = [Cast(column, TextField()) for column in booked]
    rows = account.positions.order_by("pk").values_list("portfolio_id", "asset", *texts)
    stored = {(owner, asset): before for owner, asset, *before in rows}
    for owner, asset in dict.fromkeys([*stored, *booked["amount"]]):
        after = {column: sums.get((owner, asset), ZERO) for column, sums in booked.items()}
        if (owner, asset) in stored:
            of_owner = account.positions.filter(portfolio=owner, asset=asset)
            of_owner.update(**after, reserved=ZERO)  # that of the open orders is written last
        else:
            Position.objects.create(account=account, portfolio_id=owner, asset=asset, **after)
        name = _("%(asset)s of %(owner)s") % {
            "asset": asset,
            "owner": _("the unassigned part") if owner is None else names.get(owner, owner),
        }
        before = stored.get((owner, asset), ["", ""])
        for (column, number), text in zip(after.items(), before, strict=True):
            if not _is_written(text, number):
                yield Rebuilt(f"{column} {name}", text, number)


def _rebuild_gains(account: ExchangeAccount) -> Iterator[Rebuilt]:
    booked: defaultdict[int | None, Decimal] = defaultdict(Decimal)
    for (owner, _asset), gain in _sums(account.ledger_entries.all(), "gain")["gain"].items():
        booked[owner] = exact_sum((booked[owner], gain))
    texts = account.portfolios.values_list("pk", "name", Cast("realized_gain", TextField()))
    for pk, name, before in list(texts):
        if not _is_written(before, booked[pk]):
            Portfolio.objects.filter(pk=pk).update(realized_gain=booked[pk])
            yield Rebuilt(_("gain of %(name)s") % {"name": name}, before, booked[pk])


def _is_written(text: str, number: Decimal) -> bool:
    return _is_amount(text) and amount(text) == number
