"""Deposits, withdrawals and the ledger, in Kraken's words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from providers.sandbox.books import Fee, MovementKind
from providers.sandbox.engine import Engine
from providers.sandbox.kraken import Kraken
from providers.sandbox.kraken_names import DEPOSIT, MOVEMENT, TRADE, WITHDRAWAL, txid
from providers.sandbox.server import SandboxServer
from tests.providers.sandbox.exchange import KEY, Clock
from tests.providers.sandbox.kraken_exchange import BTC, ask, call

D = Decimal


@pytest.fixture
def server(engine: Engine) -> Iterator[SandboxServer]:
    with SandboxServer(engine, dialect=Kraken(engine)) as running:
        yield running


def ledger(server: SandboxServer, **params: Any) -> list[dict[str, Any]]:
    """Tell the rows, the latest first."""
    return [*call(server, "Ledgers", **params)["result"]["ledger"].values()]


def told(row: dict[str, Any]) -> tuple[str, str, Decimal, Decimal]:
    return row["type"], row["asset"], D(row["amount"]), D(row["fee"])


def test_deposits_are_listed(server: SandboxServer, engine: Engine) -> None:
    deposit = engine.deposit(KEY, "BTC", "0.5")

    latest, *others = ask(server, lambda x: x.fetch_deposits("BTC"))

    assert (latest["id"], latest["currency"]) == (txid(DEPOSIT, deposit.id), "BTC")
    assert (D(latest["amount"]), latest["status"]) == (D("0.5"), "ok")
    assert len(others) == 1


def test_withdrawals_tell_their_state(server: SandboxServer, engine: Engine) -> None:
    done, failed, _ = (engine.withdraw(KEY, "USDT", amount, "1") for amount in ("10", "20", "30"))
    engine.complete_withdrawal(KEY, done.id)
    engine.fail_withdrawal(KEY, failed.id)

    rows = ask(server, lambda x: x.fetch_withdrawals())

    states = {D(row["amount"]): (row["status"], D(row["fee"]["cost"])) for row in rows}
    assert states == {D(10): ("ok", D(1)), D(20): ("failed", D(1)), D(30): ("pending", D(1))}


def test_flows_can_be_asked_for_by_asset(server: SandboxServer) -> None:
    rows = call(server, "DepositStatus", asset="XXBT")["result"]

    assert [row["asset"] for row in rows] == ["XXBT"]


def test_a_deposit_is_in_the_ledger(server: SandboxServer, engine: Engine, clock: Clock) -> None:
    clock.ahead = timedelta(seconds=1)
    deposit = engine.deposit(KEY, "BTC", "0.5")

    *_, entry = ask(server, lambda x: x.fetch_ledger("BTC"))

    assert (entry["referenceId"], entry["direction"]) == (txid(DEPOSIT, deposit.id), "in")
    assert (D(entry["amount"]), D(entry["after"])) == (D("0.5"), D("2.50000001"))


def test_a_withdrawal_is_in_the_ledger_once_it_has_left(
    server: SandboxServer, engine: Engine
) -> None:
    withdrawal = engine.withdraw(KEY, "BNB", "1", fee="0.1")
    before = ledger(server, type="withdrawal")
    engine.complete_withdrawal(KEY, withdrawal.id)

    (row,) = ledger(server, type="withdrawal")

    assert before == []
    assert told(row) == ("withdrawal", "BNB", D("-1"), D("0.1"))
    assert (row["refid"], D(row["balance"])) == (txid(WITHDRAWAL, withdrawal.id), D("1.9"))


@pytest.mark.parametrize(
    ("fee", "rows"),
    [
        (Fee("USDT", D(40)), [("USDT", -40_000, 40), ("XXBT", "0.5", 0)]),
        (Fee("BTC", D("0.001")), [("USDT", -40_000, 0), ("XXBT", "0.5", "0.001")]),
        (Fee("BNB", D("0.05")), [("BNB", 0, "0.05"), ("USDT", -40_000, 0), ("XXBT", "0.5", 0)]),
    ],
)
def test_a_trade_is_in_the_ledger_once_for_each_asset(
    server: SandboxServer, engine: Engine, fee: Fee, rows: list[Any]
) -> None:
    fill = engine.fill_order(engine.buy(KEY, BTC, "0.5", "80000").id, fee=fee)

    found = ledger(server, type="trade")

    assert {row["refid"] for row in found} == {txid(TRADE, fill.id)}
    assert [told(row) for row in found] == [
        ("trade", asset, D(amount), D(charged)) for asset, amount, charged in rows
    ]


def test_the_ledger_leads_from_each_balance_to_the_next(
    server: SandboxServer, engine: Engine
) -> None:
    order = engine.buy(KEY, BTC, "0.5", "80000")
    engine.fill_order(order.id, "0.2", fee=Fee("USDT", D("16.5")))
    engine.withdraw(KEY, "USDT", "7")
    engine.fill_order(order.id, "0.3", "79000", fee=Fee("BTC", D("0.0003")))

    for asset, now in (("USDT", engine.balance(KEY, "USDT")), ("XXBT", engine.balance(KEY, "BTC"))):
        balance = now.total
        for row in ledger(server, asset=asset):
            assert D(row["balance"]) == balance
            balance -= D(row["amount"]) - D(row["fee"])
        assert balance == 0


def test_the_ledger_is_paged_by_offset(server: SandboxServer, engine: Engine) -> None:
    for number in range(1, 61):
        engine.deposit(KEY, "EUR", number)

    first, second = ledger(server, asset="ZEUR"), ledger(server, asset="ZEUR", ofs=50)

    assert [D(row["amount"]) for row in first + second] == list(range(60, 0, -1))


# What is no deposit, withdrawal or trade


@pytest.mark.parametrize(
    ("kind", "word"), [(MovementKind.STAKING, "staking"), (MovementKind.AIRDROP, "reward")]
)
def test_a_reward_is_in_the_ledger(
    server: SandboxServer, engine: Engine, kind: MovementKind, word: str
) -> None:
    reward = engine.reward(KEY, "BNB", "0.01", kind)

    (row,) = ledger(server, type=word)

    assert told(row) == (word, "BNB", D("0.01"), D(0))
    assert (row["refid"], D(row["balance"])) == (txid(MOVEMENT, reward.ref), D("3.01"))


def test_a_transfer_tells_where_it_went_and_whence_it_came(
    server: SandboxServer, engine: Engine, clock: Clock
) -> None:
    engine.transfer(KEY, "BNB", "2", target="earn")
    engine.transfer(KEY, "BNB", "0.5", source="earn", target="spot")
    engine.transfer(KEY, "BNB", "0.1", target="funding")

    rows = ledger(server, type="transfer")

    assert [(x["subtype"], D(x["amount"]), D(x["balance"])) for x in rows] == [
        ("spottofutures", D("-0.1"), D("1.4")),
        ("spotfromstaking", D("0.5"), D("1.5")),
        ("spottostaking", D(-2), D(1)),
    ]


def test_both_sides_of_a_conversion_are_in_the_ledger(
    server: SandboxServer, engine: Engine
) -> None:
    engine.convert(KEY, ("BNB", "1"), ("EUR", "700.5"))

    bought, sold = ask(server, lambda x: x.fetch_ledger(None, None, None, {"type": "conversion"}))

    assert bought["referenceId"] == sold["referenceId"]
    assert {(x["currency"], x["direction"], D(x["amount"])) for x in (bought, sold)} == {
        ("BNB", "out", D(1)),
        ("EUR", "in", D("700.5")),
    }


def test_deposits_tell_their_state(server: SandboxServer, engine: Engine) -> None:
    amounts = ("0.1", "0.2", "0.3")
    _, credited, failed = (engine.announce_deposit(KEY, "BNB", amount) for amount in amounts)
    engine.credit_deposit(KEY, credited.id)
    engine.fail_deposit(KEY, failed.id)

    rows = ask(server, lambda x: x.fetch_deposits("BNB"))

    assert {(D(x["amount"]), x["status"]) for x in rows} == {
        (D(3), "ok"),
        (D("0.1"), "pending"),
        (D("0.2"), "ok"),
        (D("0.3"), "failed"),
    }
    assert told(ledger(server, asset="BNB")[0]) == ("deposit", "BNB", D("0.2"), D(0))


def test_the_ledger_is_asked_for_by_time(
    server: SandboxServer, engine: Engine, clock: Clock
) -> None:
    for seconds in (10, 20, 30):
        clock.ahead = timedelta(seconds=seconds)
        engine.deposit(KEY, "EUR", seconds)
    times = [D(str(row["time"])) for row in ledger(server, asset="ZEUR")]

    rows = ledger(server, asset="ZEUR", start=times[2], end=times[1])

    assert [D(x["amount"]) for x in rows] == [20]
