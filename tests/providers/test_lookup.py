from __future__ import annotations

import pytest

from providers.base import PortfolioProvider
from providers.credentials import Credentials
from providers.errors import PortfolioProviderNotFound
from providers.lookup import PortfolioProviderLookup
from providers.reports import BalanceReport, KnownOrder, OrderReport, SnapshotRequest
from tests.providers.accounts import make_provider


class OneMarket(PortfolioProvider):
    def __init__(self, market: str, priority: int = 1) -> None:
        super().__init__(priority)
        self._market = market

    def supports_market(self, market: str) -> bool:
        return market == self._market

    def get_position(
        self, account: SnapshotRequest, asset: str, credentials: Credentials
    ) -> BalanceReport | None:
        raise NotImplementedError

    def get_order(
        self, account: SnapshotRequest, order: KnownOrder, credentials: Credentials
    ) -> OrderReport | None:
        raise NotImplementedError


def make_lookup(*providers: PortfolioProvider) -> PortfolioProviderLookup:
    lookup = PortfolioProviderLookup()
    for provider in providers:
        lookup.add(provider)
    return lookup


# F03
def test_the_lowest_priority_number_wins_and_the_first_registered_of_equals() -> None:
    second, first, equal = (OneMarket("kraken", priority) for priority in (2, 1, 1))

    assert make_lookup(second, first, equal).for_market("kraken") is first


# F04
@pytest.mark.parametrize("spelling", ["binance", "BINANCE", "Binance"])
def test_a_market_is_found_in_any_case(spelling: str) -> None:
    provider = OneMarket("binance")

    assert make_lookup(provider).for_market(spelling) is provider


def test_a_better_provider_counts_as_soon_as_it_is_added() -> None:
    lookup = make_lookup(OneMarket("kraken", priority=5))
    lookup.for_market("kraken")
    better = OneMarket("kraken", priority=4)
    lookup.add(better)

    assert lookup.for_market("kraken") is better


# F03
def test_a_market_without_provider_is_named() -> None:
    with pytest.raises(PortfolioProviderNotFound, match="No portfolio provider found for market X"):
        make_lookup(OneMarket("kraken")).for_market("X")


# F01, F03
def test_a_provider_of_the_users_own_comes_before_ccxt() -> None:
    own = OneMarket("kraken")

    assert make_lookup(make_provider(), own).for_market("kraken") is own


def test_it_lists_providers_in_the_order_of_their_registration() -> None:
    providers = (OneMarket("a", 2), OneMarket("b", 1))

    assert make_lookup(*providers).all() == providers
