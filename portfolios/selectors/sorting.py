"""How a list is shown, chosen in the URL as a filter is: its order, and what is drawn beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portfolios.selectors.listing import Facet, Query, facet


@dataclass(frozen=True, slots=True)
class Arrangement(Facet):
    """A choice that leaves nothing out of the list."""

    @property
    def narrows(self) -> bool:
        return False


def arrangement(
    query: Query, name: str, label: str | Promise, words: Mapping[str, str | Promise]
) -> Arrangement:
    """Give what is chosen of `words`; the first one if the URL names none."""
    found = facet(query, name, label, words.items(), default=next(iter(words)))
    return Arrangement(found.name, found.label, found.options, found.chosen, found.default)


def sorting(
    query: Query, orders: Mapping[str, tuple[str | Promise, Sequence[Any]]]
) -> tuple[Arrangement, Sequence[Any]]:
    """Give what is chosen of `orders`, by name a word and the fields to sort by."""
    words = {name: word for name, (word, _fields) in orders.items()}
    chosen = arrangement(query, "sort", _("Sort"), words)
    return chosen, orders[chosen.chosen][1]
