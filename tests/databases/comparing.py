"""What is kept of queries, held against what Django makes of each of them anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.exceptions import EmptyResultSet
from django.db.models.sql.compiler import SQLCompiler

from possync_site.databases.compiled_queries import KeepingCompiler


@contextmanager
def compared() -> Iterator[list[str]]:
    """Fail at the first query whose kept SQL is another one than Django's; gives the SQL that was kept.

    Not only the SQL counts, but what is left on the compiler, by which rows are read.
    """
    as_sql = KeepingCompiler.as_sql
    taken: list[str] = []

    def compare(self: KeepingCompiler, *args: Any, **kwargs: Any) -> Any:
        anew = type(self)(self.query.clone(), self.connection, self.using)
        sql, params = as_sql(self, *args, **kwargs)
        if self._compiled is not None:
            taken.append(sql)
            _must_be_the_same((sql, list(params), _left(self)), anew)
        return sql, params

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(KeepingCompiler, "as_sql", compare)
        yield taken


def _must_be_the_same(kept: tuple[str, list[Any], str], anew: KeepingCompiler) -> None:
    try:
        sql, params = SQLCompiler.as_sql(anew)
    except EmptyResultSet:
        raise AssertionError(f"Django asks nothing, but kept is {kept}.") from None
    made = (sql, list(params), _left(anew))
    assert kept == made, "What is kept of a query is not what Django makes of it."


def _left(compiler: SQLCompiler) -> str:
    columns = [str(column) for column, _sql, _alias in compiler.select or ()]
    classes = _without_setters(compiler.klass_info)
    return repr((columns, classes, compiler.annotation_col_map, compiler.col_count))


def _without_setters(info: Any) -> Any:
    """Leave out the closures in which Django says where a related row belongs: they are never the same."""
    if isinstance(info, dict):
        told = {name: _without_setters(value) for name, value in info.items()}
        return {name: value for name, value in told.items() if not name.endswith("_setter")}
    return [_without_setters(each) for each in info] if isinstance(info, list) else info
