from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST

from portfolios import tasks
from portfolios.forms import ExchangeAccountForm
from portfolios.models import ExchangeAccount, SyncRun
from portfolios.services.accounts import keep_to_schedule, schedule_text
from portfolios.services.schedules import schedule_of

IMMUTABLE = ("market", "wallets", "sandbox", "endpoint")
_SCHEDULE = ("interval_seconds", "cron", "time_zone")


@admin.register(ExchangeAccount)
class ExchangeAccountAdmin(admin.ModelAdmin[ExchangeAccount]):
    form = ExchangeAccountForm
    list_display = (
        *("label", "market", "sandbox", "paused", "schedule", "verified_at", "next_sync_at"),
    )
    list_filter = ("paused", "connecting", "sandbox", "market")
    show_full_result_count = False
    search_fields = ("label", "market")
    actions = ("sync_now", "test_connection")
    fieldsets = (
        (None, {"fields": ("label", "market", "wallets")}),
        (
            gettext_lazy("Schedule"),
            {"fields": ("interval_seconds", "cron", "time_zone", "paused")},
        ),
        (
            gettext_lazy("Judging"),
            {
                "classes": ("collapse",),
                "fields": ("lag_seconds", "grace_seconds", "policy", "lapses_by_itself"),
            },
        ),
        (gettext_lazy("Reading"), {"classes": ("collapse",), "fields": ("symbols",)}),
        (
            gettext_lazy("Where requests go"),
            {"classes": ("collapse",), "fields": ("sandbox", "endpoint")},
        ),
    )

    def has_sync_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("portfolios.add_syncrun")

    @admin.action(description=gettext_lazy("Sync now"), permissions=["sync"])
    def sync_now(self, request: HttpRequest, accounts: QuerySet[ExchangeAccount]) -> None:
        asker = request.user if request.user.is_authenticated else None
        tasks.enqueue_syncs(accounts, SyncRun.Trigger.MANUAL, asker)
        words = ngettext("Syncing %(n)s account.", "Syncing %(n)s accounts.", len(accounts))
        messages.info(request, words % {"n": len(accounts)})

    @admin.action(description=gettext_lazy("Test connection"), permissions=["change"])
    def test_connection(self, request: HttpRequest, accounts: QuerySet[ExchangeAccount]) -> None:
        for account in accounts:
            tasks.enqueue_connection_test(account, by=request.user)
        messages.info(request, _("Testing. The credential shows the result in a moment."))

    def get_urls(self) -> list[URLPattern]:
        buttons = [
            path(
                f"<int:pk>/{name}/",
                self.admin_site.admin_view(getattr(self, f"{name}_button")),
                name=f"portfolios_exchangeaccount_{name}",
            )
            for name in ("sync_now", "test_connection")
        ]
        return [*buttons, *super().get_urls()]

    @method_decorator([require_POST, csrf_protect])
    def sync_now_button(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not self.has_sync_permission(request):
            raise PermissionDenied
        self.sync_now(request, self._one(request, pk))
        return redirect("admin:portfolios_exchangeaccount_change", pk)

    @method_decorator([require_POST, csrf_protect])
    def test_connection_button(self, request: HttpRequest, pk: int) -> HttpResponse:
        self.test_connection(request, self._one(request, pk))
        return redirect("admin:portfolios_exchangeaccount_change", pk)

    def get_readonly_fields(
        self, request: HttpRequest, obj: ExchangeAccount | None = None
    ) -> tuple[str, ...]:
        # Facts are keyed by the account: those of one exchange must not become those of another.
        return IMMUTABLE if obj is not None and obj.runs.exists() else ()

    def _one(self, request: HttpRequest, pk: int) -> QuerySet[ExchangeAccount]:
        account = get_object_or_404(ExchangeAccount, pk=pk)
        if not self.has_change_permission(request, account):
            raise PermissionDenied
        return ExchangeAccount.objects.filter(pk=pk)

    def has_delete_permission(
        self, request: HttpRequest, obj: ExchangeAccount | None = None
    ) -> bool:
        # What was read of an account, and who decided what about it, stays; it can be paused.
        may = super().has_delete_permission(request, obj)
        return may and (obj is None or not obj.runs.exists())

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        # One by one only: the list's own action does not ask for each.
        return {
            name: action
            for name, action in super().get_actions(request).items()
            if name != "delete_selected"
        }

    @admin.display(description=gettext_lazy("Schedule"))
    def schedule(self, account: ExchangeAccount) -> str:
        return schedule_text(schedule_of(account))

    def save_model(
        self, request: HttpRequest, obj: ExchangeAccount, form: Any, change: bool
    ) -> None:
        changed = list(form.changed_data)
        if set(_SCHEDULE) & set(changed):
            keep_to_schedule(obj, timezone.now())
            changed.append("next_sync_at")
        # Only these: other fields of the row belong to whoever syncs it.
        obj.save(update_fields=changed if change else None)
        if hasattr(obj, "credential") and {"market", "endpoint"} & set(form.changed_data):
            messages.warning(
                request,
                _(
                    "The stored credential was sealed for the former market and endpoint and no longer opens. "
                    "Enter it again."
                ),
            )
