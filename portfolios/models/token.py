from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class ApiToken(models.Model):
    """What a program signs in with: shown once when it is made, kept as a digest only.

    `read` lets it read everything, `book` create and update orders, `sync` start a sync.
    """

    class Scope(models.TextChoices):
        READ = "read", _("Read")
        BOOK = "book", _("Book orders")
        SYNC = "sync", _("Sync")

    name = models.CharField(_("name"), max_length=100, unique=True)
    # Its first characters, by which a person knows it again; they are no part of the secret.
    prefix = models.CharField(_("token"), max_length=12, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(_("scopes"), default=list)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        editable=False,
        related_name="+",
        verbose_name=_("made by"),
    )
    made_at = models.DateTimeField(_("made"), auto_now_add=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, editable=False)

    # What it is, on the object that was just made; never stored.
    text = ""

    class Meta:
        ordering = ["name"]
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")

    def __str__(self) -> str:
        return self.name
