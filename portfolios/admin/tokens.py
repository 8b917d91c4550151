from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from portfolios.models import ApiToken
from portfolios.services.api_tokens import make_token, revoke_token


class ApiTokenForm(forms.ModelForm[ApiToken]):
    scopes = forms.MultipleChoiceField(
        label=_("Scopes"),
        choices=ApiToken.Scope.choices,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("What the program may do; a token for reading needs no other."),
    )

    class Meta:
        model = ApiToken
        fields = ("name", "scopes")


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin[ApiToken]):
    form = ApiTokenForm
    list_display = ("name", "prefix", "scopes", "made_by", "made_at", "last_used_at", "revoked_at")
    list_filter = ("revoked_at",)
    list_select_related = ("made_by",)
    search_fields = ("name", "prefix")
    actions = ("revoke",)

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        token, text = make_token(obj.name, form.cleaned_data["scopes"], request.user)
        obj.pk = token.pk
        obj.refresh_from_db()
        messages.warning(
            request,
            _("Copy the token of %(name)s now; it is never shown again: %(token)s")
            % {"name": token.name, "token": text},
        )

    def has_change_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        # Nothing of a token can be changed; the list needs the right for its action.
        return obj is None and super().has_change_permission(request)

    @admin.action(description=_("Revoke"), permissions=["change"])
    def revoke(self, request: HttpRequest, tokens: QuerySet[ApiToken]) -> None:
        for token in tokens:
            revoke_token(token, by=request.user)
        messages.success(request, _("Revoked; the programs that used them are let in no more."))
