from __future__ import annotations

from decimal import Decimal

from django.db import models
from django.utils.translation import gettext_lazy as _

from portfolios.fields import AmountField
from portfolios.models.account import ExchangeAccount
from portfolios.models.choices import word_of
from portfolios.models.decision import Decision
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
        ASSIGNMENT = "assignment", _("Assignment")
        ADJUSTMENT = "adjustment", _("Adjustment")
        REBASELINE = "rebaseline", _("New baseline")

    account = models.ForeignKey(
        ExchangeAccount, models.PROTECT, related_name="ledger_entries", verbose_name=_("account")
    )
    portfolio = models.ForeignKey(
        Portfolio,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="ledger_entries",
        verbose_name=_("portfolio"),
    )
    asset = models.CharField(_("asset"), max_length=64)
    amount = AmountField(_("amount"))
    # Change of the position's cost, in the quote asset of what caused it.
    cost = AmountField(_("cost"), default=Decimal(0))
    gain = AmountField(_("realised gain"), default=Decimal(0))
    cause = models.CharField(_("cause"), max_length=12, choices=Cause)
    order = models.ForeignKey(
        Order,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="ledger_entries",
        verbose_name=_("order"),
    )
    fill = models.ForeignKey(
        Fill,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="ledger_entries",
        verbose_name=_("fill"),
    )
    flow = models.ForeignKey(
        Flow,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="ledger_entries",
        verbose_name=_("flow"),
    )
    run = models.ForeignKey(
        "portfolios.SyncRun",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="ledger_entries",
        verbose_name=_("run"),
    )
    # The decision of a person that booked it, if one did.
    decision = models.ForeignKey(
        Decision,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="ledger_entries",
        verbose_name=_("decision"),
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
            models.Index(fields=["account", "-id"], name="ledger_account_newest"),
            models.Index(fields=["account", "run"], name="ledger_account_run"),
            models.Index(fields=["portfolio", "-id"], name="ledger_portfolio_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.asset}"

    @property
    def what(self) -> str:
        return word_of(self.Cause, self.cause)
