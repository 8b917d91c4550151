"""Which symbols are read of a market that lists by symbol only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from providers.connection import Connection
from providers.reports import SnapshotRequest

# Pairs of assets are guesses: no more of them beyond the symbols that the books name.
MAX_PAIRS: Final = 100

_MAX_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class SymbolChoice:
    """Symbols to read, and how many pairs were left out for being too many."""

    names: tuple[str, ...]
    left_out: int = 0

    @property
    def hole(self) -> str:
        """What is not covered by reading them."""
        if not self.names:
            return "they are listed by symbol, and none is known"
        few = len(self.names) <= _MAX_NAMED
        named = ", ".join(self.names) if few else f"the {len(self.names)} that are read"
        more = (
            f", {self.left_out} pairs of the account's assets among them" if self.left_out else ""
        )
        return f"other symbols than {named} are not covered{more}"


def symbols_to_read(
    connection: Connection, request: SnapshotRequest, held: Iterable[str]
) -> SymbolChoice:
    """Choose the symbols that the books name, and the market's pairs of assets that they name or the account holds."""
    named = {*request.symbols, *(order.symbol for order in request.known_orders)} - {""}
    pairs = connection.symbols_among({*request.assets, *held})
    more = [symbol for symbol in pairs if symbol not in named]
    names = sorted({*named, *more[:MAX_PAIRS]})
    return SymbolChoice(tuple(names), max(0, len(more) - MAX_PAIRS))
