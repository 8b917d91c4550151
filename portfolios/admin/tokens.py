from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_cache_control
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
        token, obj.text = make_token(obj.name, form.cleaned_data["scopes"], request.user)
        obj.pk = token.pk
        obj.refresh_from_db()

    def response_add(
        self, request: HttpRequest, obj: ApiToken, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the token in the answer itself: a message to the next page would travel in a cookie."""
        made = {**self.admin_site.each_context(request), "token": obj, "title": _("New token")}
        response = render(request, "admin/portfolios/apitoken/made.html", made)
        patch_cache_control(response, no_store=True)
        return response

    def has_change_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        # Nothing of a token can be changed; the list needs the right for its action.
        return obj is None and super().has_change_permission(request)

    @admin.action(description=_("Revoke"), permissions=["change"])
    def revoke(self, request: HttpRequest, tokens: QuerySet[ApiToken]) -> None:
        for token in tokens:
            revoke_token(token, by=request.user)
        messages.success(request, _("Revoked; the programs that used them are let in no more."))
