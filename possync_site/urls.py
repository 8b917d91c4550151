from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from portfolios.views.sign_in import with_patience

urlpatterns = [
    path("", include("portfolios.urls")),
    path("admin/login/", with_patience(admin.site.login)),
    path("admin/", admin.site.urls),
]
