"""Where the answers of an exchange keep their rows, and what their fields are called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Listing(StrEnum):
    """What an exchange lists of an account, each with a lag of its own."""

    BALANCES = "balances"
    OPEN_ORDERS = "open_orders"
    ORDERS = "orders"
    ORDER = "order"
    FILLS = "fills"
    FLOWS = "flows"


@dataclass(frozen=True, slots=True)
class Table:
    """The rows within an answer.

    Parameters
    ----------
    place : tuple of str
        Keys that lead to the rows: a list, or an object by id.
    id : str
        Field of the row's id; empty if the rows are an object by id.
    is_single : bool
        Whether one thing was asked for by its id. Where `id` is a field of it, the answer is the row itself.
    numbers : tuple of str
        Fields that hold amounts and prices, as strings.
    status, unknown_status : str, Any
        Field of the status, and a word in it that nobody knows; no such field if empty.
    filled, closed : str
        Field of the filled amount, and the word that says that nothing is left to be filled.
    rejected, canceled : str
        The words for these two ends of an order.
    fee : tuple of str
        Fields that tell the fee.
    """

    listing: Listing
    place: tuple[str, ...] = ()
    id: str = ""
    numbers: tuple[str, ...] = ()
    status: str = ""
    unknown_status: Any = None
    filled: str = ""
    closed: str = ""
    rejected: str = ""
    canceled: str = ""
    fee: tuple[str, ...] = ()
    is_single: bool = False

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Whether any of the row's numbers is other than zero."""
        return any(re.search(r"[1-9]", str(row.get(name) or "")) for name in self.numbers)
