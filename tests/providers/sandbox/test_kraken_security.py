"""Keys, signatures, nonces and parameters, as Kraken refuses them; and its words in trouble."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import ccxt
import pytest

from providers.sandbox.books import Permission
from providers.sandbox.engine import Engine
from providers.sandbox.faults import Fault, FaultKind
from providers.sandbox.kraken import FAULT_ERRORS, Kraken
from providers.sandbox.kraken_names import shown_secret
from providers.sandbox.server import SandboxServer
from tests.providers.sandbox.exchange import KEY, SECRET, milliseconds
from tests.providers.sandbox.kraken_exchange import ask, call


@pytest.fixture
def server(engine: Engine) -> Iterator[SandboxServer]:
    with SandboxServer(engine, dialect=Kraken(engine)) as running:
        yield running


def read(server: SandboxServer, **config: Any) -> Any:
    return ask(server, lambda x: x.fetch_balance(), **config)


def test_an_unknown_key_is_refused(server: SandboxServer) -> None:
    with pytest.raises(ccxt.AuthenticationError, match="EAPI:Invalid key"):
        read(server, apiKey="practice-key-mallory")


def test_a_disabled_key_is_refused(server: SandboxServer, engine: Engine) -> None:
    engine.change_key(KEY, enabled=False)

    with pytest.raises(ccxt.AuthenticationError, match="EAPI:Invalid key"):
        read(server)


def test_a_wrong_secret_is_refused(server: SandboxServer) -> None:
    with pytest.raises(ccxt.ExchangeError, match="EAPI:Invalid signature"):
        read(server, secret=shown_secret("practice-secret-of-mallory"))


def test_a_key_that_may_not_read_is_refused(server: SandboxServer, engine: Engine) -> None:
    engine.change_key(KEY, permissions=[Permission.TRADE])

    with pytest.raises(ccxt.PermissionDenied, match="EGeneral:Permission denied"):
        read(server)


def test_any_key_may_ask_about_itself(server: SandboxServer, engine: Engine) -> None:
    engine.change_key(KEY, permissions=[Permission.TRADE, Permission.WITHDRAW])

    told = ask(server, lambda x: x.privatePostGetApiKeyInfo())["result"]

    assert told["apiKey"] == KEY
    assert told["permissions"] == ["modify-trades", "close-trades", "withdraw-funds"]


# Nonces


@pytest.mark.parametrize("nonce", ["", "soon", "-1", "1.5"])
def test_a_nonce_is_a_whole_number(server: SandboxServer, nonce: str) -> None:
    assert call(server, "Balance", nonce=nonce) == {"error": ["EAPI:Invalid nonce"]}


def test_a_nonce_must_be_above_the_one_before(server: SandboxServer) -> None:
    answers = [call(server, "Balance", nonce=nonce)["error"] for nonce in (7, 7, 6, 8)]

    assert answers == [[], ["EAPI:Invalid nonce"], ["EAPI:Invalid nonce"], []]


def test_a_nonce_is_used_up_by_a_refused_request(server: SandboxServer) -> None:
    assert call(server, "QueryOrders", nonce=7) == {"error": ["EGeneral:Invalid arguments"]}

    assert call(server, "Balance", nonce=7) == {"error": ["EAPI:Invalid nonce"]}


def test_a_forged_request_uses_up_no_nonce(server: SandboxServer) -> None:
    in_an_hour = milliseconds(server.engine.clock() + timedelta(hours=1))
    with pytest.raises(ccxt.ExchangeError):
        read(
            server,
            secret=shown_secret("practice-secret-of-mallory"),
            options={"timeDifference": -in_an_hour},
        )

    assert read(server)["info"]["error"] == []


def test_each_key_has_nonces_of_its_own(server: SandboxServer, engine: Engine) -> None:
    engine.add_account("practice-key-bob", SECRET)
    call(server, "Balance", nonce=2**63)

    assert read(server, apiKey="practice-key-bob")["info"]["error"] == []


def test_one_key_in_two_workers_makes_invalid_nonces(server: SandboxServer) -> None:
    # The other worker's clock is a minute ahead: ccxt makes its nonces of the time.
    read(server, options={"timeDifference": -60_000})

    with pytest.raises(ccxt.InvalidNonce, match="EAPI:Invalid nonce"):
        read(server)


# Parameters


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("QueryOrders", {}),
        ("QueryOrders", {"txid": ",".join(["OABCDE-22345-ABCDEF"] * 51)}),
        ("QueryTrades", {}),
        ("QueryTrades", {"txid": "TABCDE-22345-ABCDEF"}),
        ("TradesHistory", {"ofs": "-1"}),
        ("TradesHistory", {"start": "TABCDE-22345-ABCDEF"}),
        ("ClosedOrders", {"ofs": "first"}),
    ],
)
def test_a_malformed_request_is_refused(
    server: SandboxServer, method: str, params: dict[str, str]
) -> None:
    assert call(server, method, **params) == {"error": ["EGeneral:Invalid arguments"]}


# Trouble


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.RATE_LIMITED, ccxt.DDoSProtection),
        (FaultKind.BANNED, ccxt.DDoSProtection),
        (FaultKind.UNAVAILABLE, ccxt.ExchangeNotAvailable),
        (FaultKind.TIMED_OUT, ccxt.ExchangeError),
        (FaultKind.OVERLOADED, ccxt.ExchangeError),
        (FaultKind.EXPIRED_KEY, ccxt.AuthenticationError),
        (FaultKind.MAINTENANCE, ccxt.OnMaintenance),
    ],
)
def test_a_fault_is_told_in_krakens_words(
    server: SandboxServer, kind: FaultKind, error: type[Exception]
) -> None:
    server.faults.append(Fault(kind, path="BalanceEx"))

    with pytest.raises(error, match=FAULT_ERRORS[kind]):
        read(server)


@pytest.mark.parametrize("kind", [FaultKind.GATEWAY, FaultKind.CODE_524, FaultKind.HTML_OK])
def test_the_gateway_before_it_has_no_words(server: SandboxServer, kind: FaultKind) -> None:
    assert server.dialect.refusal(kind) is None
