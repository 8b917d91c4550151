"""Shapes of the answers: the rows of the report. Amounts are strings, times UTC, what was not read is null."""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

from django.utils.translation import gettext_noop as _
from ninja import Field, Schema
from pydantic import ConfigDict

Item = TypeVar("Item")


class Problem(Schema):
    """What went wrong, for whoever reads it."""

    detail: str


class Invalid(Schema):
    """What of the request cannot be understood; one entry each."""

    detail: list[dict[str, object]] | str


class Page(Schema, Generic[Item]):
    items: list[Item]
    count: int = Field(description="How many there are in all.")


class Fee(Schema):
    asset: str
    amount: str


class Account(Schema):
    label: str
    market: str
    health: str
    state: str = Field(description="In one word: its health, and whether the books agree.")
    differences: int = Field(description="Open discrepancies.")
    failures: int = Field(description="Unresolved exceptions.")
    verified_at: str | None
    next_sync_at: str | None


class Position(Schema):
    asset: str
    amount: str
    reserved: str
    available: str
    cost: str


class OwnedPosition(Position):
    account: str
    portfolio: str | None


class Schedule(Schema):
    account: str
    paused: bool
    interval_seconds: int
    cron: str | None
    time_zone: str
    next_runs: list[str]


class Portfolio(Schema):
    name: str
    account: str
    trading_symbol: str
    initialized: bool
    unallocated: str | None
    net_size: str | None
    positions: list[Position]


class Snapshot(Schema):
    id: int
    portfolio: str
    taken_at: str | None
    confirmed_at: str | None
    unallocated: str | None
    pending: str | None
    net_size: str | None
    value_at_cost: str | None
    positions: list[Position]


class Order(Schema):
    portfolio: str | None
    account: str
    external_id: str | None
    client_order_id: str | None
    symbol: str
    side: str
    type: str | None
    status: str
    price: str | None
    average: str | None
    amount: str
    filled: str
    remaining: str
    fees: list[Fee]
    created_at: str | None
    updated_at: str | None
    external: bool


class Fill(Schema):
    account: str
    portfolio: str | None
    external_id: str
    order: str | None
    symbol: str
    side: str
    price: str
    amount: str
    cost: str
    fees: list[Fee]
    executed_at: str | None


class Flow(Schema):
    account: str
    kind: str
    external_id: str
    wallet: str
    asset: str
    amount: str
    fees: list[Fee]
    status: str | None
    occurred_at: str | None
    settled_at: str | None


class Entry(Schema):
    account: str
    portfolio: str | None
    asset: str
    amount: str
    cost: str
    gain: str
    cause: str
    order: str | None
    fill: str | None
    flow: str | None
    run: int | None
    booked_at: str | None


class Balance(Schema):
    account: str
    wallet: str
    asset: str
    free: str | None
    used: str | None
    total: str | None
    expected: str | None
    residual: str | None
    residual_low: str | None
    residual_high: str | None
    verdict: str
    provisional: bool
    reason: str | None


class Discrepancy(Schema):
    id: int
    code: str
    severity: str
    state: str
    account: str
    portfolio: str | None
    asset: str | None
    symbol: str | None
    order: str | None
    book: str | None
    exchange: str | None
    difference: str | None
    first_seen: str | None
    last_seen: str | None
    times_seen: int
    cause: str | None


class Change(Schema):
    table: str
    row: str
    field: str
    before: str | None
    after: str | None


class Decision(Schema):
    id: int
    account: str
    kind: str
    subject: str
    reason: str | None
    by: str | None
    reverses: int | None
    at: str | None
    changes: list[Change]


class Deed(Schema):
    at: str | None
    by: str | None
    source: str
    what: str
    about: str | None
    account: str | None
    detail: str | None


class Incident(Schema):
    id: int
    category: str
    type: str
    message: str
    account: str | None
    operation: str
    count: int
    first_seen: str | None
    last_seen: str | None
    state: str


class Leg(Schema):
    kind: str
    status: str
    error: str | None
    rows: int | None


class Run(Schema):
    id: int
    account: str
    trigger: str
    status: str
    started_at: str | None
    finished_at: str | None
    http_requests: int
    orders_checked: int
    orders_changed: int
    legs: list[Leg]


class SentOrder(Schema):
    """An order that a bot sends or has sent; the same one may be told again."""

    model_config = ConfigDict(extra="forbid")

    symbol: str = Field(examples=["BTC/USDT"])
    side: Literal["buy", "sell"]
    type: Literal["limit", "market", "stop", "stop_limit"] = "limit"
    price: str | None = Field(None, description=_("Quote units; none for a market order."))
    amount: str = Field(description=_("Base units."), examples=["0.01"])
    external_id: str = Field("", description=_("The exchange's id, as soon as it is known."))
    created_at: str = Field(description=_("UTC."), examples=["2026-11-22T08:00:00Z"])
