"""What comes in, what goes elsewhere, and its records."""

from __future__ import annotations

from decimal import Decimal

import pytest

from providers.sandbox.books import Balance, DepositStatus, MovementKind
from providers.sandbox.engine import Engine
from providers.sandbox.errors import InsufficientFunds, UnknownDeposit
from tests.providers.sandbox.exchange import KEY, Clock

D = Decimal


def test_a_deposit_on_its_way_is_in_no_balance(engine: Engine) -> None:
    deposit = engine.announce_deposit(KEY, "BNB", "1.5")

    assert (deposit.status, deposit.credited_at) == (DepositStatus.PENDING, None)
    assert engine.balance(KEY, "BNB").total == 3


def test_a_credited_deposit_is_in_the_balance_and_keeps_its_first_time(
    engine: Engine, clock: Clock
) -> None:
    announced = engine.announce_deposit(KEY, "BNB", "1.5")

    credited = engine.credit_deposit(KEY, announced.id)

    assert engine.balance(KEY, "BNB") == Balance(D("4.5"))
    assert engine.deposits(KEY)[-1] == credited
    assert credited.listed_at == announced.requested_at
    assert credited.credited_at is not None
    assert credited.credited_at > credited.listed_at


def test_a_failed_deposit_never_arrives(engine: Engine) -> None:
    deposit = engine.announce_deposit(KEY, "BNB", "1.5")

    assert engine.fail_deposit(KEY, deposit.id).status is DepositStatus.FAILED
    assert engine.balance(KEY, "BNB").total == 3
    with pytest.raises(UnknownDeposit):
        engine.credit_deposit(KEY, deposit.id)


@pytest.mark.parametrize("kind", [MovementKind.STAKING, MovementKind.AIRDROP])
def test_a_reward_has_a_record(engine: Engine, kind: MovementKind) -> None:
    reward = engine.reward(KEY, "BNB", "0.01", kind)

    assert engine.movements(KEY) == [reward]
    assert (reward.kind, reward.amount) == (kind, D("0.01"))
    assert engine.balance(KEY, "BNB").total == D("3.01")


def test_a_transfer_moves_from_one_wallet_to_the_other(engine: Engine) -> None:
    there = engine.transfer(KEY, "BNB", "2", target="earn")
    back = engine.transfer(KEY, "BNB", "0.5", source="earn", target="spot")

    assert [x.amount for x in engine.movements(KEY)] == [D(-2), D("0.5")]
    assert {there.wallet, back.wallet} == {"earn"}
    held = [engine.wallet_balance(KEY, wallet, "BNB") for wallet in ("spot", "earn", "funding")]
    assert held == [D("1.5"), D("1.5"), 0]


@pytest.mark.parametrize(("source", "target"), [("spot", "earn"), ("earn", "spot")])
def test_no_wallet_gives_more_than_it_has(engine: Engine, source: str, target: str) -> None:
    with pytest.raises(InsufficientFunds):
        engine.transfer(KEY, "BNB", "4", source=source, target=target)

    assert engine.movements(KEY) == []
    assert engine.balance(KEY, "BNB").total == 3


def test_both_sides_of_a_conversion_have_one_reference(engine: Engine) -> None:
    sold, bought = engine.convert(KEY, ("BNB", "1"), ("EUR", "700.5"))

    assert (sold.ref, sold.amount) == (bought.ref, D(-1))
    assert sold.id != bought.id
    assert engine.balance(KEY, "EUR").total == D("700.5")


def test_an_adjustment_has_no_record(engine: Engine) -> None:
    engine.adjust(KEY, "BNB", "-0.1")

    assert engine.balance(KEY, "BNB").total == D("2.9")
    assert engine.movements(KEY) == []
