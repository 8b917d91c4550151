"""What one import has found and done so far, and which changes it may make."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Model
from django.utils.translation import gettext as _

from portfolios.amounts import plain
from portfolios.models import ExchangeAccount, Portfolio
from portfolios.services.book.document import Node, shown


@dataclass(slots=True)
class ImportResult:
    created: int = 0
    updated: int = 0
    unchanged: int = 0


@dataclass(slots=True)
class Import:
    """One import under way.

    Parameters
    ----------
    accounts : dict
        All accounts by label, locked for this transaction.
    booked : dict
        Accounts whose positions or orders were written, by primary key.
    """

    accounts: dict[str, ExchangeAccount]
    result: ImportResult = field(default_factory=ImportResult)
    booked: dict[int, ExchangeAccount] = field(default_factory=dict)
    _portfolios: dict[str, Portfolio] = field(default_factory=dict)
    _seen: set[tuple[Any, ...]] = field(default_factory=set)

    def refuse_twice(self, node: Node, name: str, *key: Any) -> None:
        """Refuse a second row for one thing: nothing says which of the two counts."""
        if key in self._seen:
            raise node.fail(name, _("is given twice in this document"))
        self._seen.add(key)

    def account(self, node: Node) -> ExchangeAccount:
        label = node.text("account", limit=100)
        if label not in self.accounts:
            raise node.fail(
                "account", _("no account of this label, was %(value)s"), value=shown(label)
            )
        return self.accounts[label]

    def portfolio(self, node: Node) -> Portfolio:
        name = node.text("portfolio", limit=100)
        if name not in self._portfolios:
            found = Portfolio.objects.filter(name=name).select_related("account").first()
            if found is None:
                raise node.fail(
                    "portfolio", _("no portfolio of this name, was %(value)s"), value=shown(name)
                )
            self._portfolios[name] = found
        return self._portfolios[name]

    def count_created(self) -> None:
        self.result.created += 1

    def count_existing(self, *, is_changed: bool) -> None:
        if is_changed:
            self.result.updated += 1
        else:
            self.result.unchanged += 1


def update_row(
    node: Node, row: Model, given: Mapping[str, Any], immutable: Collection[str]
) -> bool:
    """Write the fields that `node` names and that differ; whether there were any."""
    changed = {
        name: value
        for name, value in given.items()
        if node.names(name) and getattr(row, name) != value
    }
    for name, value in changed.items():
        if name in immutable:
            raise unchangeable(node, name, getattr(row, name), value)
        setattr(row, name, value)
    if changed:
        # Only these: other fields of the row belong to whoever syncs it.
        row.save(update_fields=list(changed))
    return bool(changed)


def require_unchanged(node: Node, given: Mapping[str, Any], *known: Mapping[str, Any]) -> None:
    """Refuse a field that `node` names and that equals none of the `known` states of its row."""
    for name, value in given.items():
        if node.names(name) and not any(state.get(name) == value for state in known):
            raise unchangeable(node, name, known[0].get(name), value)


def unchangeable(node: Node, name: str, stored: Any, given: Any) -> Exception:
    return node.fail(
        name,
        _("cannot be changed: %(stored)s is stored, %(given)s was given"),
        stored=written(stored) or _("nothing"),
        given=written(given) or _("nothing"),
    )


def written(value: Any) -> str:
    """Write a value of a book as its document does."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return plain(value) if isinstance(value, Decimal) else str(value)
