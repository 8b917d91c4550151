from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy

from portfolios.models.account import LONGEST_SECONDS
from portfolios.services.schedules import (
    MOST_CRON_CHARACTERS,
    Schedule,
    ScheduleRefused,
    checked_cron,
    time_zones,
)

SHORTEST_SECONDS = 10


def zone_choices() -> list[tuple[str, str]]:
    return [(name, name) for name in time_zones()]


def clean_schedule(form: forms.BaseForm, cleaned: dict[str, Any]) -> None:
    """Check the cron of a form, and write it with single blanks."""
    if not cleaned.get("cron"):
        return
    try:
        cleaned["cron"] = checked_cron(
            cleaned["cron"], cleaned.get("time_zone") or "UTC", timezone.now()
        )
    except ScheduleRefused as e:
        form.add_error("cron", str(e))


class ScheduleForm(forms.Form):
    """How often an account is synced: of the two ways, what belongs to the other one is left aside."""

    BY_INTERVAL, BY_CRON = "interval", "cron"

    by = forms.ChoiceField(
        label=gettext_lazy("Sync"),
        choices=[
            (BY_INTERVAL, gettext_lazy("at an interval")),
            (BY_CRON, gettext_lazy("at times of the day (cron)")),
        ],
        widget=forms.RadioSelect,
    )
    interval_seconds = forms.IntegerField(
        label=gettext_lazy("Interval"),
        required=False,
        min_value=SHORTEST_SECONDS,
        max_value=LONGEST_SECONDS,
        help_text=gettext_lazy("Seconds: 300 are five minutes."),
    )
    cron = forms.CharField(
        label=gettext_lazy("Cron"),
        required=False,
        max_length=MOST_CRON_CHARACTERS,
        help_text=gettext_lazy(
            "Minute, hour, day of the month, month, day of the week: 0 8 * * 1-5 is at eight from Monday to Friday."
        ),
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}
        ),
    )
    time_zone = forms.ChoiceField(
        label=gettext_lazy("Time zone"),
        choices=zone_choices,
        required=False,
        help_text=gettext_lazy("By whose clock the cron is meant."),
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, schedule: Schedule) -> None:
        super().__init__(data, initial=_initial(schedule))
        self.before = schedule

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        needed = "cron" if cleaned.get("by") == self.BY_CRON else "interval_seconds"
        if not cleaned.get(needed) and needed not in self.errors:
            self.add_error(needed, forms.Field.default_error_messages["required"])
        if needed == "cron":
            self.errors.pop("interval_seconds", None)
            clean_schedule(self, cleaned)
        else:
            self.errors.pop("cron", None)
        return cleaned

    def schedule(self) -> Schedule:
        cleaned = self.cleaned_data
        zone = cleaned.get("time_zone") or self.before.time_zone
        if cleaned["by"] == self.BY_CRON:
            interval = cleaned.get("interval_seconds") or self.before.interval_seconds
            return Schedule(interval, cleaned["cron"], zone)
        return Schedule(cleaned["interval_seconds"], "", zone)


def _initial(schedule: Schedule) -> dict[str, Any]:
    return {
        "by": ScheduleForm.BY_CRON if schedule.cron else ScheduleForm.BY_INTERVAL,
        "interval_seconds": schedule.interval_seconds,
        "cron": schedule.cron,
        "time_zone": schedule.time_zone,
    }
