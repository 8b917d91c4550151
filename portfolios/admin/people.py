from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.http import HttpRequest

admin.site.unregister(User)


@admin.register(User)
class PersonAdmin(UserAdmin[User]):
    """Deletes nobody: what somebody changed here would go with them, and so leave the audit trail."""

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False
