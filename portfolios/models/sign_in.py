from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class SignInAttempt(models.Model):
    """A name that somebody tried to sign in with from an address; kept for as long as it counts.

    The last success of a name at an address is kept too: who is known there is not kept out by what others try.
    """

    # A keyed hash: a name that is typed may be a password.
    name = models.CharField(max_length=64)
    # An IPv6 network of 64 bits counts as one.
    address = models.CharField(max_length=45, blank=True)
    is_success = models.BooleanField(default=False)
    at = models.DateTimeField()

    class Meta:
        verbose_name = _("sign-in attempt")
        verbose_name_plural = _("sign-in attempts")
        indexes = [
            models.Index(fields=["name", "-at"], name="sign_in_name"),
            models.Index(fields=["address", "-at"], name="sign_in_address"),
            models.Index(fields=["at"], name="sign_in_at"),
        ]

    def __str__(self) -> str:
        return f"{self.name[:12]} {self.address}"
