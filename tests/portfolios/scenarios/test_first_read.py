"""What happens at the exchange while an account is read for the first time."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from providers.sandbox.binance import Binance
from providers.sandbox.binance_call import Call
from tests.desk import KEY, Desk

D = Decimal


@pytest.mark.parametrize("is_in_book", [True, False])
def test_what_is_filled_between_the_read_of_orders_and_of_balances_counts_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, is_in_book: bool
) -> None:
    desk.deposit("EUR", "1100")
    desk.open_portfolio("1000")
    placed = desk.buy("100", "1") if is_in_book else desk.engine.buy(KEY, "ADA/EUR", "100", "1")
    read = Binance.open_orders

    def then_fill(dialect: Binance, call: Call) -> object:
        rows = read(dialect, call)
        monkeypatch.setattr(Binance, "open_orders", read)
        # At once: its time, cut to the millisecond, is before that of the request.
        at = datetime.fromtimestamp(int(call.text("timestamp")) / 1000, UTC)
        with monkeypatch.context() as patch:
            patch.setattr(desk.engine, "clock", lambda: at)
            desk.engine.fill_order(placed.id, "40")
        return rows

    monkeypatch.setattr(Binance, "open_orders", then_fill)
    for _look in range(4):
        desk.sync()

    balances = {row.asset: (row.verdict, row.expected) for row in desk.account.balances.all()}
    assert balances == {"ADA": ("VERIFIED", D(40)), "EUR": ("VERIFIED", D(1060))}
    owners = {None: D(40), "alpha": D(0)} if not is_in_book else {None: D(0), "alpha": D(40)}
    held = desk.account.positions.filter(asset="ADA")
    assert {row.portfolio and row.portfolio.name: row.amount for row in held} | {
        owner: D(0) for owner, amount in owners.items() if not amount
    } == owners
