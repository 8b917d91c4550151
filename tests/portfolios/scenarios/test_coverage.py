"""Open scenarios F04 to F08 and X06: how far lists of fills were read, and that no gap is passed over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from portfolios.models import ExchangeAccount, Fill, ReadCursor
from portfolios.services import facts
from portfolios.services.cursors import cursors
from providers.reports import LegKind
from providers.sandbox.books import Order as ExchangeOrder
from tests.desk import KEY, Desk
from tests.portfolios.services.reads import (
    account_fills,
    balances,
    failed,
    look,
    make_fill_report,
    open_orders,
    skipped,
)

D = Decimal
SYMBOLS = [f"ADA/{quote}" for quote in ("EUR", "USDT", "USDC", "BTC", "ETH", "BNB", "TRY")]


def cursor(subject: str = "ADA/EUR") -> datetime | None:
    row = ReadCursor.objects.filter(subject=subject, kind=LegKind.ACCOUNT_FILLS).first()
    return row.covered_until if row else None


def set_back(days: int) -> None:
    """Let the account have been read last `days` ago."""
    then = timezone.now() - timedelta(days=days)
    ExchangeAccount.objects.update(baseline_at=then, full_read_at=then)


def set_clock(desk: Desk, now: datetime) -> None:
    desk.engine.clock = lambda: now


def buy_by_hand(desk: Desk, times: int) -> ExchangeOrder:
    """Buy by hand, in as many fills of 0.01 ADA as asked for."""
    placed = desk.engine.buy(KEY, "ADA/EUR", str(D("0.01") * times), "1")
    for _fill in range(times):
        desk.engine.fill_order(placed.id, "0.01")
    return placed


def test_f04_more_fills_than_two_pages_hold_are_all_read_and_the_cursor_moves(
    trader: Desk,
) -> None:
    began = timezone.now()
    placed = buy_by_hand(trader, 2350)

    trader.sync()

    assert Fill.objects.filter(order=trader.order(placed)).count() == 2350
    reached = cursor()
    assert reached is not None
    assert reached >= began - timedelta(seconds=3)
    assert trader.position("ADA", None).amount == D("23.5")
    assert trader.differences() == []


def test_f05_fills_of_one_millisecond_at_the_end_of_a_page_are_all_read(trader: Desk) -> None:
    buy_by_hand(trader, 999)
    with trader.engine.standing_still():
        buy_by_hand(trader, 3)

    trader.sync()

    assert Fill.objects.count() == 1002
    assert trader.differences() == []


def test_f06_a_read_that_broke_off_before_anything_whole_moves_no_cursor(
    account: ExchangeAccount,
) -> None:
    newest = make_fill_report("1", "2", executed_at=timezone.now(), external_id="f-9")

    page = account_fills(newest, until=None, complete=False, why_incomplete="broken off")
    look(account, open_orders(), balances(EUR="98", ADA="1"), page)

    assert cursor() is None


def test_f06_the_next_whole_read_has_every_fill_once(account: ExchangeAccount) -> None:
    now = timezone.now()
    fills = [
        make_fill_report("1", "2", executed_at=now, external_id=f"f-{number}")
        for number in range(5)
    ]
    page = account_fills(fills[0], until=None, complete=False, why_incomplete="broken off")
    look(account, open_orders(), balances(EUR="90", ADA="5"), page)

    look(account, open_orders(), balances(EUR="90", ADA="5"), account_fills(*fills))

    assert sorted(Fill.objects.values_list("external_id", flat=True)) == [
        f"f-{number}" for number in range(5)
    ]
    assert cursor() is not None


def test_f06_a_crash_while_booking_moves_neither_rows_nor_cursor(
    account: ExchangeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill = make_fill_report("1", "2", executed_at=timezone.now())
    legs = [open_orders(), balances(EUR="98", ADA="1"), account_fills(fill)]

    def crash(_account: ExchangeAccount) -> None:
        assert cursor() is not None  # it had moved within the transaction
        raise ValueError("crashed after the cursor moved")

    monkeypatch.setattr(facts, "rewrite_reserved", crash)
    run = look(account, *legs)

    assert run.status == "failed"
    assert (cursor(), Fill.objects.count()) == (None, 0)


def test_f07_after_five_days_every_day_is_read(trader: Desk) -> None:
    set_back(days=5)
    now, clock = datetime.now(UTC), trader.engine.clock
    for days in (4, 3, 2, 1):
        set_clock(trader, now - timedelta(days=days))
        buy_by_hand(trader, 1)
    trader.engine.clock = clock
    trader.server.requests.clear()

    trader.sync()

    windows = [path for path in trader.requests() if path.endswith("/myTrades")]
    assert len(windows) >= 5
    assert Fill.objects.count() == 4
    assert trader.position("ADA", None).amount == D("0.04")


def test_f08_a_rate_limit_leaves_the_cursors_of_what_was_not_read(
    account: ExchangeAccount,
) -> None:
    read = [account_fills(symbol=symbol) for symbol in SYMBOLS[:3]]
    limited = failed(LegKind.ACCOUNT_FILLS, "rate", subject=SYMBOLS[3])
    unread = [skipped(LegKind.ACCOUNT_FILLS, subject=symbol) for symbol in SYMBOLS[4:]]

    run = look(account, open_orders(), balances(EUR="100"), *read, limited, *unread)

    assert run.status == "partial"
    assert [cursor(symbol) is not None for symbol in SYMBOLS] == [True] * 3 + [False] * 4


def test_f08_what_was_not_read_begins_where_it_was_read_last(account: ExchangeAccount) -> None:
    first = account_fills(make_fill_report("1", "2"))
    look(account, open_orders(), balances(EUR="100"), first)

    look(
        account,
        open_orders(),
        balances(EUR="100"),
        failed(LegKind.ACCOUNT_FILLS, "rate", subject="ADA/EUR"),
    )

    assert cursor() == first.until


def test_x06_a_read_that_broke_off_is_taken_up_where_its_last_whole_window_ended(
    account: ExchangeAccount,
) -> None:
    now = timezone.now()
    reached = now - timedelta(hours=6)
    half = account_fills(until=reached, complete=False, why_incomplete="asked to slow down")

    look(account, open_orders(), balances(EUR="100"), half)

    [asked] = [cursor for cursor in cursors(account, now) if cursor.kind is LegKind.ACCOUNT_FILLS]
    assert (asked.subject, asked.covered_until) == ("ADA/EUR", reached)
