"""Which provider serves a market."""

from __future__ import annotations

from providers.base import PortfolioProvider
from providers.errors import PortfolioProviderNotFound


class PortfolioProviderLookup:
    """The registered providers; asked anew each time, so one that is added later counts at once."""

    def __init__(self) -> None:
        self._providers: list[PortfolioProvider] = []

    def add(self, provider: PortfolioProvider) -> None:
        self._providers.append(provider)

    def all(self) -> tuple[PortfolioProvider, ...]:
        return tuple(self._providers)

    def for_market(self, market: str) -> PortfolioProvider:
        """Find the provider with the lowest priority number; the first registered wins a tie.

        Raises
        ------
        PortfolioProviderNotFound
            If no provider supports `market`.
        """
        key = market.lower()
        matches = [provider for provider in self._providers if provider.supports_market(key)]
        if not matches:
            raise PortfolioProviderNotFound(
                f"No portfolio provider found for market {market}. Cannot configure portfolio. "
                "Please make sure that you have registered a portfolio provider for the market "
                "you are trying to use."
            )
        return min(matches, key=lambda provider: provider.priority)
