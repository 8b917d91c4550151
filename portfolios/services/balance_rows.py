"""What is shown of each asset: its last settled verdict, and how far a newer read has come."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from django.db.models import QuerySet

from portfolios.models import AssetBalance, ExchangeAccount
from portfolios.models.choices import Verdict
from portfolios.reconciliation import verdicts
from portfolios.reconciliation.balances import expected_then, provisional
from portfolios.reconciliation.locks import UsedJudgement
from portfolios.services.effects import balance_legs, observed_balances
from portfolios.services.judged_contents import AssetJudgement
from portfolios.services.snapshots import JudgedRead
from providers.reports import Leg, LegStatus

ZERO = Decimal(0)
UNREAD = "balances were not read"
NOT_LISTED = "not listed by an incomplete read"
NO_BASELINE = "the account has no baseline yet"
_KEYS: Final = ("account", "wallet", "asset")
_WRITTEN: Final = (
    *("free", "used", "total", "expected", "residual", "residual_low", "residual_high"),
    *("tolerance", "verdict", "reason", "used_verdict", "used_low", "used_high"),
    *("observed_at", "provisional", "newest_free", "newest_used", "newest_total", "newest_at"),
)
# What says nothing that a provisional look may not replace.
_OPEN_TO_NEWS: Final = ("", Verdict.NOT_VERIFIABLE, Verdict.PROVISIONAL)


@dataclass(slots=True)
class BalanceRows:
    """The rows of an account, changed in memory and written at once."""

    account: ExchangeAccount
    rows: dict[tuple[str, str], AssetBalance] = field(default_factory=dict)
    changed: dict[tuple[str, str], AssetBalance] = field(default_factory=dict)

    @classmethod
    def of(cls, account: ExchangeAccount) -> BalanceRows:
        return cls(account, {(row.wallet, row.asset): row for row in account.balances.all()})

    def settle(self, read: JudgedRead) -> None:
        """Take over what a settled snapshot says."""
        for wallet, asset, found in each_asset(read):
            row = self.row(wallet, asset)
            _note_newest(row, found, read)
            _note_numbers(row, found, found.judgement, read)
            row.provisional = False

    def look(self, read: JudgedRead, differing: Collection[tuple[str, str]]) -> None:
        """Show that a newer read waits; its numbers are taken over where it only goes on as it was.

        Parameters
        ----------
        differing : collection of pairs of str
            Wallet and asset of which a discrepancy lives: they agree again only once that is settled.
        """
        for wallet, asset, found in each_asset(read):
            row = self.row(wallet, asset)
            _note_newest(row, found, read)
            row.provisional = True
            word = found.judgement.verdict
            goes_on = row.verdict == Verdict.VERIFIED or row.verdict in _OPEN_TO_NEWS
            if word is verdicts.Verdict.NOT_VERIFIABLE or (
                word is verdicts.Verdict.VERIFIED and goes_on and (wallet, asset) not in differing
            ):
                _note_numbers(row, found, found.judgement, read)
            elif row.verdict in _OPEN_TO_NEWS:
                _note_numbers(row, found, provisional(found.judgement), read)

    def note_locks(self, used_by_wallet: Mapping[str, Mapping[str, UsedJudgement]]) -> None:
        """Note whether what is in use is what the open orders lock."""
        for wallet, by_asset in used_by_wallet.items():
            for asset, used in by_asset.items():
                if (wallet, asset) in self.rows:
                    row = self.row(wallet, asset)
                    row.used_verdict = used.verdict
                    row.used_low, row.used_high = used.low, used.high

    def write(self) -> None:
        AssetBalance.objects.bulk_create(
            [self.changed[key] for key in sorted(self.changed)],
            update_conflicts=True,
            unique_fields=_KEYS,
            update_fields=_WRITTEN,
        )

    def row(self, wallet: str, asset: str) -> AssetBalance:
        key = wallet, asset
        row = self.rows.get(key)
        if row is None:
            row = AssetBalance(account=self.account, wallet=wallet, asset=asset)
        # Without its own key, so that one statement writes old and new ones.
        row.pk = None
        self.rows[key] = self.changed[key] = row
        return row


def each_asset(read: JudgedRead) -> Iterable[tuple[str, str, AssetJudgement]]:
    for wallet, of_wallet in read.assets.items():
        for asset, found in of_wallet.items():
            yield wallet, asset, found


def _note_newest(row: AssetBalance, found: AssetJudgement, read: JudgedRead) -> None:
    reported = found.reported
    row.newest_free = reported.free if reported else ZERO
    row.newest_used = reported.used if reported else ZERO
    row.newest_total = found.evidence.total
    row.newest_at = read.snapshot.seen_at


def _note_numbers(
    row: AssetBalance, found: AssetJudgement, said: verdicts.Judgement, read: JudgedRead
) -> None:
    row.free, row.used, row.total = row.newest_free, row.newest_used, row.newest_total
    row.expected = expected_then(found.evidence, found.judgement)
    row.residual, row.residual_low, row.residual_high = said.residual, said.low, said.high
    row.tolerance = found.evidence.tolerance
    row.verdict, row.reason = said.verdict.value, said.reason
    row.observed_at = read.snapshot.seen_at


def list_unjudged(
    account: ExchangeAccount, legs: Iterable[Leg], expected: Mapping[str, Mapping[str, Decimal]]
) -> None:
    """Show what is there while the account has no baseline to judge it by."""
    rows = BalanceRows.of(account)
    for leg in balance_legs(legs):
        if leg.status is LegStatus.OBSERVED:
            _list_wallet(rows, leg, expected.get(leg.subject, {}))
    rows.write()


def _list_wallet(rows: BalanceRows, leg: Leg, expected: Mapping[str, Decimal]) -> None:
    held = observed_balances(leg)
    listed = held.keys() | expected.keys() if leg.complete else held.keys()
    for asset in sorted(listed):
        row = rows.row(leg.subject, asset)
        reported = held.get(asset)
        row.free = row.newest_free = reported.free if reported else ZERO
        row.used = row.newest_used = reported.used if reported else ZERO
        row.total = row.newest_total = reported.total if reported else ZERO
        row.expected = expected.get(asset, ZERO)
        row.verdict, row.reason = Verdict.NOT_VERIFIABLE, NO_BASELINE
        row.observed_at = row.newest_at = leg.responded_at


def mark_not_verifiable(balances: QuerySet[AssetBalance], reason: str) -> None:
    balances.update(verdict=Verdict.NOT_VERIFIABLE, reason=reason)
