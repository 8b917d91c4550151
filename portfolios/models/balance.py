from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from portfolios.fields import AmountField
from portfolios.models.account import ExchangeAccount
from portfolios.models.choices import Verdict
from portfolios.models.sync import SyncRun


class AssetBalance(models.Model):
    """The last settled verdict on one asset of one wallet: what the exchange held, what the books expected.

    `residual` = `total` - `expected`, and lies between `residual_low` and `residual_high`. None means not reported or
    not judged, never zero. While `provisional`, a newer read waits to be settled: its numbers are the newest ones.
    """

    account = models.ForeignKey(
        ExchangeAccount, models.CASCADE, related_name="balances", verbose_name=_("account")
    )
    wallet = models.CharField(_("wallet"), max_length=20)
    asset = models.CharField(_("asset"), max_length=64)
    free = AmountField(_("free"), null=True)
    used = AmountField(_("used"), null=True)
    total = AmountField(_("total"), null=True)
    expected = AmountField(_("book"), null=True)
    residual = AmountField(_("difference"), null=True)
    residual_low = AmountField(_("least residual"), null=True)
    residual_high = AmountField(_("greatest residual"), null=True)
    tolerance = AmountField(_("tolerance"), null=True)
    verdict = models.CharField(_("verdict"), max_length=16, choices=Verdict)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    # Whether `used` is what the open orders lock; that lies between the two.
    used_verdict = models.CharField(_("used verdict"), max_length=16, choices=Verdict, blank=True)
    used_low = AmountField(_("used low"), null=True)
    used_high = AmountField(_("used high"), null=True)
    observed_at = models.DateTimeField(_("observed"))
    provisional = models.BooleanField(_("provisional"), default=False)
    newest_free = AmountField(_("newest free"), null=True)
    newest_used = AmountField(_("newest used"), null=True)
    newest_total = AmountField(_("newest total"), null=True)
    newest_at = models.DateTimeField(_("newest read"), null=True)

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


class JudgedContent(models.Model):
    """What was said of every asset, and all that it was said by; stored once however often it is said again."""

    account = models.ForeignKey(ExchangeAccount, models.CASCADE, related_name="judged_contents")
    digest = models.CharField(max_length=64)
    rows = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "digest"], name="judged_content_stored_once")
        ]

    def __str__(self) -> str:
        return self.digest[:12]


class JudgedSnapshot(models.Model):
    """The balances that one run read, and what was said of them: provisional until `settled_at`.

    `window_low` and `window_high` are by the exchange's clock, `seen_at` is when the read was answered by ours.
    `last_entry` is the last ledger entry that was counted, so that the same can be reckoned again.
    """

    account = models.ForeignKey(ExchangeAccount, models.CASCADE, related_name="snapshots")
    run = models.OneToOneField(SyncRun, models.CASCADE, related_name="snapshot")
    content = models.ForeignKey(JudgedContent, models.PROTECT, null=True, related_name="snapshots")
    window_low = models.DateTimeField()
    window_high = models.DateTimeField()
    seen_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)
    settled_by = models.ForeignKey(SyncRun, models.SET_NULL, null=True, related_name="+")
    last_entry = models.PositiveBigIntegerField(default=0)
    # Whether the one before it was taken away because of its age: nobody can tell what it changed.
    follows_a_gap = models.BooleanField(default=False, editable=False)

    class Meta:
        ordering = ["pk"]
        verbose_name = _("judged snapshot")
        verbose_name_plural = _("judged snapshots")
        indexes = [models.Index(fields=["account", "-id"], name="snapshot_account_newest")]

    def __str__(self) -> str:
        return f"{self.account} {self.seen_at:%Y-%m-%d %H:%M:%S}"


class AssetRule(models.Model):
    """How an asset of an account is to be understood: another name of one, partly in earn, or dust.

    ALIAS: its amount counts as that of `counts_as` (LDBTC as BTC). EARN: what its total has beyond free and used is
    lent out, and held. DUST: a difference smaller than `amount` is told, but as information only.
    """

    class Kind(models.TextChoices):
        ALIAS = "alias", _("Counts as another asset")
        EARN = "earn", _("The rest of the total is in earn")
        DUST = "dust", _("Dust below an amount")

    account = models.ForeignKey(
        ExchangeAccount, models.CASCADE, related_name="asset_rules", verbose_name=_("account")
    )
    kind = models.CharField(_("kind"), max_length=5, choices=Kind)
    asset = models.CharField(_("asset"), max_length=64)
    counts_as = models.CharField(_("counts as"), max_length=64, blank=True)
    amount = AmountField(_("amount"), null=True, blank=True)

    class Meta:
        ordering = ["account", "asset", "kind"]
        verbose_name = _("asset rule")
        verbose_name_plural = _("asset rules")
        constraints = [
            models.UniqueConstraint(
                fields=["account", "kind", "asset"], name="asset_rule_unique_in_account"
            ),
            models.CheckConstraint(
                condition=~models.Q(kind="alias") ^ ~models.Q(counts_as=""),
                name="asset_rule_alias_names_an_asset",
            ),
            models.CheckConstraint(
                condition=~models.Q(kind="dust") ^ models.Q(amount__isnull=False),
                name="asset_rule_dust_has_an_amount",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.asset}: {self.get_kind_display()}"
