"""What of a list may be asked for. What is not named here, or given twice, is refused: silence would be an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from functools import wraps
from typing import Annotated, Any, Final, Literal

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_noop as _
from ninja import Schema
from ninja.operation import Operation
from pydantic import Field, WithJsonSchema

from portfolios.models import Decision, Discrepancy, Incident, SyncRun
from portfolios.models.choices import Severity, Verdict
from providers.reports import FlowKind, OrderSide, OrderStatus

_MOST: Final = 500
# The largest number that a database counts rows with.
LAST: Final = 2**63 - 1
Key = Annotated[int, Field(ge=1, le=LAST, examples=[1])]
Label = Annotated[str, Field(examples=["main"])]
Name = Annotated[str, Field(examples=["alpha"])]
Run = Callable[..., HttpResponse]


def _words(words: type[Enum]) -> WithJsonSchema:
    """Spell out the words in place: named as a shape of its own, one `State` would stand for every other one."""
    return WithJsonSchema({"type": "string", "enum": [word.value for word in words]})


OrderState = Annotated[OrderStatus, _words(OrderStatus)]
Side = Annotated[OrderSide, _words(OrderSide)]
FlowWord = Annotated[FlowKind, _words(FlowKind)]
Said = Annotated[Verdict, _words(Verdict)]
DiscrepancyState = Annotated[Discrepancy.State, _words(Discrepancy.State)]
DiscrepancyCode = Annotated[Discrepancy.Code, _words(Discrepancy.Code)]
Weight = Annotated[Severity, _words(Severity)]
IncidentState = Annotated[Incident.State, _words(Incident.State)]
RunStatus = Annotated[SyncRun.Status, _words(SyncRun.Status)]
DecisionKind = Annotated[Decision.Kind, _words(Decision.Kind)]


def strict(run: Run) -> Run:
    """Answer 422 where a query names what the operation does not know."""
    operation: Operation = run.__self__  # type: ignore[attr-defined]  # a method, ninja binds it
    queries = [one for one in operation.models if one.__ninja_param_source__ == "query"]
    known = {name for one in queries for name in one.__ninja_flatten_map__}

    @wraps(run)
    def checked(request: HttpRequest, **named: Any) -> HttpResponse:
        wrong = list(_wrong(request, known))
        if wrong:
            return operation.api.create_response(request, {"detail": wrong}, status=422)
        return run(request, **named)

    return checked


def _wrong(request: HttpRequest, known: set[str]) -> Iterator[dict[str, object]]:
    for name, values in request.GET.lists():
        where = ["query", name]
        if name not in known:
            yield {"type": "extra_forbidden", "loc": where, "msg": "There is no such parameter"}
        elif len(values) > 1:
            yield {"type": "given_twice", "loc": where, "msg": "It is given more than once"}


def clean(value: str) -> str:
    return value.replace("\0", "")  # no text for PostgreSQL


class Paging(Schema):
    limit: int = Field(100, ge=1, le=_MOST, description=_("How many rows at most."))
    offset: int = Field(0, ge=0, le=LAST - _MOST, description=_("How many rows to skip."))


class OfAccount(Paging):
    account: str | None = Field(None, description=_("The label of an account."), examples=["main"])


class OfPortfolio(OfAccount):
    portfolio: str | None = Field(
        None, description=_("The name of a portfolio."), examples=["alpha"]
    )


class Orders(OfPortfolio):
    status: OrderState | None = None
    side: Side | None = None
    symbol: str | None = None


class Fills(OfPortfolio):
    side: Side | None = None
    symbol: str | None = None


class Flows(OfAccount):
    kind: FlowWord | None = None
    asset: str | None = None


class Entries(OfPortfolio):
    asset: str | None = None
    run: Key | None = None


class Balances(OfAccount):
    verdict: Said | None = None


class Discrepancies(OfAccount):
    state: DiscrepancyState | None = None
    severity: Weight | None = None
    code: DiscrepancyCode | None = None


class Incidents(OfAccount):
    state: IncidentState | None = None


class Runs(OfAccount):
    status: RunStatus | None = None


class Decisions(OfAccount):
    kind: DecisionKind | None = None


class Trail(OfAccount):
    source: Literal["decision", "sync", "admin", "event"] | None = None
    by: str | None = Field(None, description=_("The name of a user."))


class CoverageOf(Schema):
    account: Label = Field(description=_("The label of an account."))


class TwoMoments(Schema):
    portfolio: Name = Field(description=_("The name of a portfolio."))
    from_: str = Field(
        "",
        alias="from",
        description=_("A moment, or the id of a row of the history; the one before `to` if empty."),
    )
    to: str = Field(
        "", description=_("A moment, or the id of a row of the history; the newest if empty.")
    )
