"""What the pages show, as JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from ninja import Query, Router, Schema
from pydantic import Field

from portfolios.api import schemas
from portfolios.api.auth import TokenAuth
from portfolios.models import ApiToken, ExchangeAccount, Portfolio, SyncRun
from portfolios.selectors.exports import EXPORTS
from portfolios.selectors.report import Row, account_rows, portfolio_row, run_row

REFUSALS: Final = {
    400: schemas.Problem,
    401: schemas.Problem,
    403: schemas.Problem,
    404: schemas.Problem,
    422: schemas.Invalid,
}
_MOST: Final = 500
# The largest number that a database counts rows with.
_LAST: Final = 2**63 - 1

router = Router(auth=TokenAuth(ApiToken.Scope.READ))


class Paging(Schema):
    limit: Annotated[int, Field(ge=1, le=_MOST)] = 100
    offset: Annotated[int, Field(ge=0, le=_LAST - _MOST)] = 0


class OfAccount(Paging):
    account: str | None = Field(None, description="The label of an account.")


def _text(value: str) -> str:
    return value.replace("\0", "")  # no text for PostgreSQL


def _page(rows: QuerySet[Any], row: Callable[[Any], Row], paging: Paging) -> dict[str, Any]:
    part = rows[paging.offset : paging.offset + paging.limit]
    return {"items": [row(one) for one in part], "count": rows.count()}


def _listed(name: str, asked: OfAccount, **only: str | None) -> dict[str, Any]:
    export = EXPORTS[name]
    wanted = {"account__label": asked.account, **only}
    rows = export.rows().filter(**{k: _text(v) for k, v in wanted.items() if v is not None})
    return _page(rows.order_by("-pk"), export.row, asked)


@router.get("/accounts", response={200: schemas.Page[schemas.Account], **REFUSALS})
def accounts(request: HttpRequest, asked: Query[Paging]) -> dict[str, Any]:
    """List the accounts and their health."""
    rows = ExchangeAccount.objects.select_related("credential").order_by("label")
    part = list(rows[asked.offset : asked.offset + asked.limit])
    return {"items": account_rows(part, timezone.now()), "count": rows.count()}


@router.get("/accounts/{path:label}", response={200: schemas.Account, **REFUSALS})
def account(request: HttpRequest, label: str) -> Row:
    """Show one account."""
    found = get_object_or_404(
        ExchangeAccount.objects.select_related("credential"), label=_text(label)
    )
    [row] = account_rows([found], timezone.now())
    return row


@router.get("/portfolios", response={200: schemas.Page[schemas.Portfolio], **REFUSALS})
def portfolios(request: HttpRequest, asked: Query[OfAccount]) -> dict[str, Any]:
    """List the portfolios with their positions."""
    rows = Portfolio.objects.select_related("account").prefetch_related("positions")
    if asked.account is not None:
        rows = rows.filter(account__label=_text(asked.account))
    return _page(rows.order_by("name"), portfolio_row, asked)


@router.get("/portfolios/{path:name}", response={200: schemas.Portfolio, **REFUSALS})
def portfolio(request: HttpRequest, name: str) -> Row:
    """Show one portfolio with its positions."""
    found = Portfolio.objects.select_related("account").prefetch_related("positions")
    return portfolio_row(get_object_or_404(found, name=_text(name)))


@router.get("/orders", response={200: schemas.Page[schemas.Order], **REFUSALS})
def orders(
    request: HttpRequest,
    asked: Query[OfAccount],
    portfolio: str | None = None,
    status: str | None = None,
) -> dict[str, Any]:
    """List the orders, the newest first; those of nobody have no portfolio."""
    return _listed("orders", asked, portfolio__name=portfolio, status=status)


@router.get("/fills", response={200: schemas.Page[schemas.Fill], **REFUSALS})
def fills(request: HttpRequest, asked: Query[OfAccount]) -> dict[str, Any]:
    """List the fills, the newest first."""
    return _listed("fills", asked)


@router.get("/flows", response={200: schemas.Page[schemas.Flow], **REFUSALS})
def flows(request: HttpRequest, asked: Query[OfAccount]) -> dict[str, Any]:
    """List deposits, withdrawals and other movements, the newest first."""
    return _listed("flows", asked)


@router.get("/ledger", response={200: schemas.Page[schemas.Entry], **REFUSALS})
def ledger(
    request: HttpRequest, asked: Query[OfAccount], portfolio: str | None = None
) -> dict[str, Any]:
    """List the ledger entries, the newest first."""
    return _listed("ledger", asked, portfolio__name=portfolio)


@router.get("/balances", response={200: schemas.Page[schemas.Balance], **REFUSALS})
def balances(
    request: HttpRequest, asked: Query[OfAccount], verdict: str | None = None
) -> dict[str, Any]:
    """List every asset with its last settled verdict."""
    return _listed("balances", asked, verdict=verdict)


@router.get("/discrepancies", response={200: schemas.Page[schemas.Discrepancy], **REFUSALS})
def discrepancies(
    request: HttpRequest,
    asked: Query[OfAccount],
    state: str | None = None,
    severity: str | None = None,
) -> dict[str, Any]:
    """List the discrepancies, the newest first, in whatever state."""
    return _listed("discrepancies", asked, state=state, severity=severity)


@router.get("/incidents", response={200: schemas.Page[schemas.Incident], **REFUSALS})
def incidents(
    request: HttpRequest, asked: Query[OfAccount], state: str | None = None
) -> dict[str, Any]:
    """List the exceptions, grouped, the newest first."""
    return _listed("exceptions", asked, state=state)


@router.get("/runs", response={200: schemas.Page[schemas.Run], **REFUSALS})
def runs(
    request: HttpRequest, asked: Query[OfAccount], status: str | None = None
) -> dict[str, Any]:
    """List the sync runs, the newest first."""
    return _listed("runs", asked, status=status)


@router.get("/runs/{run_id}", response={200: schemas.Run, **REFUSALS})
def run(request: HttpRequest, run_id: Annotated[int, Field(ge=1, le=_LAST)]) -> Row:
    """Show one sync run."""
    return run_row(get_object_or_404(SyncRun.objects.select_related("account"), pk=run_id))
