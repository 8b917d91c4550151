from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from providers.sandbox.books import Fee
from providers.sandbox.engine import Engine
from providers.sandbox.errors import DuplicateClientOrderId, StateUnreadable
from providers.sandbox.state import engine_document, read_state, write_state
from tests.providers.sandbox.exchange import BTC, KEY, make_engine


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "exchange.json"


def test_an_engine_continues_where_it_was(path: Path) -> None:
    engine = make_engine()
    order = engine.buy(KEY, BTC, "0.5", "80000.01", "mine-1")
    engine.fill_order(order.id, "0.1", fee=Fee("BNB", engine.balance(KEY, "BNB").free / 3))
    engine.withdraw(KEY, "BTC", "0.123456789012345678")
    write_state(path, engine, {"done": 3})
    restored = Engine()

    scenario = read_state(path, restored)

    assert scenario == {"done": 3}
    assert engine_document(restored) == engine_document(engine)
    assert int(restored.buy(KEY, BTC, "0.1", "80000").id) == engine.next_id


def test_every_record_of_an_account_is_written(path: Path) -> None:
    engine = make_engine()
    engine.announce_deposit(KEY, "BNB", "1")
    engine.transfer(KEY, "BNB", "0.5", target="earn")
    engine.convert(KEY, ("BNB", "0.1"), ("ETH", "0.03"))
    bid, offer = engine.buy(KEY, BTC, "0.1", "80000"), engine.sell(KEY, BTC, "0.1", "80000")
    engine.self_trade(bid.id, offer.id, "0.1")
    engine.forget_order(bid.id)
    write_state(path, engine, {})
    restored = Engine()

    read_state(path, restored)

    assert restored.accounts == engine.accounts


def test_a_restored_order_can_be_filled(path: Path) -> None:
    engine = make_engine()
    order = engine.buy(KEY, BTC, "0.5", "80000")
    write_state(path, engine, {})
    restored = Engine()
    read_state(path, restored)

    restored.fill_order(order.id)

    assert str(restored.balance(KEY, "BTC").total) == "2.50000001"


def test_a_restored_order_keeps_its_client_id_taken(path: Path) -> None:
    engine = make_engine()
    engine.buy(KEY, BTC, "0.5", "80000", "mine-1")
    write_state(path, engine, {})
    restored = Engine()
    read_state(path, restored)

    with pytest.raises(DuplicateClientOrderId):
        restored.buy(KEY, BTC, "0.5", "80000", "mine-1")


def test_no_file_is_no_state(path: Path) -> None:
    assert read_state(path, Engine()) is None


def test_the_file_is_for_its_owner_only(path: Path) -> None:
    write_state(path, make_engine(), {})

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_amounts_are_written_as_strings(path: Path) -> None:
    write_state(path, make_engine(), {})

    def refuse(number: str) -> float:
        raise AssertionError(f"a float: {number}")

    json.loads(path.read_text(), parse_float=refuse)


def test_nothing_but_the_state_is_left_behind(path: Path) -> None:
    write_state(path, make_engine(), {})
    write_state(path, make_engine(), {})

    assert [x.name for x in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "text", ["", "nonsense", "[]", "{}", '{"version": 2}', '{"version": 1, "engine": {}}']
)
def test_a_file_that_is_no_state_is_refused_and_changes_nothing(path: Path, text: str) -> None:
    path.write_text(text)
    engine = make_engine()
    before = engine_document(engine)

    with pytest.raises(StateUnreadable, match=path.name):
        read_state(path, engine)

    assert engine_document(engine) == before
