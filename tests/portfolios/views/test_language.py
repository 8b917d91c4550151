from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from zoneinfo import available_timezones

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation

from providers import catalogue
from tests.builders import NOON, make_account, make_balance, make_discrepancy, make_portfolio
from tests.portfolios.views.pages import html_of, text_of
from tests.portfolios.views.test_every_page import a_world

CHINESE = "zh-hans"
# What is called so in every language: names, units, codes of assets, ids of exchanges and wallets.
NAMES = frozenset(("PosSync", "English", "UTC", "API", "Key", "JSON", "CSV", "ID", "BTC", "USDT"))
NAMES |= {
    "EUR",
    "Secret",
    "binance",
    "Binance",
    "spot",
    "alice",
    "cron",
    "Cron",
    "Europe",
    "Berlin",
    "half",
}
# A command, a name in a program, an order that a builder numbered.
COMMAND = re.compile(r"manage\.py \w+( FILE)?|\w+_\w+|order-\d+")
PLACES = {
    said for each in catalogue.markets() for said in (each.id, each.name)
} | available_timezones()
WORD = re.compile(r"[A-Za-z]{2,}")
SAID_IN = ("title", "alt", "aria-label", "placeholder", "data-label")


@pytest.fixture(autouse=True)
def _nothing_stays_chinese() -> Iterator[None]:
    """Undo what a request leaves behind: the language of its thread, until the next one."""
    with translation.override("en"):
        yield


@pytest.fixture
def chinese(client: Client) -> Client:
    client.post("/language/", {"language": CHINESE})
    return client


class _Words(HTMLParser):
    """Collects what a reader of a page sees or hears, but for code and times."""

    SILENT = frozenset(["script", "style", "code", "pre", "time"])

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self._silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.SILENT:
            self._silent.append(tag)
        self.said += [value for name, value in attrs if name in SAID_IN and value]

    def handle_endtag(self, tag: str) -> None:
        if self._silent[-1:] == [tag]:
            self._silent.pop()

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.said.append(data)


def english_in(page: str) -> set[str]:
    reader = _Words()
    reader.feed(page)
    return {
        said.strip()
        for said in reader.said
        if said.strip() not in PLACES and set(WORD.findall(COMMAND.sub("", said))) - NAMES
    }


def test_no_page_says_anything_in_english_to_a_reader_of_chinese(chinese: Client) -> None:
    urls = a_world("币")
    left = {name: english_in(shown_in_html(chinese, url)) for name, url in urls.items()}

    assert {name: words for name, words in left.items() if words} == {}


@pytest.mark.parametrize("kind", ["acknowledge", "dismiss", "adjust", "rebaseline"])
def test_a_decision_is_asked_for_in_chinese(chinese: Client, kind: str) -> None:
    account = make_account(label="币")
    make_portfolio(account, name="币")
    row = make_discrepancy(account)
    url = reverse("decision", args=[account.pk, kind]) + f"?discrepancy={row.pk}"

    assert english_in(shown_in_html(chinese, url)) == set()


def test_the_days_of_the_next_runs_are_told_in_chinese(chinese: Client) -> None:
    account = make_account(label="币", cron="0 8 * * 1-5", time_zone="Europe/Berlin")

    page = shown_in_html(chinese, f"/accounts/{account.pk}/schedule/")

    assert not re.search(r"\b(Mon|Tue|Wed|Thu|Fri)\b", page)


def test_an_empty_install_and_the_log_in_speak_chinese_too(
    chinese: Client, stranger: Client
) -> None:
    stranger.cookies = SimpleCookie({"django_language": CHINESE})

    assert english_in(shown_in_html(chinese, "/")) == set()
    assert english_in(shown_in_html(stranger, "/login/")) == set()


def shown_in_html(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200, url
    return html_of(response)


def test_amounts_and_times_are_the_same_in_both_languages(client: Client) -> None:
    account = make_account(verified_at=NOON)
    make_balance(account, asset="BTC", total=Decimal("1234567.123456789012345678"))
    url = f"/accounts/{account.pk}/"
    english = html_of(client.get(url))

    client.post("/language/", {"language": CHINESE})

    chinese = html_of(client.get(url))
    for pattern in (r'class="amount">(.*?)</td>', r'datetime="([^"]*)"', r'title="([0-9][^"]*)"'):
        found = re.findall(pattern, english, re.DOTALL)
        assert found
        assert found == re.findall(pattern, chinese, re.DOTALL)


def test_the_language_is_switched_and_the_page_kept(client: Client) -> None:
    make_account()
    page = "/accounts/?sort=market"
    assert f'name="next" value="{page}"' in html_of(client.get(page))

    response = client.post("/language/", {"language": CHINESE, "next": page})

    assert response.headers["Location"] == page
    assert '<html lang="zh-hans"' in html_of(client.get(page))


def test_the_button_names_the_other_language_in_its_own_words(client: Client) -> None:
    assert "简体中文" in text_of(client.get("/"))

    client.post("/language/", {"language": CHINESE})

    page = text_of(client.get("/"))
    assert "English" in page
    assert "简体中文" not in page


def test_switching_goes_to_no_other_site(client: Client) -> None:
    form = {"language": CHINESE, "next": "https://evil.example/"}

    assert client.post("/language/", form).headers["Location"] == "/"


def test_a_stranger_may_switch_before_the_log_in(stranger: Client) -> None:
    stranger.post("/language/", {"language": CHINESE, "next": "/login/"})

    assert "登录" in text_of(stranger.get("/login/"))


def test_a_browser_that_asks_for_chinese_gets_it_unasked(stranger: Client) -> None:
    page = stranger.get("/login/", headers={"accept-language": "zh-CN,zh;q=0.9"})

    assert "登录" in text_of(page)


def test_what_a_sync_stored_is_said_in_the_language_of_its_reader(client: Client) -> None:
    row = make_discrepancy(make_account(), cause="explained: deposit on its way")
    url = f"/discrepancies/{row.pk}/"
    assert "explained: deposit on its way" in text_of(client.get(url))

    client.post("/language/", {"language": CHINESE})

    assert "已解释: 充值在途中" in text_of(client.get(url))


def test_what_was_decided_is_said_so_too(chinese: Client) -> None:
    row = make_discrepancy(make_account(), asset="BTC")
    url = f"/accounts/{row.account_id}/decisions/dismiss/"
    page = html_of(chinese.get(url, {"discrepancy": row.pk}))
    form = page[page.index("data-entering") :]
    sent = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))

    done = chinese.post(url, sent | {"reason": "seen"}, follow=True)

    assert "Less at the exchange" not in text_of(done)
    assert "交易所少于账本: BTC" in text_of(done)
    assert "交易所少于账本: BTC" in text_of(chinese.get("/audit/"))
