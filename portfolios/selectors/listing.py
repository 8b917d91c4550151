"""What every list has: filters that live in the URL, and pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core.paginator import Page, Paginator
from django.db.models import Model, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portfolios.models import ExchangeAccount

PER_PAGE = 50
# Longer numbers are the key of no row, and cost more to read than they are worth.
MAX_KEY_DIGITS = 18
MAX_SEARCH = 100

Query = Mapping[str, str]
Option = tuple[str, str | Promise]
Row = TypeVar("Row")

ALL: Option = ("", _("All"))


@dataclass(frozen=True, slots=True)
class Facet:
    """One filter of a list.

    Parameters
    ----------
    default : str
        The option that holds when the URL names none, or one that does not exist.
    sorts : bool
        Whether it only says in which order the rows come.
    """

    name: str
    label: str | Promise
    options: tuple[Option, ...]
    chosen: str
    default: str = ""
    sorts: bool = False

    @property
    def narrows(self) -> bool:
        return self.chosen != self.default and not self.sorts


@dataclass(frozen=True, slots=True)
class Listing(Generic[Row]):
    """One page of a filtered list.

    Parameters
    ----------
    search : str or None
        What is searched for; None if the list cannot be searched.
    """

    page: Page[Any]
    rows: tuple[Row, ...]
    facets: tuple[Facet, ...] = ()
    search: str | None = None

    @property
    def whole(self) -> Any:
        """All rows, filtered and sorted as those of the page are: a query, or a list where they are read already."""
        return self.page.paginator.object_list

    @property
    def narrowed(self) -> bool:
        return bool(self.search) or any(facet.narrows for facet in self.facets)


def facet(
    query: Query, name: str, label: str | Promise, options: Iterable[Option], *, default: str = ""
) -> Facet:
    known = tuple(options)
    asked = query.get(name, default)
    chosen = asked if asked in {value for value, _word in known} else default
    return Facet(name, label, known, chosen, default)


def sort_facet(query: Query, orders: Iterable[Option]) -> Facet:
    """Let the reader choose in which order the rows come; the first of `orders` is the default."""
    options = tuple(orders)
    default = options[0][0]
    asked = query.get("sort", default)
    chosen = asked if asked in {value for value, _word in options} else default
    return Facet("sort", _("Sort"), options, chosen, default, sorts=True)


def is_key(text: str) -> bool:
    """Whether `text` can be the key of a row."""
    return text.isdecimal() and len(text) <= MAX_KEY_DIGITS


def search(query: Query) -> str:
    # A NUL is no text for PostgreSQL.
    return query.get("q", "").replace("\0", "").strip()[:MAX_SEARCH]


RowModel = TypeVar("RowModel", bound=Model)


def one_page(
    rows: QuerySet[RowModel],
    query: Query,
    facets: tuple[Facet, ...] = (),
    *,
    searched: str | None = None,
) -> Listing[RowModel]:
    page = Paginator(rows, PER_PAGE).get_page(query.get("page"))
    return Listing(page, tuple(page.object_list), facets, searched)


def one_page_of_list(
    rows: list[Row], query: Query, facets: tuple[Facet, ...], *, searched: str | None = None
) -> Listing[Row]:
    page = Paginator(rows, PER_PAGE).get_page(query.get("page"))
    return Listing(page, tuple(page.object_list), facets, searched)


def account_facet(query: Query) -> Facet:
    labels = ExchangeAccount.objects.order_by("label").values_list("pk", "label")
    options = ((str(pk), label) for pk, label in labels)
    return facet(query, "account", _("Account"), (ALL, *options))
