from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.contrib.admin.utils import flatten, label_for_field
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import RequestFactory
from django.utils import translation

OURS = sorted(
    (model for model in admin.site._registry if model._meta.app_label == "portfolios"),
    key=lambda model: model.__name__,
)
# Names of things in programs, and those that have no others.
NAMES = frozenset(["ID", "API", "Cron", "cron", "Key", "Passphrase", "Secret", "UUID", "JSON"])


def labels_of(model: type[Model]) -> Iterator[str]:
    its_admin = admin.site._registry[model]
    request = RequestFactory().get("/")
    request.user = User(is_staff=True, is_superuser=True)
    form = its_admin.get_form(request)()
    shown = [
        *its_admin.get_list_display(request),
        *flatten(its_admin.get_fields(request)),
        *its_admin.get_readonly_fields(request),
    ]
    for name in dict.fromkeys(shown):
        entered = form.fields[name].label if name in form.fields else None
        yield str(entered or label_for_field(name, model, its_admin, form=form))
    yield str(model._meta.verbose_name)
    yield str(model._meta.verbose_name_plural)


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_what_the_admin_shows_is_named_in_chinese(model: type[Model]) -> None:
    with translation.override("zh-hans"):
        left = {
            label for label in labels_of(model) if set(re.findall("[A-Za-z]{2,}", label)) - NAMES
        }

    assert left == set()
