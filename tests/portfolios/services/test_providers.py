"""A provider of a user's own, registered by the setting, with the reference system's three methods only."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django.fixtures import Settings

from portfolios.models import ExchangeAccount, Incident, Order, SyncRun
from portfolios.services.asked_orders import known_orders
from portfolios.services.book import import_book
from portfolios.services.manual_sync import sync_now
from portfolios.services.providers import is_served, provider_lookup, user_providers
from providers.base import PortfolioProvider
from providers.credentials import Credentials
from providers.reports import (
    BalanceReport,
    KnownOrder,
    LegKind,
    OrderReport,
    OrderSide,
    OrderStatus,
    OrderType,
    SnapshotRequest,
)
from tests.desk import Desk

pytestmark = pytest.mark.django_db

D = Decimal
HERE = "tests.portfolios.services.test_providers"


class OwnProvider(PortfolioProvider):
    """Serves a market of its own and stands before ccxt at binance; knows the orders 1 and 3, but no order 2."""

    def supports_market(self, market: str) -> bool:
        return market in ("own-venue", "binance")

    def get_position(
        self, account: SnapshotRequest, asset: str, credentials: Credentials
    ) -> BalanceReport | None:
        return BalanceReport(asset, D(1000), D(0), D(1000)) if asset == "EUR" else None

    def get_order(
        self, account: SnapshotRequest, order: KnownOrder, credentials: Credentials
    ) -> OrderReport | None:
        if order.external_id == "2":
            return None
        return OrderReport(
            external_id=order.external_id,
            symbol="ADA/EUR",
            side=OrderSide.BUY,
            type=OrderType.LIMIT,
            status=OrderStatus.CLOSED,
            amount=D(10),
            filled=D(10),
            average=D(1),
        )


class Unmakeable:
    def __init__(self) -> None:
        raise RuntimeError("no\nluck")


def register(settings: Settings, *names: str) -> None:
    settings.POSSYNC_PORTFOLIO_PROVIDERS = list(names)
    _forget()


def _forget() -> None:
    user_providers.cache_clear()
    provider_lookup.cache_clear()


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    yield
    _forget()


def synced(label: str) -> SyncRun:
    [run] = sync_now([ExchangeAccount.objects.get(label=label)])
    return run


@pytest.fixture
def own(settings: Settings) -> None:
    register(settings, f"{HERE}.OwnProvider")
    order = {
        "portfolio": "alpha",
        "symbol": "ADA/EUR",
        "side": "buy",
        "price": "1",
        "amount": "10",
    }
    import_book(
        {
            "accounts": [{"label": "own", "market": "Own-Venue"}],
            "portfolios": [
                {
                    "name": "alpha",
                    "account": "own",
                    "trading_symbol": "EUR",
                    "initial_balance": "500",
                }
            ],
            "orders": [order | {"external_id": number} for number in ("1", "2", "3")],
        }
    )


def test_f01_a_market_that_ccxt_does_not_know_is_served(own: None) -> None:
    synced("own")

    assert Order.objects.get(external_id="1").status == "closed"
    assert ExchangeAccount.objects.get().portfolios.get().initialized


def test_f01_it_is_called_instead_of_ccxt(desk: Desk, settings: Settings) -> None:
    register(settings, f"{HERE}.OwnProvider")
    desk.open_portfolio("500")

    desk.sync()

    assert desk.requests() == []
    assert desk.portfolio().initialized


def test_f01_an_order_that_has_ended_is_not_asked_about_for_fills_it_cannot_tell(own: None) -> None:
    synced("own")

    known = known_orders(ExchangeAccount.objects.get())
    assert [order.external_id for order in known] == ["2"]


def test_f01_its_balances_are_read_last(own: None) -> None:
    run = synced("own")

    kinds = list(run.legs.order_by("pk").values_list("kind", flat=True))
    assert kinds.index(LegKind.BALANCES) == len(kinds) - 1


def test_f02_an_order_that_is_not_there_stays_open_and_the_others_are_synced(own: None) -> None:
    run = synced("own")

    assert run.status == SyncRun.Status.PARTIAL
    statuses = Order.objects.order_by("external_id").values_list("status", flat=True)
    assert list(statuses) == ["closed", "open", "closed"]


def test_f02_an_order_that_is_not_there_is_recorded_once(own: None) -> None:
    synced("own")

    incident = Incident.objects.get(category="not_found")
    assert incident.message.startswith("External order not found for order 2 at market own-venue")
    assert incident.count == 1


def test_f03_ccxt_stands_behind_every_provider_that_names_no_priority() -> None:
    [ccxt_provider] = provider_lookup().all()

    assert (ccxt_provider.priority, OwnProvider().priority) == (3, 1)


@pytest.mark.parametrize("market", ["binance", "BINANCE", "Binance"])
def test_f04_a_market_is_served_in_every_spelling(market: str) -> None:
    assert is_served(market)


@pytest.mark.parametrize("market", ["errors", "base", "exchanges", "abstract", ""])
def test_f05_what_is_no_exchange_of_ccxt_is_not_served(market: str) -> None:
    assert not is_served(market)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no.such.Provider", "which cannot be made: ModuleNotFoundError: "),
        (f"{HERE}.NoSuchClass", "which cannot be made: ImportError: "),
        (f"{HERE}.Unmakeable", r"which cannot be made: RuntimeError: no\\nluck"),
        ("collections.OrderedDict", "which is no PortfolioProvider."),
    ],
)
def test_f01_a_setting_that_names_no_provider_is_one_clear_error(
    settings: Settings, name: str, message: str
) -> None:
    register(settings, name)

    with pytest.raises(ImproperlyConfigured) as refused:
        user_providers()

    said = str(refused.value)
    assert said.startswith(f"POSSYNC_PORTFOLIO_PROVIDERS names {name}, which ")
    assert "\n" not in said
