"""A portfolio that could not be opened, since the exchange holds less than it claims, opened with what is there."""

from __future__ import annotations

from decimal import Decimal

from django.utils.translation import gettext as _

from portfolios.amounts import plain
from portfolios.models import Portfolio
from portfolios.services.claims import possible_owners
from portfolios.services.decisions.booking import Cause, Line, book, book_back
from portfolios.services.decisions.doing import Doing
from portfolios.services.openings import available_cash, mark_closed, mark_opened


def cash_there(portfolio: Portfolio) -> Decimal | None:
    """Tell what the portfolio could be opened with, by the newest read; None if that does not tell it."""
    account = portfolio.account
    rows = account.balances.filter(wallet=account.wallets[0])
    row = rows.filter(asset=portfolio.trading_symbol).first()
    if row is None:
        return None
    free = row.newest_free if row.provisional else row.free
    if free is None:
        return None
    return available_cash(portfolio, free)


def portfolio_of(doing: Doing) -> Portfolio:
    return doing.find("portfolio", possible_owners(doing.account).select_related("account"))


def about_opening(doing: Doing) -> str:
    return f"opening of {portfolio_of(doing).name}"


def accept_opening(doing: Doing) -> None:
    portfolio = portfolio_of(doing)
    names = {"portfolio": portfolio.name}
    if portfolio.initialized:
        raise doing.refused(_("Portfolio %(portfolio)s is open already.") % names)
    cash, given = portfolio.trading_symbol, doing.amount(doing.given.get("amount"))
    there = cash_there(portfolio)
    if there is None or there < 0:
        raise doing.refused(
            _("What is there for portfolio %(portfolio)s is not known; sync the account.") % names
        )
    if there != given or cash != doing.given.get("asset"):
        names |= {"there": plain(there), "asset": cash}
        raise doing.refused(
            _("There are %(there)s %(asset)s for portfolio %(portfolio)s by now.") % names
        )
    lines = [Line(portfolio, cash, given, Cause.OPENING)]
    if doing.account.baseline_at is not None:
        lines.append(Line(None, cash, given.copy_negate(), Cause.OPENING))
    book(doing.account, doing.decision, lines)
    mark_opened(portfolio, given)


def close_again(doing: Doing, done: Doing) -> None:
    portfolio = portfolio_of(done)
    book_back(doing.account, doing.decision, done.decision.ledger_entries.order_by("pk"))
    mark_closed(portfolio)
