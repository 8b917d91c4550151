from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from providers.ccxt_client import CCXT_VERSION, read_abilities
from providers.census import differences


class Command(BaseCommand):
    help = "Compare what the installed ccxt can do with what our tables assume; fail on any difference."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        abilities = read_abilities()
        found = differences(abilities)
        for line in found:
            self.stdout.write(line)
        if found:
            raise CommandError(f"ccxt {CCXT_VERSION} differs from our tables ({len(found)} lines).")
        self.stdout.write(
            f"ccxt {CCXT_VERSION}: {len(abilities)} markets are as our tables assume."
        )
