"""Deposits, withdrawals, rewards and transfers, in Binance's words."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from providers.sandbox.books import MovementKind
from providers.sandbox.engine import Engine
from providers.sandbox.server import SandboxServer
from tests.providers.sandbox.exchange import KEY, Clock, ask, milliseconds, send

D = Decimal
DEPOSITS = "/sapi/v1/capital/deposit/hisrec"
WITHDRAWALS = "/sapi/v1/capital/withdraw/history"
DIVIDENDS = "/sapi/v1/asset/assetDividend"
TRANSFERS = "/sapi/v1/asset/transfer"
DAY = timedelta(days=1)


def deposits(server: SandboxServer, **params: Any) -> list[str]:
    return [x["amount"] for x in send(server, DEPOSITS, coin="ETH", **params)]


def test_deposits_tell_their_state(server: SandboxServer, engine: Engine) -> None:
    amounts = ("0.1", "0.2", "0.3")
    _, credited, failed = (engine.announce_deposit(KEY, "ETH", amount) for amount in amounts)
    engine.credit_deposit(KEY, credited.id)
    engine.fail_deposit(KEY, failed.id)

    rows = ask(server, lambda x: x.fetch_deposits("ETH"))

    assert {(D(x["amount"]), x["status"]) for x in rows} == {
        (D("0.1"), "pending"),
        (D("0.2"), "ok"),
        (D("0.3"), "2"),  # rejected: a word that ccxt does not know
    }


def test_a_deposit_is_listed_under_the_time_at_which_it_was_seen(
    server: SandboxServer, engine: Engine, clock: Clock
) -> None:
    clock.ahead = -3 * DAY
    deposit = engine.announce_deposit(KEY, "ETH", "0.1")
    clock.ahead = timedelta(0)
    engine.credit_deposit(KEY, deposit.id)
    since = milliseconds(clock() - DAY)

    [row] = ask(server, lambda x: x.fetch_deposits("ETH"))

    assert row["timestamp"] == milliseconds(deposit.listed_at)
    assert ask(server, lambda x: x.fetch_deposits("ETH", since)) == []


def test_ninety_days_are_listed_if_no_time_is_named(
    server: SandboxServer, engine: Engine, clock: Clock
) -> None:
    for days in (91, 89):
        engine.deposit(KEY, "ETH", str(days), clock() - days * DAY)
    start = milliseconds(clock() - 92 * DAY)

    assert deposits(server) == ["89.00000000"]
    assert deposits(server, startTime=start, endTime=start + 2 * 86_400_000) == ["91.00000000"]


@pytest.mark.parametrize("path", [DEPOSITS, WITHDRAWALS])
def test_a_window_of_more_than_ninety_days_is_refused(server: SandboxServer, path: str) -> None:
    answer = send(server, path, startTime=1_000, endTime=1_001 + 90 * 86_400_000)

    assert answer["code"] == -1127


def test_deposits_are_paged_by_offset_the_latest_first(
    server: SandboxServer, engine: Engine
) -> None:
    for number in range(1, 6):
        engine.deposit(KEY, "ETH", number)

    pages = [deposits(server, limit=2, offset=offset) for offset in (0, 2, 4, 6)]

    assert [[int(D(x)) for x in page] for page in pages] == [[5, 4], [3, 2], [1], []]


def test_no_page_is_longer_than_a_thousand(server: SandboxServer, engine: Engine) -> None:
    for number in range(1, 1_002):
        engine.deposit(KEY, "ETH", number)

    assert len(deposits(server, limit=5_000)) == 1_000


def test_what_moves_between_wallets_is_in_neither_list(
    server: SandboxServer, engine: Engine
) -> None:
    before = deposits(server)
    engine.reward(KEY, "BNB", "0.1")
    engine.transfer(KEY, "BNB", "1", target="funding")
    engine.convert(KEY, ("BNB", "1"), ("ETH", "0.3"))

    assert deposits(server) == before
    assert send(server, WITHDRAWALS) == []


def test_rewards_are_listed_the_latest_first(server: SandboxServer, engine: Engine) -> None:
    engine.reward(KEY, "BNB", "0.1")
    engine.reward(KEY, "ETH", "0.2", MovementKind.AIRDROP)
    engine.convert(KEY, ("BNB", "1"), ("ETH", "0.3"))

    answer = send(server, DIVIDENDS, limit=1)

    assert answer["total"] == 2
    assert [(x["asset"], x["enInfo"]) for x in answer["rows"]] == [("ETH", "Airdrop")]


@pytest.mark.parametrize(
    ("way", "expected"), [("MAIN_FUNDING", ["1", "2"]), ("FUNDING_MAIN", ["0.5"])]
)
def test_transfers_are_listed_by_their_way_and_page_by_page(
    server: SandboxServer, engine: Engine, way: str, expected: list[str]
) -> None:
    for amount in ("2", "1"):
        engine.transfer(KEY, "BNB", amount, target="funding")
    engine.transfer(KEY, "BNB", "0.5", source="funding", target="spot")
    engine.transfer(KEY, "BNB", "0.1", target="earn")

    pages = [send(server, TRANSFERS, type=way, size=1, current=n) for n in range(1, 4)]

    rows = [row for page in pages for row in page["rows"]]
    assert [D(row["amount"]) for row in rows] == [D(amount) for amount in expected]
    assert pages[0]["total"] == len(expected)
