from __future__ import annotations

from decimal import Decimal

from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from portfolios.amounts import difference, exact_sum
from portfolios.fields import AmountField
from portfolios.models.account import ExchangeAccount


class Portfolio(models.Model):
    """Books kept for one strategy on one account."""

    class Mode(models.TextChoices):
        LIVE = "live", _("Live")
        BACKTEST = "backtest", _("Backtest")

    name = models.CharField(_("name"), max_length=100, unique=True)
    account = models.ForeignKey(
        ExchangeAccount, models.PROTECT, related_name="portfolios", verbose_name=_("account")
    )
    trading_symbol = models.CharField(
        _("trading symbol"), max_length=64, help_text=_("Its cash asset, such as USDT.")
    )
    initial_balance = AmountField(
        _("initial balance"),
        null=True,
        blank=True,
        help_text=_("Cash including what its open orders lock; empty: all that is there."),
    )
    mode = models.CharField(_("mode"), max_length=10, choices=Mode, default=Mode.LIVE)
    initialized = models.BooleanField(_("opened"), default=False, editable=False)
    initialized_at = models.DateTimeField(_("books opened"), null=True, editable=False)
    opening_cash = AmountField(_("opening cash"), null=True, editable=False)
    realized_gain = AmountField(_("realised gain"), default=Decimal(0), editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        verbose_name = _("portfolio")
        verbose_name_plural = _("portfolios")

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("portfolio", args=[self.pk])

    @property
    def net_size(self) -> Decimal | None:
        """Opening cash plus realised gain, in the trading symbol; None until opened."""
        if self.opening_cash is None:
            return None
        return exact_sum((self.opening_cash, self.realized_gain))


class Position(models.Model):
    """What a portfolio, or the unassigned part of an account, holds of one asset.

    `amount` and `cost` are the sums of its ledger entries, `reserved` the locks of its own open orders; all three are
    rewritten from those in the transaction that changes them.
    """

    account = models.ForeignKey(
        ExchangeAccount, models.PROTECT, related_name="positions", verbose_name=_("account")
    )
    portfolio = models.ForeignKey(
        Portfolio,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="positions",
        verbose_name=_("portfolio"),
    )
    asset = models.CharField(_("asset"), max_length=64)
    amount = AmountField(_("amount"), default=Decimal(0))
    reserved = AmountField(_("reserved"), default=Decimal(0))
    cost = AmountField(_("cost"), default=Decimal(0))

    class Meta:
        ordering = ["asset"]
        verbose_name = _("position")
        verbose_name_plural = _("positions")
        constraints = [
            models.UniqueConstraint(
                fields=["portfolio", "asset"], name="position_unique_in_portfolio"
            ),
            models.UniqueConstraint(
                fields=["account", "asset"],
                condition=models.Q(portfolio=None),
                name="position_unique_in_unassigned",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.asset} {self.amount}"

    @property
    def available(self) -> Decimal:
        return difference(self.amount, self.reserved)


class PortfolioSnapshot(models.Model):
    """What a portfolio was after a good run, and after all further ones until `last_run`, which left it the same.

    `pending` is what its open orders lock of the trading symbol; None where it was not opened yet.
    """

    portfolio = models.ForeignKey(
        Portfolio, models.CASCADE, related_name="snapshots", verbose_name=_("portfolio")
    )
    first_run = models.ForeignKey(
        "portfolios.SyncRun", models.CASCADE, related_name="+", verbose_name=_("first run")
    )
    last_run = models.ForeignKey(
        "portfolios.SyncRun", models.CASCADE, related_name="+", verbose_name=_("last run")
    )
    taken_at = models.DateTimeField(_("taken"))
    confirmed_at = models.DateTimeField(_("confirmed"))
    unallocated = AmountField(_("unallocated"), null=True)
    net_size = AmountField(_("net size"), null=True)
    pending = AmountField(_("pending"), null=True)
    positions = models.JSONField(_("positions"), default=list)  # as in the report

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("portfolio snapshot")
        verbose_name_plural = _("portfolio snapshots")
        indexes = [models.Index(fields=["portfolio", "-id"], name="portfolio_snapshot_newest")]

    def __str__(self) -> str:
        return f"{self.portfolio} {self.taken_at:%Y-%m-%d %H:%M:%S}"
