from __future__ import annotations

from collections.abc import Collection
from typing import cast

from providers.connection import Connection
from providers.mapping import base_and_quote
from providers.reports import SnapshotRequest
from providers.symbol_choice import MAX_PAIRS, SymbolChoice, symbols_to_read
from tests.providers.accounts import make_known, make_request


class Listing:
    """The part of a connection that knows the market's symbols."""

    def __init__(self, *symbols: str) -> None:
        self.symbols = symbols

    def symbols_among(self, assets: Collection[str]) -> list[str]:
        return [symbol for symbol in self.symbols if {*base_and_quote(symbol)} <= {*assets}]


def chosen(listing: Listing, request: SnapshotRequest, *held: str) -> SymbolChoice:
    return symbols_to_read(cast("Connection", listing), request, held)


def test_symbols_of_the_books_and_pairs_of_assets_are_read() -> None:
    request = make_request(
        "",
        symbols=("OLD/USDT",),
        known_orders=(make_known("1", "SOL/BTC"),),
        assets=("BTC", "USDT"),
    )

    symbols = chosen(Listing("BTC/USDT", "ETH/USDT", "ETH/BTC", "ADA/USDT"), request, "ETH")

    assert symbols.names == ("BTC/USDT", "ETH/BTC", "ETH/USDT", "OLD/USDT", "SOL/BTC")
    assert symbols.left_out == 0


def test_more_pairs_than_are_read_are_counted() -> None:
    bases = [f"A{number:03}" for number in range(MAX_PAIRS + 7)]
    listing = Listing(*(f"{base}/USDT" for base in bases))

    symbols = chosen(listing, make_request("", symbols=("A106/USDT",)), "USDT", *bases)

    assert (len(symbols.names), symbols.left_out) == (MAX_PAIRS + 1, 6)
    assert "A106/USDT" in symbols.names


def test_a_hole_names_few_symbols_and_counts_many() -> None:
    assert SymbolChoice(("BTC/USDT",)).hole == "other symbols than BTC/USDT are not covered"
    assert (
        SymbolChoice(("A/B",) * 6).hole == "other symbols than the 6 that are read are not covered"
    )
    assert SymbolChoice(()).hole == "they are listed by symbol, and none is known"


def test_pairs_that_were_left_out_are_part_of_the_hole() -> None:
    assert SymbolChoice(("BTC/USDT",), left_out=3).hole.endswith(
        "3 pairs of the account's assets among them"
    )
