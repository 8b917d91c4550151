"""The SQL of queries, kept by their shape.

Django compiles a query each time it is made, which takes it several times as long as SQLite takes to answer; and a sync
makes a hundred. Most differ from an earlier one in their values only. The shape of a query is everything of it but its
values; a query with anything that has no shape here (annotations, subqueries, combinations) is compiled as ever.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, Final

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db.models import lookups
from django.db.models.expressions import Col, Expression
from django.db.models.fields import json, related_lookups
from django.db.models.sql import Query
from django.db.models.sql.compiler import SQLCompiler
from django.db.models.sql.where import WhereNode

# Lookups that are written as a column, an operator and what their `process_rhs` gives.
LOOKUPS: Final = frozenset(
    {
        json.JSONExact,
        lookups.Exact,
        lookups.GreaterThan,
        lookups.GreaterThanOrEqual,
        lookups.In,
        lookups.IntegerFieldExact,
        lookups.IntegerGreaterThan,
        lookups.IntegerGreaterThanOrEqual,
        lookups.IntegerLessThan,
        lookups.IntegerLessThanOrEqual,
        lookups.LessThan,
        lookups.LessThanOrEqual,
        lookups.StartsWith,
        related_lookups.RelatedExact,
        related_lookups.RelatedGreaterThan,
        related_lookups.RelatedGreaterThanOrEqual,
        related_lookups.RelatedIn,
        related_lookups.RelatedLessThan,
        related_lookups.RelatedLessThanOrEqual,
    }
)
NULL_LOOKUPS: Final = frozenset({lookups.IsNull, related_lookups.RelatedIsNull})
# What of a query is part of its shape as it is.
_SHAPING: Final = (
    "model",
    "alias_cols",
    "default_cols",
    "default_ordering",
    "distinct",
    "high_mark",
    "low_mark",
    "select_for_no_key_update",
    "select_for_update",
    "select_for_update_nowait",
    "select_for_update_of",
    "select_for_update_skip_locked",
    "standard_ordering",
)
# What adds expressions, and with them values, in places of which the shape says nothing.
_SHAPELESS: Final = (
    "annotations",
    "combinator",
    "distinct_fields",
    "explain_info",
    "external_aliases",
    "extra",
    "extra_order_by",
    "extra_tables",
    "_filtered_relations",
    "group_by",
    "subquery",
)
# More than a process has queries; an `in` of another length makes another one.
MOST_KEPT: Final = 2_000


class Shapeless(Exception):
    """The query has something of which the shape would not tell everything."""


@dataclass(slots=True)
class Compiled:
    """What compiling a query leaves on its compiler, none of it made from its values."""

    sql: str
    left: dict[str, Any]
    converters: Any = None


# What reading the rows needs, beside the SQL.
_LEFT: Final = ("select", "klass_info", "annotation_col_map", "col_count", "has_extra_select")


class KeepingCompiler(SQLCompiler):
    """Compiles no query whose shape its connection has compiled before."""

    _compiled: Compiled | None = None

    def as_sql(self, with_limits: bool = True, with_col_aliases: bool = False) -> Any:
        if with_col_aliases or not with_limits:
            return super().as_sql(with_limits, with_col_aliases)
        try:
            shape, values = shape_of(self)
        except (Shapeless, EmptyResultSet, FullResultSet):
            return super().as_sql()
        # Of this connection, which belongs to one thread: so do the converters.
        kept: dict[Hashable, Compiled] = vars(self.connection).setdefault("compiled_queries", {})
        if shape not in kept:
            sql, params = super().as_sql()
            if list(params) == values:  # else it is not written as the shape has it
                self._keep(kept, shape, sql)
            return sql, params
        self._compiled = kept[shape]
        vars(self).update(self._compiled.left)
        return self._compiled.sql, values

    def get_converters(self, expressions: list[Expression]) -> Any:
        if self._compiled is None:
            return super().get_converters(expressions)
        if self._compiled.converters is None:
            self._compiled.converters = super().get_converters(expressions)
        return self._compiled.converters

    def _keep(self, kept: dict[Hashable, Compiled], shape: Hashable, sql: str) -> None:
        if len(kept) >= MOST_KEPT:
            kept.clear()
        kept[shape] = Compiled(sql, {name: getattr(self, name) for name in _LEFT})


@dataclass(slots=True)
class _Shape:
    """A shape in the making, and the values beside it in the order of their placeholders."""

    compiler: SQLCompiler
    parts: list[Any] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    def add_column(self, column: Any) -> None:
        if type(column) is not Col:
            raise Shapeless
        self.parts += (column.alias, column.target, column.output_field)

    def add_order(self, query: Query) -> None:
        if not all(type(name) is str for name in query.order_by):
            raise Shapeless
        self.parts.append(query.order_by)

    def add_selection(self, query: Query) -> None:
        deferred, is_deferred = query.deferred_loading
        self.parts += (frozenset(deferred), is_deferred, _frozen(query.select_related))
        # Names of `values`, by which their columns are called, with the places of the columns.
        self.parts.append(None if query.selected is None else tuple(query.selected.items()))
        self.parts.append(len(query.select))
        for column in query.select:
            self.add_column(column)

    def add_tables(self, query: Query) -> None:
        for alias, table in query.alias_map.items():
            is_joined = query.alias_refcount[alias] > 0
            self.parts += (alias, is_joined, table.join_type, table.identity)

    def add_conditions(self, node: WhereNode) -> None:
        self.parts += (node.connector, node.negated, node.resolved, len(node.children))
        for child in node.children:
            if type(child) is WhereNode:
                self.add_conditions(child)
            else:
                self._add_lookup(child)

    def _add_lookup(self, lookup: Any) -> None:
        kind = type(lookup)
        if (kind not in LOOKUPS and kind not in NULL_LOOKUPS) or lookup.bilateral_transforms:
            raise Shapeless
        self.parts.append(kind)
        self.add_column(lookup.lhs)
        # A truth is written as the column or its negation, without a value.
        if kind in NULL_LOOKUPS or (type(lookup.rhs) is bool and lookup.lhs.conditional):
            self.parts.append(lookup.rhs)
        elif hasattr(lookup.rhs, "as_sql"):
            self.add_column(lookup.rhs)
        else:
            sql, values = lookup.process_rhs(self.compiler, self.compiler.connection)
            self.parts.append(sql)
            self.values += values


def shape_of(compiler: SQLCompiler) -> tuple[Hashable, list[Any]]:
    """Tell the shape of a compiler's query, and its values.

    Raises
    ------
    Shapeless
        If only Django itself can say what becomes of the query.
    EmptyResultSet, FullResultSet
        If a value decides a condition by itself.
    """
    query = compiler.query
    if type(query) is not Query or any(getattr(query, name) for name in _SHAPELESS):
        raise Shapeless
    shape = _Shape(compiler, [getattr(query, name) for name in _SHAPING])
    # Which Django refuses outside of a transaction.
    shape.parts.append(query.select_for_update and compiler.connection.get_autocommit())
    shape.add_order(query)
    shape.add_selection(query)
    shape.add_tables(query)
    shape.add_conditions(query.where)
    return tuple(shape.parts), shape.values


def _frozen(related: Any) -> Hashable:
    """Give the nested names that `select_related` keeps as something that can be a key."""
    if not isinstance(related, dict):
        return bool(related)
    return tuple((name, _frozen(inner)) for name, inner in related.items())
