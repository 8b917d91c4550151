from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from portfolios.fields import AmountField
from portfolios.models.account import ExchangeAccount
from portfolios.models.choices import Severity, word_of
from portfolios.models.order import Order
from portfolios.models.portfolio import Portfolio


class Discrepancy(models.Model):
    """What somebody may have to act on: one row for each thing that may be wrong, however often it comes back.

    SUSPECTED at the first look, OPEN when a second look at least `grace` later finds the same difference, RESOLVED
    when a judged look finds it gone; found again, the same row begins its next episode. A look that was not possible
    changes nothing. What a person has DISMISSED stays so while it is the same, and what is ACKNOWLEDGED until its time
    is over or it has grown. A suspicion that never opened was a transient: RESOLVED without `opened_at`.
    """

    class Code(models.TextChoices):
        BALANCE_SHORT = "BALANCE_SHORT", _("Less at the exchange than in the books")
        BALANCE_SURPLUS = "BALANCE_SURPLUS", _("More at the exchange than in the books")
        BALANCE_LOCK_MISMATCH = (
            "BALANCE_LOCK_MISMATCH",
            _("Locked at the exchange is not what the orders lock"),
        )
        BALANCE_IDENTITY_BROKEN = (
            "BALANCE_IDENTITY_BROKEN",
            _("Free and used are not the total that the exchange tells"),
        )
        BALANCE_NEGATIVE = "BALANCE_NEGATIVE", _("Less than nothing at the exchange")
        ORDER_EXTERNAL_AFFECTS_OWNED = (
            "ORDER_EXTERNAL_AFFECTS_OWNED",
            _("An order of nobody locks what a portfolio owns"),
        )
        FLOW_TRANSFER = "FLOW_TRANSFER", _("A transfer that only one side records")
        LOCAL_INTEGRITY = "LOCAL_INTEGRITY", _("What is stored contradicts itself")
        ALLOC_OVERCOMMITTED = "ALLOC_OVERCOMMITTED", _("Portfolios claim more than there is")
        ORDER_MISSING_AT_VENUE = "ORDER_MISSING_AT_VENUE", _("The exchange does not know the order")
        ORDER_RETENTION_EXPIRED = (
            "ORDER_RETENTION_EXPIRED",
            _("Ended so long ago that the exchange has forgotten it"),
        )
        ORDER_UNACKED = "ORDER_UNACKED", _("Sent, but never acknowledged")
        ORDER_FILLS_INCOMPLETE = "ORDER_FILLS_INCOMPLETE", _("Ended, but not all fills are read")
        ORDER_FILLED_UNKNOWN = (
            "ORDER_FILLED_UNKNOWN",
            _("Ended, but the exchange does not say how much was filled"),
        )
        ORDER_FILL_AHEAD = (
            "ORDER_FILL_AHEAD",
            _("The books have more fills than the exchange reports"),
        )
        ORDER_OVERFILLED = "ORDER_OVERFILLED", _("More was filled than ordered")
        ORDER_STATE_CONFLICT = "ORDER_STATE_CONFLICT", _("Two ends that contradict each other")
        ORDER_REGRESSION = "ORDER_REGRESSION", _("Shown open again after its end")
        ORDER_ID_CONFLICT = "ORDER_ID_CONFLICT", _("One order with the ids of two")
        ORDER_FIELD_MISMATCH = "ORDER_FIELD_MISMATCH", _("Another order under the same id")
        ORDER_RESURRECTED = "ORDER_RESURRECTED", _("Lapsed in the books, alive at the exchange")
        FILL_ORPHAN = "FILL_ORPHAN", _("A fill of an order that is not known")
        FILL_CONFLICT = "FILL_CONFLICT", _("One fill told in two ways")
        FILL_LOCAL_ONLY = "FILL_LOCAL_ONLY", _("A fill that the exchange tells no more")
        FILL_COVERAGE_GAP = "FILL_COVERAGE_GAP", _("Fills of some time were never read")
        FEE_MISSING = "FEE_MISSING", _("A fill without its fee")
        FLOW_PENDING = "FLOW_PENDING", _("A deposit or withdrawal on its way")
        FLOW_UNCLASSIFIED = "FLOW_UNCLASSIFIED", _("A movement of unknown kind")
        SNAPSHOT_IMPLAUSIBLE = "SNAPSHOT_IMPLAUSIBLE", _("A read too strange to be believed")
        SNAPSHOT_PARTIAL = "SNAPSHOT_PARTIAL", _("A part that cannot be read whole")
        SNAPSHOT_STALE = "SNAPSHOT_STALE", _("Not proved to agree for long")

    class State(models.TextChoices):
        SUSPECTED = "SUSPECTED", _("Suspected")
        OPEN = "OPEN", _("Open")
        ACKNOWLEDGED = "ACKNOWLEDGED", _("Acknowledged")
        RESOLVED = "RESOLVED", _("Resolved")
        DISMISSED = "DISMISSED", _("Dismissed")

    LIVE = (State.SUSPECTED, State.OPEN, State.ACKNOWLEDGED)

    account = models.ForeignKey(
        ExchangeAccount, models.CASCADE, related_name="discrepancies", verbose_name=_("account")
    )
    portfolio = models.ForeignKey(
        Portfolio, models.PROTECT, null=True, blank=True, verbose_name=_("portfolio")
    )
    order = models.ForeignKey(Order, models.PROTECT, null=True, blank=True, verbose_name=_("order"))
    # What it is about, whatever its size or sign: "balance:spot:BTC".
    key = models.CharField(max_length=200, editable=False)
    code = models.CharField(_("code"), max_length=32, choices=Code)
    severity = models.CharField(_("severity"), max_length=10, choices=Severity)
    state = models.CharField(_("state"), max_length=12, choices=State, default=State.SUSPECTED)
    wallet = models.CharField(_("wallet"), max_length=20, blank=True)
    asset = models.CharField(_("asset"), max_length=64, blank=True)
    symbol = models.CharField(_("symbol"), max_length=64, blank=True)
    book = AmountField(_("book"), null=True)
    exchange = AmountField(_("exchange"), null=True)
    difference = AmountField(_("difference"), null=True)
    # What all looks of this episode leave of the difference: it lies between these.
    low = AmountField(null=True, editable=False)
    high = AmountField(null=True, editable=False)
    # Since when every look could be of an old balance.
    stale_since = models.DateTimeField(null=True, editable=False)
    # "repeated" if it opened because it was seen often, though no amount was proved twice.
    confidence = models.CharField(max_length=16, blank=True, editable=False)
    # What may explain it: {"outcome": …, "count": …, "explanations": [[part, …], …]}; nothing here is booked.
    attribution = models.JSONField(default=dict, editable=False)
    cause = models.CharField(_("cause"), max_length=200, blank=True)
    first_seen = models.DateTimeField(_("first seen"))
    last_seen = models.DateTimeField(_("last seen"))
    opened_at = models.DateTimeField(_("opened"), null=True)
    resolved_at = models.DateTimeField(_("resolved"), null=True)
    times_seen = models.PositiveIntegerField(_("times seen"), default=1)
    episode = models.PositiveIntegerField(_("episode"), default=1)
    # How much it may be, and until when, before what was acknowledged is told again.
    acknowledged_difference = AmountField(null=True, editable=False)
    acknowledged_until = models.DateTimeField(_("acknowledged until"), null=True)
    # What exactly was dismissed; another one is told again.
    fingerprint = models.CharField(max_length=200, blank=True, editable=False)

    class Meta:
        ordering = ["-last_seen", "-pk"]
        verbose_name = _("discrepancy")
        verbose_name_plural = _("discrepancies")
        constraints = [
            models.UniqueConstraint(fields=["account", "key"], name="discrepancy_unique_in_account")
        ]
        indexes = [
            models.Index(fields=["state", "severity"], name="discrepancy_state_severity"),
            models.Index(fields=["account", "state"], name="discrepancy_account_state"),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.asset}"

    @property
    def what(self) -> str:
        return word_of(self.Code, self.code)

    @property
    def is_live(self) -> bool:
        return self.state in self.LIVE

    @property
    def is_transient(self) -> bool:
        """Whether it was only ever suspected, and is gone."""
        return self.state == self.State.RESOLVED and self.opened_at is None


class DiscrepancyEvent(models.Model):
    """One turn in the life of a discrepancy: who or what moved it, and by which numbers. Append-only."""

    discrepancy = models.ForeignKey(
        Discrepancy, models.PROTECT, related_name="events", verbose_name=_("discrepancy")
    )
    episode = models.PositiveIntegerField(_("episode"))
    # Empty before the first turn.
    before = models.CharField(_("before"), max_length=12, choices=Discrepancy.State, blank=True)
    after = models.CharField(_("after"), max_length=12, choices=Discrepancy.State)
    difference = AmountField(_("difference"), null=True)
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    # The run that saw it or the decision that a person made; of others neither.
    run = models.ForeignKey(
        "portfolios.SyncRun", models.PROTECT, null=True, related_name="+", verbose_name=_("run")
    )
    decision = models.ForeignKey(
        "portfolios.Decision",
        models.PROTECT,
        null=True,
        related_name="events",
        verbose_name=_("decision"),
    )
    at = models.DateTimeField(_("time"))

    class Meta:
        ordering = ["pk"]
        verbose_name = _("discrepancy event")
        verbose_name_plural = _("discrepancy events")

    def __str__(self) -> str:
        return f"{self.before} {self.after}".strip()
