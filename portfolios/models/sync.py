from __future__ import annotations

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portfolios.fields import PackedJSONField
from portfolios.models.account import ExchangeAccount
from portfolios.models.choices import leg_kinds, leg_statuses


class HostClock(models.Model):
    """When one boot of a host began, by its wall clock as it was when the boot was first seen.

    With the time since then, which nobody can set, it tells whether that clock was set meanwhile.
    """

    boot = models.CharField(max_length=64, unique=True)
    began_at = models.DateTimeField()

    class Meta:
        verbose_name = _("host clock")
        verbose_name_plural = _("host clocks")

    def __str__(self) -> str:
        return self.boot


class SyncRun(models.Model):
    """One attempt to sync one account.

    QUEUED -> RUNNING -> SUCCEEDED | PARTIAL | FAILED, or LOST if its worker vanished; another run then tries again.
    `attempts` counts this run and the lost ones before it; it grows before the work starts, so an attempt that kills
    its worker is counted too.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", _("Queued")
        RUNNING = "running", _("Running")
        SUCCEEDED = "succeeded", _("Succeeded")
        PARTIAL = "partial", _("Partial")
        FAILED = "failed", _("Failed")
        LOST = "lost", _("Lost")

    class Trigger(models.TextChoices):
        SCHEDULE = "schedule", _("Schedule")
        MANUAL = "manual", _("Sync now")
        CLI = "cli", _("Command line")
        API = "api", _("API")
        START = "start", _("Start-up")

    class Stage(models.TextChoices):
        WAITING = "waiting", _("Waiting for a worker")
        FETCHING = "fetching", _("Reading the exchange")
        APPLYING = "applying", _("Booking")
        JUDGING = "judging", _("Comparing")
        DONE = "done", _("Done")

    account = models.ForeignKey(
        ExchangeAccount, models.CASCADE, related_name="runs", verbose_name=_("account")
    )
    trigger = models.CharField(_("trigger"), max_length=10, choices=Trigger)
    # Who pressed the button or made the token; None for what nobody asked for.
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("requested by"),
    )
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.QUEUED)
    stage = models.CharField(_("stage"), max_length=10, choices=Stage, default=Stage.WAITING)
    progress_done = models.PositiveIntegerField(_("progress done"), default=0)
    progress_total = models.PositiveIntegerField(_("progress total"), default=0)
    # The kind of read that the two count; empty outside of reading.
    progress_of = models.CharField(max_length=14, choices=leg_kinds, blank=True, editable=False)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    fence = models.PositiveBigIntegerField(null=True, editable=False)
    queued_at = models.DateTimeField(_("queued"), default=timezone.now, editable=False)
    started_at = models.DateTimeField(_("started"), null=True)
    # When reading was over, and when booking was; None while, or because, it did not come so far.
    applying_at = models.DateTimeField(null=True, editable=False)
    judging_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(_("finished"), null=True)
    # When what it read and said was taken away because of its age; None while that is kept.
    pruned_at = models.DateTimeField(null=True, editable=False)
    http_requests = models.PositiveIntegerField(_("requests"), default=0)
    # Of the time it took, what was spent waiting for the exchange's rate limit.
    waited_seconds = models.FloatField(_("seconds waited"), default=0)
    orders_checked = models.PositiveIntegerField(_("orders checked"), default=0)
    orders_changed = models.PositiveIntegerField(_("orders changed"), default=0)
    balances_read = models.BooleanField(default=False, editable=False)
    message = models.CharField(_("message"), max_length=500, blank=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("sync run")
        verbose_name_plural = _("sync runs")
        constraints = [
            models.UniqueConstraint(
                fields=["account"],
                condition=models.Q(status__in=["queued", "running"]),
                name="one_open_run_per_account",
            )
        ]
        indexes = [
            models.Index(fields=["account", "-id"], name="run_account_newest"),
            models.Index(fields=["account", "status"], name="run_account_status"),
            models.Index(fields=["status", "-id"], name="run_status_newest"),
            models.Index(fields=["finished_at", "status"], name="run_finished"),
            models.Index(fields=["queued_at"], name="run_queued"),
        ]

    def __str__(self) -> str:
        return f"{self.account} #{self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("run", args=[self.pk])

    @property
    def is_open(self) -> bool:
        return self.status in (self.Status.QUEUED, self.Status.RUNNING)


class LegContent(models.Model):
    """The rows of a leg as they were read, redacted; stored once however often they are read again."""

    account = models.ForeignKey(ExchangeAccount, models.CASCADE, related_name="leg_contents")
    digest = models.CharField(max_length=64)
    rows = PackedJSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "digest"], name="leg_content_stored_once")
        ]

    def __str__(self) -> str:
        return self.digest[:12]


class StoredLeg(models.Model):
    """One kind of read of one account, as it was read in one run."""

    run = models.ForeignKey(SyncRun, models.CASCADE, related_name="legs", verbose_name=_("run"))
    content = models.ForeignKey(
        LegContent, models.PROTECT, null=True, related_name="legs", verbose_name=_("content")
    )
    kind = models.CharField(_("kind"), max_length=14, choices=leg_kinds)
    subject = models.CharField(_("subject"), max_length=128, blank=True)
    status = models.CharField(_("status"), max_length=12, choices=leg_statuses)
    row_count = models.PositiveIntegerField(_("rows"), default=0)
    complete = models.BooleanField(_("whole"), default=False)
    why_incomplete = models.CharField(_("why not whole"), max_length=200, blank=True)
    pages = models.PositiveIntegerField(_("pages"), default=0)
    since = models.DateTimeField(_("since"), null=True)
    until = models.DateTimeField(_("until"), null=True)
    clock_offset = models.FloatField(_("clock offset"), default=0)
    requested_at = models.DateTimeField(_("asked"))
    responded_at = models.DateTimeField(_("answered"))
    error_category = models.CharField(_("category of the error"), max_length=20, blank=True)
    error_kind = models.CharField(_("kind of error"), max_length=100, blank=True)
    error_message = models.CharField(_("message of the error"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("read")
        verbose_name_plural = _("reads")
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.kind} {self.status}"


class WorkerBeat(models.Model):
    """Written by a task, so that it proves the whole way from the schedule to a worker."""

    name = models.CharField(max_length=50, unique=True)
    beat_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
