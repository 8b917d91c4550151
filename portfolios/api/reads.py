"""The lists that the pages show, as JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from ninja import Query, Router
from ninja.errors import HttpError

from portfolios.api import queries, schemas
from portfolios.api.auth import TokenAuth, token_of
from portfolios.api.queries import Label, Name, Paging, clean
from portfolios.models import ApiToken, ExchangeAccount, Portfolio, PortfolioSnapshot
from portfolios.selectors.audit import Narrowing, audit_rows, audit_trail
from portfolios.selectors.exports import TABLES
from portfolios.selectors.report import Row, portfolio_row
from portfolios.selectors.rows import schedule_row, snapshot_row, standing_rows
from portfolios.selectors.standings import standings

REFUSALS: Final = {
    400: schemas.Problem,
    401: schemas.Problem,
    403: schemas.Problem,
    404: schemas.Problem,
    422: schemas.Invalid,
}
# Where the name of a field is not that of the parameter.
_FIELDS: Final = {"account": "account__label", "portfolio": "portfolio__name"}

router = Router(auth=TokenAuth(ApiToken.Scope.READ))


def page_of(rows: QuerySet[Any], row: Callable[[Any], Row], paging: Paging) -> dict[str, Any]:
    part = rows[paging.offset : paging.offset + paging.limit]
    return {"items": [row(one) for one in part], "count": rows.count()}


def _narrowed(rows: QuerySet[Any], asked: Paging, **fields: str) -> QuerySet[Any]:
    """Keep the rows that have what was asked for; `fields` name columns that are called otherwise there."""
    columns = _FIELDS | fields
    given = asked.dict(exclude={"limit", "offset"}, exclude_none=True)
    wanted = {
        columns.get(name, name): clean(value) if isinstance(value, str) else value
        for name, value in given.items()
    }
    return rows.filter(**wanted)


def _listed(name: str, asked: Paging, **fields: str) -> dict[str, Any]:
    table = TABLES[name]
    return page_of(_narrowed(table.rows(), asked, **fields).order_by("-pk"), table.row, asked)


@router.get(
    "/accounts",
    summary=gettext_noop("List the accounts, their health and state."),
    response={200: schemas.Page[schemas.Account], **REFUSALS},
)
def accounts(request: HttpRequest, asked: Query[Paging]) -> dict[str, Any]:
    rows = ExchangeAccount.objects.order_by("label")
    keys = list(rows.values_list("pk", flat=True)[asked.offset : asked.offset + asked.limit])
    part = standings(rows.filter(pk__in=keys), timezone.now())
    return {"items": list(standing_rows(part)), "count": rows.count()}


@router.get(
    "/accounts/{path:label}",
    summary=gettext_noop("Show one account."),
    response={200: schemas.Account, **REFUSALS},
)
def account(request: HttpRequest, label: Label) -> Row:
    found = get_object_or_404(ExchangeAccount, label=clean(label))
    part = standings(ExchangeAccount.objects.filter(pk=found.pk), timezone.now())
    [row] = standing_rows(part)
    return row


@router.get(
    "/schedules",
    summary=gettext_noop("List when each account is synced, and its next times."),
    response={200: schemas.Page[schemas.Schedule], **REFUSALS},
)
def schedules(request: HttpRequest, asked: Query[queries.OfAccount]) -> dict[str, Any]:
    now = timezone.now()
    rows = _narrowed(ExchangeAccount.objects.order_by("label"), asked, account="label")
    return page_of(rows, lambda account: schedule_row(account, now), asked)


@router.get(
    "/portfolios",
    summary=gettext_noop("List the portfolios with their positions."),
    response={200: schemas.Page[schemas.Portfolio], **REFUSALS},
)
def portfolios(request: HttpRequest, asked: Query[queries.OfAccount]) -> dict[str, Any]:
    rows = Portfolio.objects.select_related("account").prefetch_related("positions")
    return page_of(_narrowed(rows, asked).order_by("name"), portfolio_row, asked)


@router.get(
    "/portfolios/{path:name}",
    summary=gettext_noop("Show one portfolio with its positions."),
    response={200: schemas.Portfolio, **REFUSALS},
)
def portfolio(request: HttpRequest, name: Name) -> Row:
    found = Portfolio.objects.select_related("account").prefetch_related("positions")
    return portfolio_row(get_object_or_404(found, name=clean(name)))


@router.get(
    "/history",
    summary=gettext_noop(
        "List what the portfolios were after each change, and their value at cost."
    ),
    response={200: schemas.Page[schemas.Snapshot], **REFUSALS},
)
def history(request: HttpRequest, asked: Query[queries.OfPortfolio]) -> dict[str, Any]:
    rows = PortfolioSnapshot.objects.select_related("portfolio").order_by("-pk")
    return page_of(_narrowed(rows, asked, account="portfolio__account__label"), snapshot_row, asked)


@router.get(
    "/positions",
    summary=gettext_noop("List who owns what; the part of nobody has no portfolio."),
    response={200: schemas.Page[schemas.OwnedPosition], **REFUSALS},
)
def positions(request: HttpRequest, asked: Query[queries.OfPortfolio]) -> dict[str, Any]:
    return _listed("positions", asked)


@router.get(
    "/orders",
    summary=gettext_noop("List the orders, the newest first; those of nobody have no portfolio."),
    response={200: schemas.Page[schemas.Order], **REFUSALS},
)
def orders(request: HttpRequest, asked: Query[queries.Orders]) -> dict[str, Any]:
    return _listed("orders", asked)


@router.get(
    "/fills",
    summary=gettext_noop("List the fills, the newest first."),
    response={200: schemas.Page[schemas.Fill], **REFUSALS},
)
def fills(request: HttpRequest, asked: Query[queries.Fills]) -> dict[str, Any]:
    return _listed("fills", asked, portfolio="order__portfolio__name")


@router.get(
    "/flows",
    summary=gettext_noop("List deposits, withdrawals and other movements, the newest first."),
    response={200: schemas.Page[schemas.Flow], **REFUSALS},
)
def flows(request: HttpRequest, asked: Query[queries.Flows]) -> dict[str, Any]:
    return _listed("flows", asked)


@router.get(
    "/ledger",
    summary=gettext_noop("List the ledger entries, the newest first."),
    response={200: schemas.Page[schemas.Entry], **REFUSALS},
)
def ledger(request: HttpRequest, asked: Query[queries.Entries]) -> dict[str, Any]:
    return _listed("ledger", asked)


@router.get(
    "/balances",
    summary=gettext_noop("List every asset with its last settled verdict."),
    response={200: schemas.Page[schemas.Balance], **REFUSALS},
)
def balances(request: HttpRequest, asked: Query[queries.Balances]) -> dict[str, Any]:
    return _listed("balances", asked)


@router.get(
    "/discrepancies",
    summary=gettext_noop("List the discrepancies, the newest first, in whatever state."),
    response={200: schemas.Page[schemas.Discrepancy], **REFUSALS},
)
def discrepancies(request: HttpRequest, asked: Query[queries.Discrepancies]) -> dict[str, Any]:
    return _listed("discrepancies", asked)


@router.get(
    "/incidents",
    summary=gettext_noop("List the exceptions, grouped, the newest first."),
    response={200: schemas.Page[schemas.Incident], **REFUSALS},
)
def incidents(request: HttpRequest, asked: Query[queries.Incidents]) -> dict[str, Any]:
    return _listed("exceptions", asked)


@router.get(
    "/runs",
    summary=gettext_noop("List the sync runs, the newest first."),
    response={200: schemas.Page[schemas.Run], **REFUSALS},
)
def runs(request: HttpRequest, asked: Query[queries.Runs]) -> dict[str, Any]:
    return _listed("runs", asked)


@router.get(
    "/decisions",
    summary=gettext_noop("List what people decided and what it changed, the newest first."),
    response={200: schemas.Page[schemas.Decision], **REFUSALS},
)
def decisions(request: HttpRequest, asked: Query[queries.Decisions]) -> dict[str, Any]:
    return _listed("decisions", asked)


@router.get(
    "/audit",
    summary=gettext_noop(
        "List who did what, the newest first; the token's maker must be allowed to see it."
    ),
    response={200: schemas.Page[schemas.Deed], **REFUSALS},
)
def audit(request: HttpRequest, asked: Query[queries.Trail]) -> dict[str, Any]:
    token = token_of(request)
    if token.made_by is None or not token.made_by.has_perm("portfolios.view_auditevent"):
        words = _("Token %(name)s was made by nobody who may see the audit.")
        raise HttpError(403, words % {"name": token.name})
    account = ""
    if asked.account is not None:
        found = ExchangeAccount.objects.filter(label=clean(asked.account)).first()
        account = str(found.pk if found else 0)
    trail = audit_trail(Narrowing(asked.source or "", clean(asked.by or ""), account))
    part = trail[asked.offset : asked.offset + asked.limit]
    return {"items": list(audit_rows(part)), "count": trail.count()}
