"""The practice exchange's accounts, as a first book."""

from __future__ import annotations

from portfolios.models import ExchangeAccount
from portfolios.services.book import import_book
from providers.sandbox.engine import Engine
from providers.sandbox.scenario import DemoScenario


def ensure_demo(endpoint: str) -> bool:
    """Import the demo's book if none of its accounts exists; whether it was imported.

    Somebody who deleted or changed the demo gets neither back.
    """
    book = DemoScenario(Engine()).book(endpoint)
    labels = [account["label"] for account in book["accounts"]]
    if ExchangeAccount.objects.filter(label__in=labels).exists():
        return False
    import_book(book)
    return True
