from __future__ import annotations

from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message

from scripts import messages
from scripts.messages import faults, said

TEXT = "%(count)s orders are open."


def catalogue(
    text: str = TEXT, translation: str = "%(count)s 个挂单。", **fields: object
) -> Catalog:
    kept = Catalog(locale="zh_Hans", fuzzy=False)
    kept.add(text, translation, **fields)  # type: ignore[arg-type]
    return kept


def faults_of(kept: Catalog, *texts: str) -> list[str]:
    return list(faults(kept, {("", text): Message(text) for text in texts}))


def test_a_text_with_its_translation_is_right() -> None:
    assert faults_of(catalogue(), TEXT) == []


def test_a_text_that_is_not_in_the_catalogue_is_a_fault() -> None:
    assert faults_of(catalogue(), TEXT, "New.") == ["not in the catalogue: 'New.'"]


def test_a_text_that_is_said_no_more_is_a_fault() -> None:
    assert faults_of(catalogue()) == [f"nowhere said any more: {TEXT!r}"]


@pytest.mark.parametrize(
    ("kept", "fault"),
    [
        (catalogue(translation=""), "not translated"),
        (catalogue(flags=["fuzzy"]), "fuzzy"),
        (catalogue(translation="几个挂单。"), "other placeholders"),
        (catalogue(translation="%(number)s 个挂单。"), "other placeholders"),
    ],
)
def test_a_translation_that_cannot_be_shown_is_a_fault(kept: Catalog, fault: str) -> None:
    assert faults_of(kept, TEXT) == [f"{fault}: {TEXT!r}"]


def test_a_plural_needs_its_one_chinese_form() -> None:
    ids = ("%(count)s row", "%(count)s rows")
    kept = Catalog(locale="zh_Hans", fuzzy=False)
    kept.add(ids, ("%(count)s 行",))
    texts = {("", ids[0]): Message(ids)}

    assert list(faults(kept, texts)) == []
    kept[ids].string = ("行",)
    assert list(faults(kept, texts)) == [f"other placeholders: {ids[0]!r}"]


def test_texts_are_found_in_code_and_in_templates(tmp_path: Path) -> None:
    code = "from django.utils.translation import gettext_lazy as _\n\nWORD = _('of the code')\n"
    page = """{% load i18n %}
      {% translate "of a page" context "menu" %}
      {% blocktranslate trimmed count rows=rows %}
        {{ rows }} row
      {% plural %}
        {{ rows }} rows
      {% endblocktranslate %}"""
    for path, text in {"portfolios/a.py": code, "templates/b/c.html": page}.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True)
        file.write_text(text)

    found = {(message.context, message.id) for message in said(tmp_path)}

    rows = ("%(rows)s row", "%(rows)s rows")
    assert found == {(None, "of the code"), ("menu", "of a page"), (None, rows)}


def test_the_check_finds_a_compiled_catalogue_that_is_not_the_readable_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stale = tmp_path / "django.mo"
    stale.write_bytes(b"")
    monkeypatch.setattr(messages, "COMPILED", stale)

    assert messages.main(["--check"]) == 1
    assert "django.mo is not what django.po says" in capsys.readouterr().err
