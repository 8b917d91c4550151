from __future__ import annotations

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from providers import catalogue

# A year: beyond it, an interval or a bound on time is a mistake.
LONGEST_SECONDS = 31_536_000


def market_choices() -> list[tuple[str, str]]:
    return [(market.id, market.name) for market in catalogue.markets()]


def default_wallets() -> list[str]:
    return ["spot"]


def no_symbols() -> list[str]:
    return []


class ExchangeAccount(models.Model):
    """One API connection to one market. Every fact from an exchange is keyed by it."""

    class Policy(models.TextChoices):
        OBSERVE = "observe", _("Observe only")
        STANDARD = "standard", _("Standard")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    label = models.CharField(_("label"), max_length=100)
    market = models.CharField(
        _("market"), max_length=50, help_text=_("The exchange's ccxt id, such as binance.")
    )
    endpoint = models.CharField(
        _("endpoint"),
        max_length=200,
        blank=True,
        help_text=_("Sends all requests to this base URL instead of the exchange's own."),
    )
    sandbox = models.BooleanField(
        _("sandbox"), default=False, help_text=_("Use the exchange's test network.")
    )
    wallets = models.JSONField(_("wallets"), default=default_wallets)
    interval_seconds = models.PositiveIntegerField(
        _("interval"),
        default=300,
        validators=[MinValueValidator(10), MaxValueValidator(LONGEST_SECONDS)],
        help_text=_("Seconds."),
    )
    cron = models.CharField(
        _("cron"),
        max_length=100,
        blank=True,
        help_text=_("Five fields, such as 0 8 * * 1-5; empty: by the interval."),
    )
    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        default="UTC",
        help_text=_("By whose clock the cron is meant, such as Europe/Berlin."),
    )
    lag_seconds = models.PositiveIntegerField(
        _("lag"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(LONGEST_SECONDS)],
        help_text=_(
            "Seconds by which the exchange's reads may trail its trades; empty: default. Below 5 it also says that its "
            "clock is known that exactly: 0 claims that both clocks are the same."
        ),
    )
    grace_seconds = models.PositiveIntegerField(
        _("grace"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(LONGEST_SECONDS)],
        help_text=_("Seconds that must lie between two looks at a difference; empty: default."),
    )
    paused = models.BooleanField(_("paused"), default=False)
    symbols = models.JSONField(
        _("further symbols"),
        default=no_symbols,
        blank=True,
        help_text=_(
            "Read besides those that the books and balances name, where the exchange lists by symbol only."
        ),
    )
    policy = models.CharField(
        _("policy"),
        max_length=8,
        choices=Policy,
        default=Policy.STANDARD,
        help_text=_(
            "Observe only: facts are booked and findings shown, but no rule and no person decides anything."
        ),
    )
    lapses_by_itself = models.BooleanField(
        _("lapse by itself"),
        default=False,
        help_text=_(
            "End an order that the exchange has proved not to have, once all its fills are read and nothing is locked "
            "for it; otherwise a person is asked."
        ),
    )

    # When the balances of the baseline were asked for by the exchange's clock, when it was booked by ours, and when it
    # was proved which of the trades about that time it contains, of how many that were told by then.
    baseline_at = models.DateTimeField(null=True, editable=False)
    baseline_booked_at = models.DateTimeField(null=True, editable=False)
    baseline_settled_at = models.DateTimeField(null=True, editable=False)
    baseline_trades = models.PositiveIntegerField(null=True, editable=False)
    # Primary key of the last ledger entry of then: what came later, no clock needs to tell.
    baseline_last_entry = models.BigIntegerField(null=True, editable=False)
    baseline_run = models.ForeignKey(
        "portfolios.SyncRun", models.SET_NULL, null=True, editable=False, related_name="+"
    )
    verified_at = models.DateTimeField(_("verified"), null=True, editable=False)
    # When something that it is judged by was last changed by hand: a run that began before may not know it.
    disturbed_at = models.DateTimeField(null=True, editable=False)
    # The last run, if the next one that reads the same would find nothing to do.
    quiet_run = models.ForeignKey(
        "portfolios.SyncRun", models.SET_NULL, null=True, editable=False, related_name="+"
    )
    # Why nothing is booked any more: what is stored contradicts itself. Empty while it does not.
    read_only_because = models.CharField(max_length=200, blank=True, editable=False)
    # When fills and flows were last read whole, and when a look last saw something move.
    full_read_at = models.DateTimeField(null=True, editable=False)
    moved_at = models.DateTimeField(null=True, editable=False)
    # When the lists that seldom tell anything, if the market has any, were last read whole.
    seldom_read_at = models.DateTimeField(null=True, editable=False)
    # Runs in a row whose key the exchange rejected, spread over time: after some, only a person tries it again.
    rejections = models.PositiveSmallIntegerField(default=0, editable=False)
    rejected_at = models.DateTimeField(null=True, editable=False)
    # Until then the exchange asked not to be read; no sync asks it anything, not even one by hand.
    stay_away_until = models.DateTimeField(null=True, editable=False)
    next_sync_at = models.DateTimeField(_("next sync"), null=True, editable=False, db_index=True)
    # Whoever holds the lease writes; a late worker is recognised by its older fence.
    lease_fence = models.PositiveBigIntegerField(default=0, editable=False)
    lease_expires_at = models.DateTimeField(null=True, editable=False)
    # Begun on the pages that connect an exchange, and not finished.
    connecting = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["label"]
        verbose_name = _("exchange account")
        verbose_name_plural = _("exchange accounts")
        constraints = [
            models.UniqueConstraint(fields=["label"], name="account_label_unique"),
            models.CheckConstraint(
                condition=models.Q(market=Lower("market")), name="account_market_is_lower_case"
            ),
            models.CheckConstraint(
                condition=models.Q(interval_seconds__range=(10, LONGEST_SECONDS)),
                name="account_interval_from_10_s_to_a_year",
            ),
        ]

    def __str__(self) -> str:
        return self.label

    def get_absolute_url(self) -> str:
        return reverse("account", args=[self.pk])


class MarketCredential(models.Model):
    """The secrets of one account, each sealed to this row, its name and the account's market and endpoint."""

    class State(models.TextChoices):
        UNTESTED = "untested", _("Not tested")
        ACCEPTED = "accepted", _("Accepted")
        REJECTED = "rejected", _("Rejected")
        LOCKED = "locked", _("Cannot be opened")

    account = models.OneToOneField(
        ExchangeAccount, models.CASCADE, related_name="credential", verbose_name=_("account")
    )
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    sealed = models.JSONField(default=dict, editable=False)
    fingerprint = models.CharField(_("fingerprint"), max_length=64, blank=True, editable=False)
    state = models.CharField(
        _("state"), max_length=10, choices=State, default=State.UNTESTED, editable=False
    )
    state_detail = models.CharField(_("detail"), max_length=500, blank=True, editable=False)
    # What the last test learned, as plain values; empty before the first one.
    findings = models.JSONField(default=dict, editable=False)
    test_asked_at = models.DateTimeField(null=True, editable=False)
    set_at = models.DateTimeField(_("set at"), null=True, editable=False)
    tested_at = models.DateTimeField(_("tested at"), null=True, editable=False)

    class Meta:
        verbose_name = _("market credential")
        verbose_name_plural = _("market credentials")

    def __str__(self) -> str:
        return self.account.label
