from __future__ import annotations

from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from portfolios.models.account import ExchangeAccount
from portfolios.models.sync import SyncRun


class Incident(models.Model):
    """Exceptions of one fingerprint of one account.

    UNRESOLVED until a person has RESOLVED it; it has REGRESSED when it happens again after that. A MUTED one counts on
    and alarms nobody: for good, or until it happens after `muted_until`.
    """

    class State(models.TextChoices):
        UNRESOLVED = "unresolved", _("Unresolved")
        REGRESSED = "regressed", _("Regressed")
        MUTED = "muted", _("Muted")
        RESOLVED = "resolved", _("Resolved")

    # What somebody has to look at.
    ALARMING = (State.UNRESOLVED, State.REGRESSED)

    account = models.ForeignKey(
        ExchangeAccount,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="incidents",
        verbose_name=_("account"),
    )
    fingerprint = models.CharField(max_length=64, editable=False)
    category = models.CharField(_("category"), max_length=20)
    type = models.CharField(_("type"), max_length=100)
    operation = models.CharField(_("operation"), max_length=50)
    message = models.CharField(_("message"), max_length=500)
    count = models.PositiveIntegerField(_("count"), default=0)
    first_seen = models.DateTimeField(_("first seen"))
    last_seen = models.DateTimeField(_("last seen"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.UNRESOLVED)
    muted_until = models.DateTimeField(_("muted until"), null=True, editable=False)
    # Who resolved or muted it last, and when; the name stays when the user is deleted.
    acted_by = models.CharField(_("by"), max_length=150, blank=True, editable=False)
    acted_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-last_seen", "-pk"]
        verbose_name = _("incident")
        verbose_name_plural = _("incidents")
        constraints = [
            models.UniqueConstraint(
                fields=["account", "fingerprint"], name="incident_unique_in_account"
            )
        ]
        indexes = [models.Index(fields=["fingerprint"], name="incident_fingerprint")]

    def __str__(self) -> str:
        return f"{self.type}: {self.message}"

    def get_absolute_url(self) -> str:
        return reverse("exception", args=[self.pk])


class Occurrence(models.Model):
    """One exception, redacted."""

    incident = models.ForeignKey(
        Incident, models.CASCADE, related_name="occurrences", verbose_name=_("incident")
    )
    run = models.ForeignKey(
        SyncRun, models.CASCADE, null=True, related_name="occurrences", verbose_name=_("run")
    )
    subject = models.CharField(_("subject"), max_length=128, blank=True)
    message = models.CharField(_("message"), max_length=500)
    trace = models.TextField(_("trace"), blank=True)
    occurred_at = models.DateTimeField(_("occurred"))

    class Meta:
        verbose_name = _("occurrence")
        verbose_name_plural = _("occurrences")
        ordering = ["-pk"]
        indexes = [models.Index(fields=["incident", "occurred_at"], name="occurrence_in_time")]

    def __str__(self) -> str:
        return self.message

    def get_absolute_url(self) -> str:
        return f"{reverse('exception', args=[self.incident_id])}?occurrence={self.pk}"
