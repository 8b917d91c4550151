from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from portfolios.models.account import ExchangeAccount


class RateBudget(models.Model):
    """What all processes together may ask of a market from one address, or with one key."""

    name = models.CharField(max_length=250, unique=True)
    # The moment up to which it is used up: what is asked next waits for it.
    used_until = models.DateTimeField()
    # Until then the exchange asked all who share it not to ask anything.
    held_until = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("rate budget")
        verbose_name_plural = _("rate budgets")

    def __str__(self) -> str:
        return self.name


class CircuitBreaker(models.Model):
    """How often an account, or a market for all of its accounts, failed in a row, and when it is tried again.

    Closed below the number of failures that its rule allows; open until `retry_at`; then half open, for one probe. A
    row is there only while something fails.
    """

    account = models.OneToOneField(
        ExchangeAccount, models.CASCADE, null=True, related_name="breaker"
    )
    # The site that accounts share; empty for the breaker of one account.
    place = models.CharField(max_length=200, blank=True)
    failures = models.PositiveIntegerField(default=0)
    # Attempts used up by an account whose runs end their workers.
    vanished = models.PositiveIntegerField(default=0)
    # Whose runs failed at a place: the trouble of one account is not that of its market.
    account_ids = models.JSONField(default=list)
    message = models.CharField(max_length=500, blank=True)
    since = models.DateTimeField()
    retry_at = models.DateTimeField(null=True)
    probe_until = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("circuit breaker")
        verbose_name_plural = _("circuit breakers")
        constraints = [
            models.UniqueConstraint(
                fields=["place"],
                condition=~models.Q(place=""),
                name="one_breaker_per_place",
            ),
            models.CheckConstraint(
                condition=models.Q(account__isnull=False, place="")
                | (models.Q(account__isnull=True) & ~models.Q(place="")),
                name="breaker_of_an_account_or_a_place",
            ),
        ]

    def __str__(self) -> str:
        return self.place or str(self.account)
