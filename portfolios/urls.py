from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from portfolios.views import (
    accounts,
    discrepancies,
    exceptions,
    exports,
    orders,
    overview,
    portfolios,
    probes,
    runs,
)

login_urls = [
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
]

# /accounts/<id>/…
account_urls = [
    path("accounts/", accounts.accounts, name="accounts"),
    path("accounts/<int:pk>/", accounts.account, name="account"),
    path("accounts/<int:pk>/sync/", accounts.account_sync, name="account_sync"),
    path("accounts/<int:pk>/test/", accounts.account_test, name="account_test"),
    path("accounts/<int:pk>/pause/", accounts.account_pause, name="account_pause"),
    path("accounts/<int:pk>/resume/", accounts.account_resume, name="account_resume"),
]

# /portfolios/<id>/…
portfolio_urls = [
    path("portfolios/<int:pk>/", portfolios.portfolio, name="portfolio"),
    path("portfolios/<int:pk>/sync/", portfolios.portfolio_sync, name="portfolio_sync"),
]

# /orders/<id>/…
order_urls = [
    path("orders/<int:pk>/claim/", orders.order_claim, name="order_claim"),
]

# /discrepancies/<id>/…
discrepancy_urls = [
    path("discrepancies/", discrepancies.discrepancies, name="discrepancies"),
    path("discrepancies/<int:pk>/", discrepancies.discrepancy, name="discrepancy"),
    path(
        "discrepancies/<int:pk>/lapse/", discrepancies.discrepancy_lapse, name="discrepancy_lapse"
    ),
    path(
        "discrepancies/<int:pk>/match/", discrepancies.discrepancy_match, name="discrepancy_match"
    ),
]

# /exceptions/<id>/…
exception_urls = [
    path("exceptions/", exceptions.exceptions, name="exceptions"),
    path("exceptions/<int:pk>/", exceptions.exception, name="exception"),
    path("exceptions/<int:pk>/resolve/", exceptions.exception_resolve, name="exception_resolve"),
]

# /runs/<id>/…
run_urls = [
    path("runs/", runs.runs, name="runs"),
    path("runs/<int:pk>/", runs.run, name="run"),
    path("runs/<int:pk>/progress/", runs.run_progress, name="run_progress"),
]

# /export/<list>.csv and .json
export_urls = [
    path("export/<slug:name>.csv", exports.export, {"form": "csv"}, name="export_csv"),
    path("export/<slug:name>.json", exports.export, {"form": "json"}, name="export_json"),
]

# For whatever watches the process; no log-in.
probe_urls = [
    path("healthz", probes.healthz, name="healthz"),
    path("readyz", probes.readyz, name="readyz"),
]

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("sync/", overview.sync_all, name="sync_all"),
    *login_urls,
    *account_urls,
    *portfolio_urls,
    *order_urls,
    *discrepancy_urls,
    *exception_urls,
    *run_urls,
    *export_urls,
    *probe_urls,
]
