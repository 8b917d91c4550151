from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import ccxt
import pytest

from providers.ccxt_errors import ReplyFacts, translated
from providers.errors import (
    AccountSuspended,
    CapabilityMissing,
    ClockSkewed,
    CredentialsRejected,
    ExchangeInMaintenance,
    ExchangeTimeout,
    ExchangeUnavailable,
    NonceRejected,
    NotServed,
    OperationalException,
    OrderUnknown,
    OursToFix,
    PermissionMissing,
    RateLimited,
    RegionBlocked,
    SlowDown,
    TemporarilyBanned,
    UnexpectedReport,
)


def told(
    error: Exception, market: str = "kraken", status: int = 0, **headers: str
) -> OperationalException:
    reply = ReplyFacts()
    reply.record(status, {name.replace("_", "-"): value for name, value in headers.items()})
    return translated(market, error, reply)


@pytest.mark.parametrize(
    ("kind", "meaning"),
    [
        (ccxt.AuthenticationError, CredentialsRejected),
        (ccxt.PermissionDenied, PermissionMissing),
        (ccxt.AccountNotEnabled, PermissionMissing),
        (ccxt.AccountSuspended, AccountSuspended),
        (ccxt.ArgumentsRequired, CapabilityMissing),
        (ccxt.BadRequest, OursToFix),
        (ccxt.BadSymbol, CapabilityMissing),
        (ccxt.NotSupported, CapabilityMissing),
        (ccxt.InvalidProxySettings, OursToFix),
        (ccxt.OrderNotFound, OrderUnknown),
        (ccxt.InvalidOrder, UnexpectedReport),
        (ccxt.RestrictedLocation, RegionBlocked),
        (ccxt.ExchangeError, UnexpectedReport),
        (ccxt.OperationFailed, ExchangeUnavailable),
        (ccxt.NetworkError, ExchangeUnavailable),
        (ccxt.ExchangeNotAvailable, ExchangeUnavailable),
        (ccxt.OnMaintenance, ExchangeInMaintenance),
        (ccxt.RequestTimeout, ExchangeTimeout),
        (ccxt.InvalidNonce, NonceRejected),
        (ccxt.RateLimitExceeded, RateLimited),
        (ccxt.DDoSProtection, RateLimited),
        (ccxt.BadResponse, UnexpectedReport),
        (ccxt.NullResponse, UnexpectedReport),
    ],
)
def test_each_class_of_ccxt_has_a_meaning(
    kind: type[Exception], meaning: type[OperationalException]
) -> None:
    error = told(kind("kraken no"))

    assert type(error) is meaning
    assert error.kind == kind.__name__
    assert str(error) == "kraken: no"


@pytest.mark.parametrize(
    ("market", "kind", "text", "meaning"),
    [
        ("kraken", ccxt.ExchangeError, "EAPI:Invalid signature", CredentialsRejected),
        ("kraken", ccxt.ExchangeError, "EAccount:Invalid permissions", PermissionMissing),
        ("kraken", ccxt.ExchangeError, "EAPI:Feature disabled", PermissionMissing),
        ("kraken", ccxt.ExchangeError, "EService:Timeout", ExchangeUnavailable),
        ("kraken", ccxt.ExchangeError, "EService:Deadline elapsed", ExchangeUnavailable),
        ("kraken", ccxt.InvalidOrder, "EOrder:Invalid order", OrderUnknown),
        ("kraken", ccxt.InvalidOrder, "EOrder:Unknown order", OrderUnknown),
        ("kraken", ccxt.InvalidNonce, "EAPI:Invalid nonce", NonceRejected),
        ("okx", ccxt.ExchangeError, '{"code":"50119"}', CredentialsRejected),
        ("okx", ccxt.ExchangeError, '{"code":"50120"}', PermissionMissing),
        ("okx", ccxt.InvalidNonce, '{"code":"50102"}', ClockSkewed),
        ("bybit", ccxt.ExchangeError, '{"retCode":10000}', ExchangeUnavailable),
        ("bybit", ccxt.ExchangeError, '{"retCode":10016}', ExchangeUnavailable),
        ("bybit", ccxt.InvalidNonce, '{"retCode":10002}', ClockSkewed),
        ("binance", ccxt.DDoSProtection, '{"code":-2015,"msg":""}', CredentialsRejected),
        ("binance", ccxt.BadRequest, '{"code": -1016}', ExchangeUnavailable),
        ("binance", ccxt.InvalidNonce, '{"code":-1021}', ClockSkewed),
        ("binance", ccxt.InvalidOrder, '{"code":-2026}', OrderUnknown),
        ("gate", ccxt.InvalidNonce, "request timestamp expired", ClockSkewed),
        ("binance", ccxt.ExchangeError, "Service from a restricted location", RegionBlocked),
    ],
)
def test_where_a_class_misleads_the_text_decides(
    market: str, kind: type[Exception], text: str, meaning: type[OperationalException]
) -> None:
    assert type(told(kind(f"{market} {text}"), market)) is meaning


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (429, RateLimited),
        (418, TemporarilyBanned),
        (451, RegionBlocked),
        (524, ExchangeUnavailable),
        (402, UnexpectedReport),
    ],
)
def test_a_status_that_says_it_itself_decides(
    status: int, meaning: type[OperationalException]
) -> None:
    assert type(told(ccxt.ExchangeError("okx ?"), "okx", status)) is meaning


@pytest.mark.parametrize("error", [KeyError("data"), TypeError("None"), RecursionError()])
def test_a_parser_that_breaks_has_met_an_unexpected_report(error: Exception) -> None:
    report = told(error)

    assert type(report) is UnexpectedReport
    assert report.kind == type(error).__name__


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (503, '{"code":-2013,"msg":"Order does not exist."}'),
        (200, '{"error":["EOrder:Unknown order","EService:Unavailable"]}'),
    ],
)
def test_an_exchange_in_trouble_denies_no_order(status: int, text: str) -> None:
    assert type(told(ccxt.OrderNotFound(text), status=status)) is ExchangeUnavailable


@pytest.mark.parametrize(
    "text", ["Order not found: Timeout in the backend", "Internal error", "System busy, try again"]
)
def test_a_denial_that_tells_of_trouble_is_none(text: str) -> None:
    assert type(told(ccxt.OrderNotFound(text))) is ExchangeUnavailable


def test_an_address_that_sounds_like_trouble_is_a_denial_all_the_same() -> None:
    text = "okx GET https://internal.example.com/api/v5/trade/order 200 Order does not exist"

    assert type(told(ccxt.OrderNotFound(text))) is OrderUnknown


def test_a_404_without_a_word_of_the_exchange_is_told_apart() -> None:
    text = "binance GET https://api.binance.com/sapi/v1/capital/deposit/hisrec 404 Not Found"

    assert type(told(ccxt.ExchangeNotAvailable(text), status=404)) is NotServed


def test_the_order_id_of_another_market_means_nothing_here() -> None:
    assert type(told(ccxt.InvalidOrder("gate EOrder:Invalid order"), "gate")) is UnexpectedReport


def test_a_message_carries_no_query_and_no_markup_of_lines() -> None:
    url = "https://api.huobi.pro/v1/a?AccessKeyId=canary&Signature=canary"

    message = str(told(ccxt.ExchangeNotAvailable(f"htx GET {url} 502 \n{{}}\n"), "htx"))

    assert message == "htx: GET https://api.huobi.pro/v1/a 502 {}"


def test_a_message_is_bounded() -> None:
    assert len(str(told(ccxt.ExchangeError("x" * 100_000)))) <= 400


@pytest.mark.parametrize("name", ["Retry_After", "retry_after", "RETRY_AFTER"])
def test_retry_after_is_kept(name: str) -> None:
    error = told(ccxt.RateLimitExceeded("slow"), status=429, **{name: "7"})

    assert isinstance(error, SlowDown)
    assert error.retry_after == 7


def test_retry_after_may_be_a_date() -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)

    error = told(ccxt.RateLimitExceeded("slow"), status=429, Retry_After=moment)

    assert isinstance(error, SlowDown)
    assert error.retry_after is not None
    assert 50 < error.retry_after <= 60


@pytest.mark.parametrize("text", ["", "soon", "-5", "1e9", "nan", "9" * 99])
def test_a_retry_after_that_cannot_be_read_is_none(text: str) -> None:
    error = told(ccxt.RateLimitExceeded("slow"), status=429, Retry_After=text)

    assert isinstance(error, SlowDown)
    assert error.retry_after is None


def test_a_page_is_told_by_its_status_not_quoted() -> None:
    text = "kraken GET https://api.kraken.com/0/private/Balance 503 Service Unavailable <!DOCTYPE html><html>\n<p>x"

    error = told(ccxt.ExchangeNotAvailable(text), status=503)

    assert str(error) == (
        "kraken: GET https://api.kraken.com/0/private/Balance 503 Service Unavailable with an HTML page"
    )


def test_an_error_names_the_place_that_was_asked_instead_of_the_exchanges_own() -> None:
    text = "kraken GET https://api.kraken.com/0/private/Balance?nonce=1 503 see https://kraken.com/docs"
    reply = ReplyFacts("https://api.kraken.com", "http://127.0.0.1:8080")

    error = translated("kraken", ccxt.ExchangeNotAvailable(text), reply)

    assert str(error) == (
        "kraken: GET http://127.0.0.1:8080/0/private/Balance 503 see https://kraken.com/docs"
    )
