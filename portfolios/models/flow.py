from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from portfolios.fields import AmountField
from portfolios.models.account import ExchangeAccount
from portfolios.models.choices import flow_kinds, flow_sources, flow_statuses, leg_kinds


class Flow(models.Model):
    """A movement that is no fill, as the exchange records it. Only its status and what comes with that ever change."""

    account = models.ForeignKey(
        ExchangeAccount, models.PROTECT, related_name="flows", verbose_name=_("account")
    )
    source = models.CharField(_("source"), max_length=12, choices=flow_sources)
    external_id = models.CharField(_("exchange id"), max_length=128)
    kind = models.CharField(_("kind"), max_length=12, choices=flow_kinds)
    wallet = models.CharField(_("wallet"), max_length=20)
    asset = models.CharField(_("asset"), max_length=64)
    amount = AmountField(_("amount"))
    fees = models.JSONField(_("fees"), default=list)
    # With which status the fees were told, if that is an earlier one: an estimate that nothing later has replaced.
    fees_status = models.CharField(max_length=8, choices=flow_statuses, blank=True, editable=False)
    # Empty while the exchange's word for it is not one we know.
    status = models.CharField(_("status"), max_length=8, choices=flow_statuses, blank=True)
    raw_kind = models.CharField(max_length=64, blank=True, editable=False)
    raw_status = models.CharField(max_length=64, blank=True, editable=False)
    occurred_at = models.DateTimeField(_("occurred"), null=True)
    settled_at = models.DateTimeField(_("settled"), null=True)
    # When, by our clock, its status was first told.
    told_at = models.DateTimeField(null=True, editable=False)
    # Whether the account's baseline holds its effect already; decided when its status is first known.
    in_baseline = models.BooleanField(default=False, editable=False)

    class Meta:
        ordering = ["-occurred_at", "-pk"]
        verbose_name = _("flow")
        verbose_name_plural = _("flows")
        constraints = [
            models.UniqueConstraint(
                fields=["account", "source", "external_id", "asset"], name="flow_unique_in_account"
            )
        ]
        indexes = [models.Index(fields=["account", "status"], name="flow_account_status")]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount} {self.asset}"


class ReadCursor(models.Model):
    """How far a list of fills or flows was read without a gap; moves in the transaction that stores what was read."""

    account = models.ForeignKey(
        ExchangeAccount, models.CASCADE, related_name="cursors", verbose_name=_("account")
    )
    kind = models.CharField(_("kind"), max_length=14, choices=leg_kinds)
    subject = models.CharField(_("subject"), max_length=128, blank=True)
    covered_until = models.DateTimeField(_("covered until"))
    # A look up to then was told nothing. That counts once another one is told nothing either.
    empty_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = _("read cursor")
        verbose_name_plural = _("read cursors")
        constraints = [
            models.UniqueConstraint(fields=["account", "kind", "subject"], name="cursor_unique")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject} {self.covered_until:%Y-%m-%d %H:%M:%S}"


class Quarantine(models.Model):
    """A read that is too strange to be believed at once: kept, not applied, until further looks say the same."""

    account = models.ForeignKey(ExchangeAccount, models.CASCADE, related_name="quarantines")
    kind = models.CharField(max_length=14, choices=leg_kinds)
    subject = models.CharField(max_length=128, blank=True)
    digest = models.CharField(max_length=64)
    times_seen = models.PositiveIntegerField(default=1)
    last_counted_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "kind", "subject"], name="quarantine_unique")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"
