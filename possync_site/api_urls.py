"""All that `urls` has, and the API, which takes as long to load as Django: only who asks for it does (middleware)."""

from __future__ import annotations

from django.urls import path

from portfolios.api.application import api_urls
from possync_site.urls import urlpatterns as pages

urlpatterns = [*pages, path("api/v1/", api_urls())]
