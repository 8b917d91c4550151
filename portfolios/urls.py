from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path
from django.views.i18n import set_language

from portfolios.views import (
    account_lists,
    accounts,
    audit,
    bulk_decisions,
    connect,
    decisions,
    discrepancies,
    exceptions,
    exports,
    overview,
    portfolios,
    probes,
    runs,
    schedules,
    verdicts,
)
from portfolios.views.sign_in import with_patience

login_urls = [
    path(
        "login/",
        with_patience(LoginView.as_view(redirect_authenticated_user=True)),
        name="login",
    ),
    path("logout/", LogoutView.as_view(), name="logout"),
    # Whoever logs in may want to read the form.
    path("language/", login_not_required(set_language), name="set_language"),
]

# /accounts/<id>/…
account_urls = [
    path("accounts/", accounts.accounts, name="accounts"),
    path("accounts/<int:pk>/", accounts.account, name="account"),
    path("accounts/<int:pk>/sync/", accounts.account_sync, name="account_sync"),
    path("accounts/<int:pk>/test/", accounts.account_test, name="account_test"),
    path(
        "accounts/<int:pk>/test/result/", accounts.account_test_result, name="account_test_result"
    ),
    path("accounts/<int:pk>/schedule/", schedules.account_schedule, name="account_schedule"),
    path("accounts/<int:pk>/pause/", accounts.account_pause, name="account_pause"),
    path("accounts/<int:pk>/resume/", accounts.account_resume, name="account_resume"),
]

_list = account_lists.account_list
account_list_urls = [
    path("accounts/<int:pk>/orders/", _list, {"name": "orders"}, name="account_orders"),
    path("accounts/<int:pk>/fills/", _list, {"name": "fills"}, name="account_fills"),
    path("accounts/<int:pk>/ledger/", _list, {"name": "ledger"}, name="account_ledger"),
    path("accounts/<int:pk>/flows/", _list, {"name": "flows"}, name="account_flows"),
    path("accounts/<int:pk>/ownership/", _list, {"name": "ownership"}, name="account_ownership"),
    path("accounts/<int:pk>/coverage/", account_lists.account_coverage, name="account_coverage"),
    path("accounts/<int:pk>/decisions/", account_lists.account_decisions, name="account_decisions"),
]

# /connect/ and /connect/<account>/<step>/
connect_urls = [
    path("connect/", connect.connect, name="connect"),
    path("connect/new/<slug:market>/", connect.connect_new, name="connect_new"),
    path("connect/<int:pk>/", connect.connect_resume, name="connect_resume"),
    path("connect/<int:pk>/key/", connect.connect_key, name="connect_key"),
    path("connect/<int:pk>/test/", connect.connect_test, name="connect_test"),
    path("connect/<int:pk>/books/", connect.connect_books, name="connect_books"),
    path("connect/<int:pk>/sync/", connect.connect_sync, name="connect_sync"),
    path("connect/<int:pk>/schedule/", connect.connect_schedule, name="connect_schedule"),
    path("connect/<int:pk>/discard/", connect.connect_discard, name="connect_discard"),
]

# /portfolios/<id>/…
portfolio_urls = [
    path("portfolios/<int:pk>/", portfolios.portfolio, name="portfolio"),
    path("portfolios/<int:pk>/sync/", portfolios.portfolio_sync, name="portfolio_sync"),
    path("portfolios/<int:pk>/orders/", portfolios.orders, name="portfolio_orders"),
    path("portfolios/<int:pk>/fills/", portfolios.fills, name="portfolio_fills"),
    path("portfolios/<int:pk>/ledger/", portfolios.ledger, name="portfolio_ledger"),
    path("portfolios/<int:pk>/history/", portfolios.history, name="portfolio_history"),
    path("portfolios/<int:pk>/compare/", portfolios.compare, name="portfolio_compare"),
]

# /decisions/ and /accounts/<id>/decisions/<kind>/
decision_urls = [
    path("decisions/", decisions.decisions, name="decisions"),
    path("accounts/<int:pk>/decisions/<slug:kind>/", decisions.decision, name="decision"),
]

# /discrepancies/<id>/…
discrepancy_urls = [
    path("discrepancies/", discrepancies.discrepancies, name="discrepancies"),
    path("discrepancies/decide/", bulk_decisions.bulk_decision, name="bulk_decision"),
    path("discrepancies/<int:pk>/", discrepancies.discrepancy, name="discrepancy"),
]

# /exceptions/<id>/…
exception_urls = [
    path("exceptions/", exceptions.exceptions, name="exceptions"),
    path("exceptions/<int:pk>/", exceptions.exception, name="exception"),
    path("exceptions/<int:pk>/resolve/", exceptions.exception_resolve, name="exception_resolve"),
    path("exceptions/<int:pk>/mute/", exceptions.exception_mute, name="exception_mute"),
    path("exceptions/<int:pk>/unmute/", exceptions.exception_unmute, name="exception_unmute"),
]

# /runs/<id>/…
run_urls = [
    path("runs/", runs.runs, name="runs"),
    path("runs/<int:pk>/", runs.run, name="run"),
    path("runs/<int:pk>/verdicts/", verdicts.verdicts, name="verdicts"),
    path("runs/<int:pk>/progress/", runs.run_progress, name="run_progress"),
]

# /export/<list>.csv and .json, and /accounts/<id>/export/<list>.csv of the lists of one account, and so on
export_urls = [
    path("export/<slug:name>.csv", exports.export, {"form": "csv"}, name="export_csv"),
    path("export/<slug:name>.json", exports.export, {"form": "json"}, name="export_json"),
    path("<slug:of>/<int:pk>/export/<slug:name>.<slug:form>", exports.export, name="export_of"),
]

# For whatever watches the process; no log-in but for the metrics, which also take a token.
probe_urls = [
    path("healthz", probes.healthz, name="healthz"),
    path("readyz", probes.readyz, name="readyz"),
    path("metrics", probes.metrics, name="metrics"),
]

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("audit/", audit.audit, name="audit"),
    path("sync/", overview.sync_all, name="sync_all"),
    *login_urls,
    *account_urls,
    *account_list_urls,
    *connect_urls,
    *portfolio_urls,
    *decision_urls,
    *discrepancy_urls,
    *exception_urls,
    *run_urls,
    *export_urls,
    *probe_urls,
]
