"""What tests look for in a page."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from django.contrib.auth.models import Permission, User
from django.http import HttpResponseBase
from django.test import Client


def user_of_every_button() -> Client:
    """Log in somebody who is no administrator but may press every button."""
    alice = User.objects.create_user("alice")
    rights = [
        "add_syncrun",
        "change_exchangeaccount",
        "change_incident",
        "change_order",
        "change_portfolio",
        "change_discrepancy",
        "add_exchangeaccount",
        "add_marketcredential",
        "add_portfolio",
        "view_auditevent",
    ]
    alice.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client = Client()
    client.force_login(alice)
    return client


def text_of(response: HttpResponseBase) -> str:
    """Return what a reader sees, each run of blanks as one."""
    reader = _Reader()
    reader.feed(html_of(response))
    return re.sub(r"\s+", " ", "".join(reader.parts)).strip()


def html_of(response: HttpResponseBase) -> str:
    content = getattr(response, "content", b"")
    assert isinstance(content, bytes)
    return content.decode()


def shown(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return text_of(response)


class _Reader(HTMLParser):
    # Between these a reader sees a gap even where the source has none.
    BLOCKS = frozenset(
        ["p", "div", "td", "th", "li", "dt", "dd", "h1", "h2", "option", "label", "button"]
    )

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._skipped = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style", "title"):
            self._skipped = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._skipped:
            self._skipped = ""
        if tag in self.BLOCKS:
            self.parts.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.parts.append(data)
