from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from portfolios.models.account import ExchangeAccount
from portfolios.models.choices import word_of


class AuditEvent(models.Model):
    """What a person or a program did that leaves no row of its own: decisions, syncs by hand and the admin have theirs.

    Append-only. What it says needs no other row: account and user may go.
    """

    class Kind(models.TextChoices):
        BEGIN = "begin", _("Connection begun")
        CONNECT = "connect", _("Account connected")
        DISCARD = "discard", _("Connection given up")
        CREDENTIAL = "credential", _("Credential entered")
        TEST = "test", _("Connection tested")
        SCHEDULE = "schedule", _("Schedule changed")
        PAUSE = "pause", _("Account paused")
        RESUME = "resume", _("Account resumed")
        PORTFOLIO = "portfolio", _("Portfolio added")
        RESOLVE = "resolve", _("Exception resolved")
        MUTE = "mute", _("Exception muted")
        UNMUTE = "unmute", _("Exception no longer muted")
        TOKEN = "token", _("Token made")
        REVOKE = "revoke", _("Token revoked")
        BOOK = "book", _("Order booked by a program")
        SYNC = "sync", _("Sync started by a program")
        SIGN_IN = "sign_in", _("Signed in")
        SIGN_OUT = "sign_out", _("Signed out")
        SIGN_IN_FAILED = "sign_in_failed", _("Sign-in failed")

    kind = models.CharField(_("what"), max_length=16, choices=Kind)
    account = models.ForeignKey(
        ExchangeAccount,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("account"),
    )
    # As words: "main", "ExchangeUnavailable of main".
    subject = models.CharField(_("about"), max_length=200, blank=True)
    detail = models.CharField(_("detail"), max_length=500, blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("by"),
    )
    # Stays when the user is deleted; empty where nobody was signed in.
    actor_name = models.CharField(_("by"), max_length=150, blank=True)
    at = models.DateTimeField(_("time"), auto_now_add=True, db_index=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("audit event")
        verbose_name_plural = _("audit events")

    def __str__(self) -> str:
        return f"{self.what}: {self.subject}"

    @property
    def what(self) -> str:
        return word_of(self.Kind, self.kind)
