"""How a portfolio's books are opened on what the exchange holds."""

from __future__ import annotations

from decimal import Decimal

from django.utils import timezone

from portfolios.amounts import difference, exact_sum, plain
from portfolios.models import LedgerEntry, Portfolio, SyncRun
from portfolios.models.order import OPEN_STATUSES
from portfolios.reconciliation.execution import lock
from portfolios.services.journal import append_entries, find_position
from portfolios.services.ledger import order_facts
from providers.errors import OpeningRefused
from providers.reports import BalanceReport

ZERO = Decimal(0)


def sync_unallocated(portfolio: Portfolio, cash: BalanceReport | None, run: SyncRun | None) -> None:
    """Open the portfolio's cash on what the exchange reports of its trading symbol; an open one is left as it is.

    `initial_balance` is the cash including what the portfolio's own open orders lock, so it is compared with the
    exchange's free amount plus those locks. Without it, all of that is the portfolio's. What its orders moved before
    the opening has been booked already and is taken into account.

    Parameters
    ----------
    cash : BalanceReport or None
        None if a complete read does not list the asset.

    Raises
    ------
    OpeningRefused
        If the exchange does not hold as much as the books claim; nothing is written.
    """
    if portfolio.initialized:
        return
    if cash is None or cash.free is None:
        raise OpeningRefused(_nothing_there(portfolio))
    available = available_cash(portfolio, cash.free)
    opening = portfolio.initial_balance
    if opening is None:
        opening = available
    elif opening > available:
        raise OpeningRefused(_more_than_there(portfolio, opening, available))
    open_portfolio(portfolio, portfolio.trading_symbol, opening, cost=ZERO, run=run)
    mark_opened(portfolio, opening)


def has_books(portfolio: Portfolio) -> bool:
    """Whether anything is booked of it already: of what account and mode it is says what that means."""
    is_booked = portfolio.orders.exists() or portfolio.ledger_entries.exists()
    return portfolio.initialized or is_booked


def available_cash(portfolio: Portfolio, free: Decimal) -> Decimal:
    """Tell what the portfolio can be opened with, given what is free at the exchange."""
    held = portfolio.positions.filter(asset=portfolio.trading_symbol)
    moved = exact_sum(held.values_list("amount", flat=True))
    return difference(exact_sum((free, own_locks(portfolio))), moved)


def mark_opened(portfolio: Portfolio, opening: Decimal) -> None:
    # Cash that is open is shown, also where it is none.
    find_position(portfolio.account, portfolio, portfolio.trading_symbol)
    portfolio.opening_cash = opening
    portfolio.initialized, portfolio.initialized_at = True, timezone.now()
    portfolio.save(update_fields=["opening_cash", "initialized", "initialized_at"])


def mark_closed(portfolio: Portfolio) -> None:
    """Let the next sync try to open the portfolio as if it had never been opened."""
    portfolio.opening_cash = portfolio.initialized_at = None
    portfolio.initialized = False
    portfolio.save(update_fields=["opening_cash", "initialized", "initialized_at"])


def open_portfolio(
    portfolio: Portfolio, asset: str, amount: Decimal, *, cost: Decimal, run: SyncRun | None
) -> None:
    """Book what a portfolio holds of `asset` from the start.

    An account that has its baseline holds this amount already: it is then taken out of the unassigned part. A backtest
    holds nothing at an exchange.
    """
    if not amount and not cost:
        return
    opening = LedgerEntry(
        account=portfolio.account,
        portfolio=portfolio,
        asset=asset,
        amount=amount,
        cost=cost,
        cause=LedgerEntry.Cause.OPENING,
        run=run,
        key=f"opening:{portfolio.pk}:{asset}",
    )
    entries = [opening]
    if portfolio.account.baseline_at is not None and portfolio.mode == Portfolio.Mode.LIVE:
        entries.append(
            LedgerEntry(
                account=portfolio.account,
                asset=asset,
                amount=amount.copy_negate(),
                cause=LedgerEntry.Cause.OPENING,
                run=run,
                key=f"opening:{portfolio.pk}:{asset}:unassigned",
            )
        )
    append_entries(entries)


def own_locks(portfolio: Portfolio) -> Decimal:
    """Cash that the portfolio's open orders lock, in its trading symbol."""
    locks = (
        lock(order_facts(order), order.remaining)
        for order in portfolio.orders.filter(status__in=OPEN_STATUSES)
    )
    return exact_sum(amount for asset, amount in locks if asset == portfolio.trading_symbol)


def _nothing_there(portfolio: Portfolio) -> str:
    symbol, market = portfolio.trading_symbol, portfolio.account.market
    text = f"There is no available balance on the exchange for {symbol} on market {market}. "
    if portfolio.initial_balance is not None:
        needed = plain(portfolio.initial_balance)
        return (
            f"{text}Please make sure that you have an available balance of at least "
            f"{needed} {symbol} on the exchange."
        )
    return (
        f"{text}Please make sure that you have an available balance on the exchange "
        f"for {symbol} on market {market}."
    )


def _more_than_there(portfolio: Portfolio, opening: Decimal, available: Decimal) -> str:
    symbol = portfolio.trading_symbol
    return (
        f"The initial balance of the portfolio configuration ({plain(opening)} {symbol}) is more than the "
        "available balance on the exchange. Please make sure that the initial balance of the portfolio "
        f"configuration is less than the available balance on the exchange {plain(available)} {symbol}."
    )
