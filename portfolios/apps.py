from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PortfoliosConfig(AppConfig):
    name = "portfolios"
    verbose_name = _("PosSync")

    def ready(self) -> None:
        from portfolios import checks, queue  # noqa: F401 - registers the system checks
        from portfolios.services import quiet_runs

        queue.use_json_payloads()
        quiet_runs.watch_rules()
