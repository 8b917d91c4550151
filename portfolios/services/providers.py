from __future__ import annotations

from functools import cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from portfolios.models import ExchangeAccount
from portfolios.services.budgets import StoredBudgets
from providers import catalogue
from providers.base import PortfolioProvider
from providers.budgets import Pacing
from providers.lookup import PortfolioProviderLookup
from providers.redaction import one_line

CCXT_PROVIDER = "providers.ccxt_provider.CCXTPortfolioProvider"
CCXT_PRELOAD = "providers.ccxt_client.preload"


@cache
def user_providers() -> tuple[PortfolioProvider, ...]:
    """Make the providers named by `POSSYNC_PORTFOLIO_PROVIDERS`.

    Raises
    ------
    ImproperlyConfigured
        If the setting names something that is not a portfolio provider.
    """
    return tuple(_made(path) for path in settings.POSSYNC_PORTFOLIO_PROVIDERS)


def is_served(market: str) -> bool:
    """Whether some provider reads `market`; does not import ccxt."""
    own = any(provider.supports_market(market.lower()) for provider in user_providers())
    return own or catalogue.is_market(market)


@cache
def provider_lookup() -> PortfolioProviderLookup:
    """Line up the user's own providers, then ccxt for everything else.

    Imports ccxt: call it in a worker or a command, never for a page.
    """
    lookup = PortfolioProviderLookup()
    for provider in user_providers():
        lookup.add(provider)
    ccxt_provider = import_string(CCXT_PROVIDER)
    lookup.add(
        ccxt_provider(
            cache_dir=settings.DATA_DIR / "markets",
            endpoint_allowlist=tuple(settings.POSSYNC_ENDPOINT_ALLOWLIST),
            pacing=Pacing(
                store=StoredBudgets(),
                egress=settings.POSSYNC_EGRESS,
                everywhere=settings.POSSYNC_PACE_LOOPBACK,
            ),
        )
    )
    return lookup


def preload_markets() -> None:
    """Load what the markets in use need, so that forks of this process share it; nothing is asked of an exchange.

    Imports ccxt.
    """
    used = ExchangeAccount.objects.order_by().values_list("market", flat=True).distinct()
    import_string(CCXT_PRELOAD)(market for market in used if catalogue.is_market(market))


def _made(path: str) -> PortfolioProvider:
    try:
        provider = import_string(path)()
    except Exception as e:  # a user's own module may raise anything
        raise ImproperlyConfigured(
            _("POSSYNC_PORTFOLIO_PROVIDERS names %(path)s, which cannot be made: %(reason)s")
            % {"path": path, "reason": one_line(f"{type(e).__name__}: {e}")}
        ) from None
    if not isinstance(provider, PortfolioProvider):
        raise ImproperlyConfigured(
            _("POSSYNC_PORTFOLIO_PROVIDERS names %(path)s, which is no PortfolioProvider.")
            % {"path": path}
        )
    return provider
