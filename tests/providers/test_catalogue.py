from __future__ import annotations

import subprocess
import sys

import ccxt
import pytest

from providers import catalogue
from providers.catalogue import CATALOGUE_FILE, catalogue_text
from providers.ccxt_client import generate_catalogue
from providers.errors import MarketUnknown


def test_the_catalogue_is_what_the_pinned_ccxt_generates() -> None:
    assert CATALOGUE_FILE.read_text(encoding="utf-8") == catalogue_text(generate_catalogue())


# F05
def test_markets_are_the_exchanges_of_ccxt() -> None:
    assert [market.id for market in catalogue.markets()] == sorted(ccxt.exchanges)


# F05
@pytest.mark.parametrize("name", ["errors", "base", "Exchange", "__class__", "../binance", ""])
def test_what_is_no_exchange_is_no_market(name: str) -> None:
    assert not catalogue.is_market(name)


def test_an_unknown_market_is_named() -> None:
    with pytest.raises(MarketUnknown, match="No ccxt exchange for market id bitmex"):
        catalogue.market("bitmex")


# F04
def test_a_market_is_found_in_upper_case() -> None:
    assert catalogue.market("BINANCE").id == "binance"


# F07
def test_okx_needs_a_password_too() -> None:
    assert catalogue.market("okx").required_credentials == ("apiKey", "secret", "password")


def test_a_key_that_could_sign_is_not_asked_for_where_an_address_is_enough() -> None:
    assert catalogue.market("hyperliquid").required_credentials == ("walletAddress",)


# F37
def test_a_capability_that_only_the_base_class_has_is_none() -> None:
    assert not catalogue.market("cryptomus").capabilities["fetchOrder"]


@pytest.mark.parametrize(("market", "has_sandbox"), [("binance", True), ("kraken", False)])
def test_it_knows_who_runs_a_test_site(market: str, *, has_sandbox: bool) -> None:
    assert catalogue.market(market).has_sandbox is has_sandbox


@pytest.mark.parametrize(("market", "needs_symbol"), [("binance", True), ("kucoin", False)])
def test_it_knows_who_lists_fills_by_symbol_only(market: str, *, needs_symbol: bool) -> None:
    assert catalogue.market(market).fills_need_symbol is needs_symbol


# ccxt's features claim an end for bitstamp and none for kraken.
@pytest.mark.parametrize(
    ("market", "takes_until"),
    [("binance", True), ("kraken", True), ("kucoin", True), ("bitvavo", True), ("bitstamp", False)],
)
def test_it_knows_which_reads_of_fills_can_be_ended_at_a_time(
    market: str, *, takes_until: bool
) -> None:
    assert ("fetchMyTrades" in catalogue.market(market).takes_until) is takes_until


def test_no_request_on_a_list_of_reads_is_one_that_writes() -> None:
    words = (
        "approve",
        "authorize",
        "cancel",
        "create",
        "sendtx",
        "addorder",
        "withdraw/",
        "exchange",
    )
    reads = [read.lower() for market in catalogue.markets() for read in market.non_get_reads]

    assert [read for read in reads if any(word in read for word in words)] == []


def test_pages_do_not_load_ccxt() -> None:
    modules = "catalogue, lookup, endpoints, reports, fetching, credentials, redaction, mapping"
    program = f"import sys; from providers import {modules}; sys.exit('ccxt' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
