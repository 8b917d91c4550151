from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from portfolios.models.account import ExchangeAccount
from portfolios.models.choices import word_of


class Decision(models.Model):
    """What a person, or a claim rule, decided, why, and what it changed. Append-only: taken back by a further one."""

    class Kind(models.TextChoices):
        ACCEPT_OPENING = "accept_opening", _("Accept the opening")
        REBASELINE = "rebaseline", _("Begin again from what the exchange holds")
        CLAIM_ORDER = "claim_order", _("Give an order to a portfolio")
        RELEASE_ORDER = "release_order", _("Take an order from a portfolio")
        MATCH_ORDER = "match_order", _("Take an order for one that was sent")
        ASSIGN_FLOW = "assign_flow", _("Give a movement to portfolios")
        ACCEPT_LAPSE = "accept_lapse", _("Take an order as lapsed")
        ACCEPT_BUST = "accept_bust", _("Take a fill as undone")
        ADJUST = "adjust", _("Book an adjustment")
        ACKNOWLEDGE = "acknowledge", _("Acknowledge")
        DISMISS = "dismiss", _("Dismiss")
        REOPEN = "reopen", _("Open again")
        REVERSE = "reverse", _("Take back")

    account = models.ForeignKey(
        ExchangeAccount, models.PROTECT, related_name="decisions", verbose_name=_("account")
    )
    kind = models.CharField(_("what"), max_length=16, choices=Kind)
    # What it is about, as words that need no other row: "order 42", "BTC of alpha".
    subject = models.CharField(_("about"), max_length=200)
    # All that it was decided with, as it was given: a dry run of the same gives the same changes.
    given = models.JSONField(_("given"), default=dict)
    # What changed: [{"row": …, "field": …, "before": …, "after": …}, …].
    changes = models.JSONField(_("changes"), default=list)
    reason = models.CharField(_("reason"), max_length=500)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("by"),
    )
    # Stays when the user is deleted; of a rule it says that it was one.
    actor_name = models.CharField(_("by"), max_length=150)
    reverses = models.OneToOneField(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="reversed_by",
        verbose_name=_("takes back"),
    )
    at = models.DateTimeField(_("time"), auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("decision")
        verbose_name_plural = _("decisions")

    def __str__(self) -> str:
        return f"{self.what}: {self.subject}"

    @property
    def what(self) -> str:
        return word_of(self.Kind, self.kind)
