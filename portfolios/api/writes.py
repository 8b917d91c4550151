"""What a program may do: start a sync, and tell of the orders that it sends."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from ninja import Router, Status
from ninja.errors import HttpError

from portfolios import tasks
from portfolios.api import schemas
from portfolios.api.auth import TokenAuth
from portfolios.api.reads import REFUSALS
from portfolios.models import ApiToken, ExchangeAccount, Order, Portfolio, SyncRun
from portfolios.selectors.report import Row, order_row, run_row
from portfolios.services.book import BookError, import_book

router = Router()


@router.post(
    "/accounts/{path:label}/sync",
    auth=TokenAuth(ApiToken.Scope.SYNC),
    response={202: schemas.Run, **REFUSALS},
)
def sync(request: HttpRequest, label: str) -> Status[Row]:
    """Sync an account now; joins the run that is under way already."""
    account = get_object_or_404(ExchangeAccount, label=label.replace("\0", ""))
    run = tasks.enqueue_sync(account, SyncRun.Trigger.API, _token(request).made_by)
    return Status(202, run_row(run))


def _token(request: HttpRequest) -> ApiToken:
    token: ApiToken = request.auth  # type: ignore[attr-defined]  # set by ninja
    return token


@router.put(
    "/portfolios/{path:name}/orders/{path:client_order_id}",
    auth=TokenAuth(ApiToken.Scope.BOOK),
    response={200: schemas.Order, 201: schemas.Order, **REFUSALS},
)
def book_order(
    request: HttpRequest, name: str, client_order_id: str, sent: schemas.SentOrder
) -> Status[Row]:
    """Book an order that is sent, or tell the exchange's id of one that was.

    Told again with the same values it changes nothing, so that a bot may repeat what it is not sure of.
    """
    if not Portfolio.objects.filter(name=name.replace("\0", "")).exists():
        raise HttpError(404, _("No portfolio has this name. Nothing was booked."))
    given: dict[str, Any] = sent.dict()
    if given["price"] is None:
        del given["price"]
    try:
        result = import_book(
            {"orders": [{"portfolio": name, "client_order_id": client_order_id, **given}]}
        )
    except BookError as e:
        raise HttpError(422, str(e)) from None
    order = _booked(name.strip(), client_order_id.strip(), sent)
    return Status(201 if result.created else 200, order_row(order))


def _booked(name: str, client_order_id: str, sent: schemas.SentOrder) -> Order:
    """Find what was told: by the exchange's id, since the exchange may call the bot's own id by another one."""
    orders = Order.objects.filter(portfolio__name=name).select_related("account", "portfolio")
    external_id = sent.external_id.strip()
    if external_id:
        return orders.get(symbol=sent.symbol.strip(), external_id=external_id)
    return orders.filter(client_order_id=client_order_id).latest("pk")
