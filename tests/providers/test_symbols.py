from __future__ import annotations

import time
from pathlib import Path

from providers import catalogue
from providers.ccxt_client import make_exchange
from providers.credentials import Credentials
from providers.symbols import Site, Symbols, SymbolStore


def test_what_a_market_notes_beside_its_symbols_comes_back_from_the_disk(tmp_path: Path) -> None:
    site = Site(catalogue.market("hyperliquid"), sandbox=False, endpoint="")
    holder = make_exchange(site.market, None, Credentials())
    noted = {"hip3TokensByName": {"AAA": "USDC"}, "cachedCurrenciesById": {}}
    holder.options.update(noted)
    holder.set_markets([], {})
    SymbolStore(tmp_path).keep(site, Symbols(holder, noted, time.time()))

    found = SymbolStore(tmp_path).find(site)

    assert found is not None
    exchange = make_exchange(site.market, None, Credentials())
    found.give_to(exchange)  # ccxt's own class takes over the notes of the holder as well
    assert exchange.options["hip3TokensByName"] == {"AAA": "USDC"}
