"""What a program may do: start a sync, and tell of the orders that it sends."""

from __future__ import annotations

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from ninja import Router, Status
from ninja.errors import HttpError

from portfolios import tasks
from portfolios.api import schemas
from portfolios.api.auth import TokenAuth, token_of
from portfolios.api.queries import Label, Name, clean
from portfolios.api.reads import REFUSALS
from portfolios.models import ApiToken, ExchangeAccount, Portfolio
from portfolios.selectors.report import Row, order_row, run_row
from portfolios.services.book import BookError
from portfolios.services.bot_orders import book_order_of_bot

router = Router()


@router.post(
    "/accounts/{path:label}/sync",
    summary=gettext_noop("Sync an account now; joins the run that is under way already."),
    auth=TokenAuth(ApiToken.Scope.SYNC),
    response={202: schemas.Run, **REFUSALS},
)
def sync(request: HttpRequest, label: Label) -> Status[Row]:
    account = get_object_or_404(ExchangeAccount, label=clean(label))
    return Status(202, run_row(tasks.enqueue_sync_of_token(account, token_of(request))))


@router.put(
    "/portfolios/{path:name}/orders/{path:client_order_id}",
    summary=gettext_noop("Book an order that is sent, or tell the exchange's id of one that was."),
    description=gettext_noop(
        "Book an order that is sent, or tell the exchange's id of one that was. Told again with the same values it "
        "changes nothing, so that a bot may repeat what it is not sure of."
    ),
    auth=TokenAuth(ApiToken.Scope.BOOK),
    response={200: schemas.Order, 201: schemas.Order, **REFUSALS},
)
def book_order(
    request: HttpRequest, name: Name, client_order_id: str, sent: schemas.SentOrder
) -> Status[Row]:
    if not Portfolio.objects.filter(name=clean(name)).exists():
        raise HttpError(404, _("No portfolio has this name. Nothing was booked."))
    # What is left out, or empty, is not told: it stays as it is stored.
    told = sent.dict(exclude_unset=True)
    given = {name: value for name, value in told.items() if value not in (None, "")}
    try:
        order, is_new = book_order_of_bot(token_of(request), name, client_order_id, given)
    except BookError as e:
        raise HttpError(422, str(e)) from None
    return Status(201 if is_new else 200, order_row(order))
