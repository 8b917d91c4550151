"""Exact amounts in the database: text on SQLite, which has no decimals, `numeric` on PostgreSQL; and packed JSON."""

from __future__ import annotations

import json
import zlib
from decimal import Decimal
from typing import Any, TypeVar

from django import forms
from django.core.exceptions import FieldError, ValidationError
from django.db import NotSupportedError, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Col, CombinedExpression, Expression
from django.db.models.functions import Cast, Coalesce
from django.db.models.lookups import Lookup
from django.db.models.sql.compiler import SQLCompiler
from django.utils.translation import gettext_lazy as _

from portfolios.amounts import MAX_DECIMALS, MAX_DIGITS, amount, plain

# Filled by the type checker's plugin from the `_pyi_` types below, with None where a field is nullable.
_SetT = TypeVar("_SetT", contravariant=True)
_GetT = TypeVar("_GetT", covariant=True)

_COLUMN_TYPES = {"sqlite": "text", "postgresql": "numeric"}
_LOOKUPS = ("exact", "in", "isnull", "negative")
_EXACT_FUNCTIONS = (Cast, Coalesce)
_INVALID = _(
    "“%(value)s” is no number of at most %(digits)d digits, %(decimals)d of them decimals."
)


def _parsed(value: Any) -> Decimal:
    try:
        return amount(value)
    except ValueError:
        params = {"value": str(value)[:200], "digits": MAX_DIGITS, "decimals": MAX_DECIMALS}
        raise ValidationError(_INVALID, code="invalid", params=params) from None


def _computes(expression: Expression) -> bool:
    """Whether the database itself would calculate or compare: on SQLite with floats or as text."""
    return any(
        isinstance(part, CombinedExpression)
        or (isinstance(part, models.Func) and not isinstance(part, _EXACT_FUNCTIONS))
        for part in expression.flatten()
    )


class AmountFormField(forms.Field):
    """Takes and shows an amount in plain notation; empty is None."""

    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})

    def to_python(self, value: Any) -> Decimal | None:
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        return _parsed(value)

    def prepare_value(self, value: Any) -> Any:
        return plain(value) if isinstance(value, Decimal) else value


class AmountField(models.Field[_SetT, _GetT]):
    """A signed amount of at most 72 digits, 36 of them decimals; what it holds comes back to the digit.

    The database finds equal amounts and negative ones (``amount__negative=True``) and does nothing else
    with them: add with `exact_sum`, compare and sort in Python.

    Raises
    ------
    TypeError
        If a float is assigned and saved, or if the database was made to calculate.
    ValidationError
        If a value is not finite or too long.
    FieldError
        For lookups such as ``gt``, and for arithmetic in an update.
    """

    description = _("Exact amount")
    empty_strings_allowed = False

    _pyi_private_set_type: Decimal | str | int
    _pyi_private_get_type: Decimal
    _pyi_lookup_exact_type: Decimal | str | int

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        try:
            return _COLUMN_TYPES[connection.vendor]
        except KeyError:
            raise NotSupportedError(
                f"Expected SQLite or PostgreSQL, was {connection.display_name}."
            ) from None

    def to_python(self, value: Any) -> Decimal | None:
        return None if value is None else _parsed(value)

    def get_prep_value(self, value: Any) -> Any:
        return self.to_python(super().get_prep_value(value))

    def get_db_prep_value(
        self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False
    ) -> Any:
        number = value if prepared else self.get_prep_value(value)
        return plain(number) if number is not None and connection.vendor == "sqlite" else number

    def from_db_value(
        self, value: Any, expression: Expression, connection: BaseDatabaseWrapper
    ) -> Decimal | None:
        if value is None:
            return None
        computed = not isinstance(expression, Col) and _computes(expression)
        if computed or not isinstance(value, str | Decimal):
            raise TypeError(
                f"{self} was calculated by the database, which does not do it exactly. "
                "Read the amounts and use exact_sum."
            )
        return Decimal(value)

    def get_placeholder(
        self, value: Any, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> str:
        if isinstance(value, Expression) and _computes(value):
            raise FieldError(
                f"{self} cannot be calculated by the database, which does not do it exactly. "
                "Read, calculate and save the row under a lock."
            )
        return "%s"

    def get_lookup(self, lookup_name: str) -> type[Lookup[Any]] | None:
        if lookup_name not in _LOOKUPS:
            raise FieldError(
                f"{self} cannot be looked up by {lookup_name!r}, only by {', '.join(_LOOKUPS)}: "
                "SQLite would compare text. Compare in Python."
            )
        return super().get_lookup(lookup_name)

    def value_to_string(self, obj: models.Model) -> str:
        value = self.to_python(self.value_from_object(obj))
        return "" if value is None else plain(value)

    def formfield(self, **kwargs: Any) -> forms.Field | None:
        return super().formfield(**{"form_class": AmountFormField, **kwargs})


@AmountField.register_lookup
class Negative(Lookup[bool]):
    """Whether an amount is below zero; also usable in a constraint."""

    lookup_name = "negative"
    prepare_rhs = False

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[str | int, ...]]:
        column, params = self.process_lhs(compiler, connection)
        return f"{column} {'<' if self.rhs else '>='} 0", tuple(params)

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[str | int, ...]]:
        column, params = self.process_lhs(compiler, connection)
        return f"substr({column}, 1, 1) {'=' if self.rhs else '<>'} '-'", tuple(params)


class PackedJSONField(models.Field[Any, Any]):
    """JSON that is written once, read whole and never looked into by the database, in a tenth of its room.

    Lists of an exchange are the same words again and again, and one that has changed in one place is stored anew.

    Raises
    ------
    FieldError
        For every lookup but ``isnull``.
    """

    description = _("Packed JSON")
    empty_strings_allowed = False

    def get_internal_type(self) -> str:
        return "BinaryField"

    def get_db_prep_value(
        self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False
    ) -> Any:
        if value is None:
            return None
        # In ASCII: half a character, which JSON can name and UTF-8 cannot write, comes back as well.
        text = json.dumps(value, separators=(",", ":"))
        return zlib.compress(text.encode())

    def from_db_value(
        self, value: Any, expression: Expression, connection: BaseDatabaseWrapper
    ) -> Any:
        return None if value is None else json.loads(zlib.decompress(value))

    def get_lookup(self, lookup_name: str) -> type[Lookup[Any]] | None:
        if lookup_name != "isnull":
            raise FieldError(f"{self} cannot be looked up: it is packed.")
        return super().get_lookup(lookup_name)

    def value_to_string(self, obj: models.Model) -> Any:
        """Give `dumpdata` the JSON itself."""
        return self.value_from_object(obj)
