from __future__ import annotations

from decimal import Decimal

from django.db import models
from django.utils.translation import gettext_lazy as _

from portfolios.fields import AmountField
from portfolios.models.account import ExchangeAccount
from portfolios.models.choices import Verdict
from portfolios.models.flow import Flow
from portfolios.models.order import Fill, Order
from portfolios.models.portfolio import Portfolio


class LedgerEntry(models.Model):
    """One signed change of one asset of one portfolio, or of the unassigned part of an account.

    Append-only: a trigger on both databases refuses to change or delete a row.
    """

    class Cause(models.TextChoices):
        OPENING = "opening", _("Opening")
        BASELINE = "baseline", _("Baseline")
        EXECUTION = "execution", _("Execution")
        FEE = "fee", _("Fee")
        DEPOSIT = "deposit", _("Deposit")
        WITHDRAWAL = "withdrawal", _("Withdrawal")
        TRANSFER = "transfer", _("Transfer")
        REWARD = "reward", _("Reward")
        CONVERSION = "conversion", _("Conversion")

    account = models.ForeignKey(ExchangeAccount, models.PROTECT, related_name="ledger_entries")
    portfolio = models.ForeignKey(
        Portfolio, models.PROTECT, null=True, blank=True, related_name="ledger_entries"
    )
    asset = models.CharField(_("asset"), max_length=64)
    amount = AmountField(_("amount"))
    # Change of the position's cost, in the quote asset of what caused it.
    cost = AmountField(_("cost"), default=Decimal(0))
    gain = AmountField(_("realised gain"), default=Decimal(0))
    cause = models.CharField(_("cause"), max_length=12, choices=Cause)
    order = models.ForeignKey(
        Order, models.PROTECT, null=True, blank=True, related_name="ledger_entries"
    )
    fill = models.ForeignKey(
        Fill, models.PROTECT, null=True, blank=True, related_name="ledger_entries"
    )
    flow = models.ForeignKey(
        Flow, models.PROTECT, null=True, blank=True, related_name="ledger_entries"
    )
    run = models.ForeignKey(
        "portfolios.SyncRun", models.PROTECT, null=True, blank=True, related_name="ledger_entries"
    )
    # Names what the entry books, so that booking it twice is refused by the database.
    key = models.CharField(max_length=200, editable=False)
    booked_at = models.DateTimeField(_("booked"), auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        verbose_name = _("ledger entry")
        verbose_name_plural = _("ledger entries")
        constraints = [
            models.UniqueConstraint(fields=["account", "key"], name="ledger_entry_booked_once")
        ]
        indexes = [
            models.Index(fields=["account", "portfolio", "asset"], name="ledger_owner_asset"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.asset}"


class AssetBalance(models.Model):
    """The last judged comparison of one asset of one wallet: what the exchange holds, what the books expect.

    `residual` = `total` - `expected`. None means not reported or not judged, never zero.
    """

    account = models.ForeignKey(ExchangeAccount, models.CASCADE, related_name="balances")
    wallet = models.CharField(_("wallet"), max_length=20)
    asset = models.CharField(_("asset"), max_length=64)
    free = AmountField(_("free"), null=True)
    used = AmountField(_("used"), null=True)
    total = AmountField(_("total"), null=True)
    expected = AmountField(_("book"), null=True)
    residual = AmountField(_("difference"), null=True)
    verdict = models.CharField(_("verdict"), max_length=16, choices=Verdict)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    observed_at = models.DateTimeField(_("observed"))

    class Meta:
        ordering = ["asset"]
        verbose_name = _("balance")
        verbose_name_plural = _("balances")
        constraints = [
            models.UniqueConstraint(
                fields=["account", "wallet", "asset"], name="balance_unique_in_wallet"
            )
        ]

    def __str__(self) -> str:
        return f"{self.asset} {self.total}"
