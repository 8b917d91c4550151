"""What an installation still needs before it compares anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portfolios.models import ExchangeAccount, SyncRun
from portfolios.selectors.connecting import READ, steps_done

Word = str | Promise


@dataclass(frozen=True, slots=True)
class FirstStep:
    """One line of the checklist.

    Parameters
    ----------
    url : str
        Where it is done; empty if something else comes first.
    in_admin : bool
        Whether that is a page of the administration.
    """

    word: Word
    text: Word
    button: Word
    is_done: bool
    url: str

    @property
    def in_admin(self) -> bool:
        return self.url.startswith(reverse("admin:index"))


# By the names of the steps of connecting.
_STEPS: Sequence[tuple[str, Word, Word, Word]] = (
    (
        "key",
        _("Choose an exchange and enter a key"),
        _(
            "Make a key at the exchange that may read and nothing else. It is stored encrypted and never shown again."
        ),
        _("Connect an exchange"),
    ),
    (
        "test",
        _("Test the connection"),
        _("It shows whether the key works, what it may do, and what the exchange can be asked."),
        _("Test connection"),
    ),
    (
        "books",
        _("Bring in your books"),
        _(
            "Add a portfolio, or import portfolios, positions and orders with manage.py import_book FILE."
        ),
        _("Add portfolio"),
    ),
    (
        "sync",
        _("Sync for the first time"),
        _(
            "What the exchange holds then is the baseline: only what changes from then on is judged."
        ),
        _("To the first sync"),
    ),
    (
        "schedule",
        _("Choose a schedule"),
        _("At an interval or at times of the day. Until then nothing is synced by itself."),
        _("Choose a schedule"),
    ),
)


def first_steps() -> list[FirstStep] | None:
    """List them for the account that is connected just now, or the first one; None once a sync has succeeded."""
    if SyncRun.objects.filter(status__in=READ).exists():
        return None
    account = ExchangeAccount.objects.order_by("-connecting", "pk").first()
    done = steps_done(account) if account else set()
    following = next((name for name, *_words in _STEPS if name not in done), "")
    return [
        FirstStep(
            word, text, button, name in done, _url(account, name) if name == following else ""
        )
        for name, word, text, button in _STEPS
    ]


def _url(account: ExchangeAccount | None, name: str) -> str:
    if account is None:
        return reverse("connect")
    if account.connecting:
        return reverse(f"connect_{name}", args=[account.pk])
    # One that was added in the administration, or by a book.
    urls = {
        "key": f"{reverse('admin:portfolios_marketcredential_add')}?account={account.pk}",
        "test": reverse("account_test", args=[account.pk]),
        "books": reverse("admin:portfolios_portfolio_add"),
        "schedule": reverse("account_schedule", args=[account.pk]),
    }
    return urls.get(name, account.get_absolute_url())
