"""What is booked: gathered, then written at once. The only writer of ledger entries and positions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal

from portfolios.amounts import exact_sum
from portfolios.models import ExchangeAccount, LedgerEntry, Portfolio, Position
from portfolios.reconciliation.lots import Change, OpenLots

ZERO = Decimal(0)
# A portfolio, None for the unassigned part, and an asset.
Holding = tuple[int | None, str]


def append_entries(entries: Sequence[LedgerEntry]) -> None:
    """Insert entries and move the positions they belong to; call it inside the transaction of their cause.

    Raises
    ------
    django.db.IntegrityError
        If an entry of that key has been booked before; nothing of the transaction remains.
    """
    if entries:
        with posted(entries[0].account) as journal:
            journal.append(entries)


@contextmanager
def posted(account: ExchangeAccount) -> Iterator[Journal]:
    """Yield a journal that is written at the end."""
    journal = Journal(account)
    yield journal
    journal.post()


def find_position(account: ExchangeAccount, portfolio: Portfolio | None, asset: str) -> Position:
    position, _ = Position.objects.get_or_create(account=account, portfolio=portfolio, asset=asset)
    return position


class Journal:
    """The entries of one account that are not written yet, and what it holds with them."""

    def __init__(self, account: ExchangeAccount) -> None:
        self._account = account
        self._entries: list[LedgerEntry] = []
        self._amounts: dict[Holding, Decimal] | None = None
        self._lots: dict[Holding, OpenLots] = {}

    def append(self, entries: Iterable[LedgerEntry]) -> None:
        for entry in entries:
            self._entries.append(entry)
            self._take_in(entry)

    def held(self, holding: Holding) -> Decimal | None:
        """Tell what is held, with what is not written yet; None if there never was any of it."""
        if self._amounts is None:
            rows = self._account.positions.values_list("portfolio", "asset", "amount")
            self._amounts = {(owner, asset): amount for owner, asset, amount in rows.order_by()}
            for entry in self._entries:
                _add_up(self._amounts, entry)
        return self._amounts.get(holding)

    def lots(self, holding: Holding) -> OpenLots:
        """Tell what is open of a holding after all that is booked, and what that had cost."""
        if holding not in self._lots:
            self._lots[holding] = OpenLots(self._history(holding))
        return self._lots[holding]

    def post(self) -> None:
        """Write what is gathered, and move the positions."""
        entries, self._entries = self._entries, []
        if entries:
            LedgerEntry.objects.bulk_create(entries)
            self._move_positions(entries)
            _add_gains(entries)

    def _take_in(self, entry: LedgerEntry) -> None:
        if self._amounts is not None:
            _add_up(self._amounts, entry)
        lots = self._lots.get(_holding(entry))
        if lots is not None:
            lots.apply(_change(entry.amount, entry.cost, entry.cause))

    def _history(self, holding: Holding) -> Iterable[Change]:
        owner, asset = holding
        rows = self._account.ledger_entries.filter(portfolio=owner, asset=asset).order_by("pk")
        for amount, cost, cause in rows.values_list("amount", "cost", "cause"):
            yield _change(amount, cost, cause)
        for entry in self._entries:
            if _holding(entry) == holding:
                yield _change(entry.amount, entry.cost, entry.cause)

    def _move_positions(self, entries: Iterable[LedgerEntry]) -> None:
        moved: defaultdict[Holding, list[LedgerEntry]] = defaultdict(list)
        for entry in entries:
            moved[_holding(entry)].append(entry)
        stored = self._account.positions.filter(asset__in={asset for _owner, asset in moved})
        positions = {(row.portfolio_id, row.asset): row for row in stored.order_by()}
        new = []
        for holding, changes in moved.items():
            owner, asset = holding
            position = positions.get(holding)
            if position is None:
                position = Position(account=self._account, portfolio_id=owner, asset=asset)
                new.append(position)
            position.amount = exact_sum((position.amount, *(x.amount for x in changes)))
            position.cost = exact_sum((position.cost, *(x.cost for x in changes)))
            if position.pk is not None:
                position.save(update_fields=["amount", "cost"])
        Position.objects.bulk_create(new)


def _add_up(amounts: dict[Holding, Decimal], entry: LedgerEntry) -> None:
    holding = _holding(entry)
    amounts[holding] = exact_sum((amounts.get(holding, ZERO), entry.amount))


def _holding(entry: LedgerEntry) -> Holding:
    return entry.portfolio_id, entry.asset


def _change(amount: Decimal, cost: Decimal, cause: str) -> Change:
    return Change(amount, cost, is_trade=cause != LedgerEntry.Cause.FEE)


def _add_gains(entries: Iterable[LedgerEntry]) -> None:
    gains: defaultdict[int, list[Decimal]] = defaultdict(list)
    for entry in entries:
        if entry.portfolio_id is not None and entry.gain:
            gains[entry.portfolio_id].append(entry.gain)
    if not gains:
        return
    for portfolio in Portfolio.objects.filter(pk__in=gains):
        portfolio.realized_gain = exact_sum((portfolio.realized_gain, *gains[portfolio.pk]))
        portfolio.save(update_fields=["realized_gain"])
