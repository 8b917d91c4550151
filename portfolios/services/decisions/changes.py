"""What a decision changes: the rows that are not what they were, and the balances that follow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from django.db.models import Q

from portfolios.amounts import plain, sums_by
from portfolios.models import Discrepancy, ExchangeAccount, LedgerEntry, Portfolio
from portfolios.models.order import OPEN_STATUSES
from portfolios.services.decisions.flows import left_of_flow

UNASSIGNED = "unassigned"
BALANCE = "balance"
# A row that is not there holds nothing.
_NOTHING = {"amount": "0", "reserved": "0", "available": "0", "cost": "0"}


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one row, before and after; None where there is no row, or nothing in it."""

    table: str
    row: str
    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Changes:
    """All that a decision changes.

    Parameters
    ----------
    balances : tuple of Change
        For each asset that is touched what the portfolios hold together, what is unassigned, and what the account is
        expected to hold, also where that stays as it is.
    """

    rows: tuple[Change, ...]
    balances: tuple[Change, ...]

    def as_json(self) -> list[dict[str, str | None]]:
        return [asdict(change) for change in (*self.rows, *self.balances)]

    def token(self, kind: str, given: Mapping[str, Any]) -> str:
        """Name these changes by that decision: another change has another name."""
        text = json.dumps([kind, given, self.as_json()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def totals_changed(self) -> list[str]:
        return [
            row.row for row in self.balances if row.field == "total" and row.before != row.after
        ]


def changes_of(stored: Iterable[Mapping[str, Any]]) -> Changes:
    """Read what `Changes.as_json` wrote."""
    read = [Change(**row) for row in stored]
    return Changes(
        rows=tuple(change for change in read if change.table != BALANCE),
        balances=tuple(change for change in read if change.table == BALANCE),
    )


@dataclass(slots=True)
class Scope:
    """The rows that a decision may touch: all that is open, and what it names."""

    account: ExchangeAccount
    orders: set[int] = field(default_factory=set)
    discrepancies: set[int] = field(default_factory=set)
    flows: set[int] = field(default_factory=set)
    last_entry: int = 0


def scope_of(account: ExchangeAccount, given: Mapping[str, Any]) -> Scope:
    """Find the rows that are named in `given`, or in the decision that is to be taken back."""
    reversed_ = account.decisions.filter(pk=_pk(given, "decision")).first()
    named = [given, reversed_.given if reversed_ else {}]
    found = {_pk(each, "discrepancy") for each in named}
    orders = {_pk(each, name) for each in named for name in ("order", "candidate")}
    live = Q(state__in=Discrepancy.LIVE)
    rows = account.discrepancies.filter(live | Q(pk__in=found) | Q(order__in=orders))
    return Scope(
        account,
        orders={*orders, *rows.exclude(order=None).values_list("order", flat=True)},
        discrepancies=set(rows.values_list("pk", flat=True)),
        flows={_pk(each, "flow") for each in named},
        last_entry=account.ledger_entries.order_by("-pk").values_list("pk", flat=True).first() or 0,
    )


def _pk(given: Mapping[str, Any], name: str) -> int:
    pk = given.get(name)
    return pk if type(pk) is int else 0


_Values = dict[str, str | None]
# By table and primary key: the name of the row and its values.
Books = dict[tuple[str, Any], tuple[str, _Values]]


def books_of(scope: Scope) -> Books:
    """Read the rows of `scope` as they are."""
    rows = (*_orders(scope), *_positions(scope), *_portfolios(scope), *_flows(scope))
    return {
        (table, key): (name, values) for table, key, name, values in (*rows, *_discrepancies(scope))
    }


_Row = tuple[str, Any, str, _Values]


def _orders(scope: Scope) -> Iterator[_Row]:
    touched = Q(status__in=OPEN_STATUSES) | Q(pk__in=scope.orders)
    orders = scope.account.orders.filter(touched).select_related("portfolio").order_by("pk")
    for order in orders:
        values: _Values = {
            "status": order.status,
            "filled": plain(order.filled),
            "portfolio": _name(order.portfolio),
            "client_order_id": order.client_order_id,
            "opening_filled": plain(order.opening_filled),
        }
        yield "order", order.pk, order.external_id or order.client_order_id, values


def _positions(scope: Scope) -> Iterator[_Row]:
    positions = scope.account.positions.select_related("portfolio")
    for row in positions.order_by("portfolio__name", "asset"):
        values: _Values = {
            name: plain(getattr(row, name)) for name in ("amount", "reserved", "available", "cost")
        }
        key = (row.portfolio_id, row.asset)
        yield "position", key, f"{row.asset} {_name(row.portfolio)}", values


def _portfolios(scope: Scope) -> Iterator[_Row]:
    cash = {(row.portfolio_id, row.asset): row.available for row in scope.account.positions.all()}
    for portfolio in scope.account.portfolios.all():
        unallocated = cash.get((portfolio.pk, portfolio.trading_symbol), Decimal(0))
        net_size = portfolio.net_size
        values = {
            "opened": str(portfolio.initialized).lower(),
            "unallocated": plain(unallocated) if portfolio.initialized else None,
            "net_size": None if net_size is None else plain(net_size),
        }
        yield "portfolio", portfolio.pk, portfolio.name, values


def _flows(scope: Scope) -> Iterator[_Row]:
    for flow in scope.account.flows.filter(pk__in=scope.flows):
        left = {asset: plain(amount) for asset, amount in left_of_flow(flow).items()}
        yield "flow", flow.pk, f"{flow.kind} {flow.external_id}", {**left}


def _discrepancies(scope: Scope) -> Iterator[_Row]:
    rows = scope.account.discrepancies.filter(pk__in=scope.discrepancies)
    for row in rows.select_related("portfolio", "order").order_by("pk"):
        until = row.acknowledged_until
        values = {
            "state": row.state,
            "portfolio": _name(row.portfolio) if row.portfolio else None,
            "acknowledged_until": until.isoformat() if until else None,
        }
        what = row.asset or (row.order and (row.order.external_id or row.order.client_order_id))
        yield "discrepancy", row.pk, f"{row.code} {what or row.symbol}".strip(), values


def _name(portfolio: Portfolio | None) -> str:
    return UNASSIGNED if portfolio is None else portfolio.name


def changes_between(before: Books, after: Books, scope: Scope) -> Changes:
    changed = list(_changed(before, after))
    entries = list(
        scope.account.ledger_entries.filter(pk__gt=scope.last_entry)
        .select_related("portfolio")
        .order_by("pk")
    )
    assets = {key[1] for table, key in _moved(before, after) if table == "position"}
    assets |= {entry.asset for entry in entries}
    return Changes(
        rows=(*changed, *(_added(entry) for entry in entries)),
        balances=tuple(_balances(before, after, sorted(assets), scope.account)),
    )


def _moved(before: Books, after: Books) -> Iterator[tuple[str, Any]]:
    for key in {**before, **after}:
        if before.get(key) != after.get(key):
            yield key


def _changed(before: Books, after: Books) -> Iterator[Change]:
    for table, key in _moved(before, after):
        name, old = before.get((table, key), ("", _missing(table)))
        name, new = after.get((table, key), (name, _missing(table)))
        for column in {**old, **new}:
            if old.get(column) != new.get(column):
                yield Change(table, name, column, old.get(column), new.get(column))


def _missing(table: str) -> _Values:
    return {**_NOTHING} if table == "position" else {}


def _added(entry: LedgerEntry) -> Change:
    name = f"{entry.asset} {_name(entry.portfolio)}"
    return Change("entry", name, entry.cause, None, plain(entry.amount))


def _balances(
    before: Books, after: Books, assets: Iterable[str], account: ExchangeAccount
) -> Iterator[Change]:
    backtests = set(
        account.portfolios.filter(mode=Portfolio.Mode.BACKTEST).values_list("pk", flat=True)
    )
    then, now = _sums(before, backtests), _sums(after, backtests)
    for asset in assets:
        for part in ("portfolios", UNASSIGNED, "total"):
            key = (asset, part)
            yield Change(
                BALANCE,
                asset,
                part,
                plain(then.get(key, Decimal(0))),
                plain(now.get(key, Decimal(0))),
            )


def _sums(books: Books, backtests: set[int]) -> dict[tuple[str, str], Decimal]:
    """Sum the positions of each asset; a backtest holds nothing at an exchange."""
    pairs = []
    for (table, key), (_row, values) in books.items():
        if table != "position":
            continue
        owner, asset = key
        if owner not in backtests:
            held = Decimal(values["amount"] or 0)
            part = UNASSIGNED if owner is None else "portfolios"
            pairs += [((asset, part), held), ((asset, "total"), held)]
    return sums_by(pairs)
