"""Every page is valid HTML, and stays so whatever an exchange writes into it."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator

import html5lib
import pytest
from django.test import Client

from portfolios.models import Occurrence
from providers.redaction import one_line
from tests.portfolios.views.pages import html_of
from tests.portfolios.views.test_every_page import HOSTILE, PARTS, a_world

LONG = 10_000
WRITTEN_BY_AN_EXCHANGE = {
    "plain": "BTC/USDT",
    "markup": HOSTILE,
    "end of everything": "</td></table></main></body></html><!-- ]]> {{ x }} {% y %}",
    "emoji and directions": "=\N{MONEY BAG}\N{VARIATION SELECTOR-16}\N{RIGHT-TO-LEFT OVERRIDE}\u05d0\x01\x1b"
    * 40,
    "one long word": "W" * LONG,
}
# What points at an element by its id.
POINTERS = re.compile(
    r'\s(?:for|aria-labelledby|aria-describedby|aria-controls|list|form)="([^"]+)"'
)


def opened(client: Client, written: str) -> Iterator[tuple[str, str]]:
    """Open every page of a world of what the border makes of `written`; name and markup of each."""
    text = one_line(written, LONG)
    world = a_world(text)
    Occurrence.objects.update(trace=(text * LONG)[:LONG])
    for name, url in world.items():
        page = html_of(client.get(url))
        yield name, f"<!doctype html><title>Part</title>{page}" if name in PARTS else page


@pytest.mark.parametrize("text", WRITTEN_BY_AN_EXCHANGE.values(), ids=WRITTEN_BY_AN_EXCHANGE)
def test_every_page_is_valid(client: Client, text: str) -> None:
    wrong = {}
    for name, page in opened(client, text):
        parser = html5lib.HTMLParser()
        parser.parse(page)
        wrong[name] = {(code, str(told)) for _place, code, told in parser.errors}

    assert {name: errors for name, errors in wrong.items() if errors} == {}


def test_an_id_is_of_one_element_and_what_points_at_one_finds_it(client: Client) -> None:
    for name, page in opened(client, "BTC/USDT"):
        ids = Counter(re.findall(r'\sid="([^"]*)"', page))
        pointed = {each for found in POINTERS.findall(page) for each in found.split()}

        assert [each for each, times in ids.items() if times > 1] == [], name
        assert pointed - ids.keys() == set(), name


@pytest.mark.parametrize("written", ["markup", "emoji and directions"])
def test_an_export_keeps_its_rows_and_starts_no_formula(client: Client, written: str) -> None:
    links = {
        link
        for _name, page in opened(client, WRITTEN_BY_AN_EXCHANGE[written])
        for link in re.findall(r'href="([^"]*/export/[^"]*)\.csv', page)
    }
    assert len(links) > 10

    for link in links:
        rows = json.loads(content(client, f"{link}.json"))
        table = list(csv.reader(io.StringIO(content(client, f"{link}.csv"), newline="")))
        assert {len(row) for row in table} == {len(table[0])}, link
        assert len(table) - 1 == len(rows), link
        assert not [cell for row in table for cell in row if cell.startswith(("=", "@", "\t"))]


def content(client: Client, url: str) -> str:
    return b"".join(client.get(url)).decode()
