from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from portfolios.models import ExchangeAccount

pytestmark = pytest.mark.django_db

BOOK = json.dumps({"accounts": [{"label": "main", "market": "binance"}]})


def said(*args: Any) -> str:
    out = io.StringIO()
    call_command("import_book", *args, stdout=out)
    return out.getvalue()


def refusal(*args: Any) -> str:
    with pytest.raises(CommandError) as refused:
        said(*args)
    assert refused.value.returncode == 1
    return str(refused.value)


def test_it_says_how_much_was_imported(tmp_path: Path) -> None:
    file = tmp_path / "book.json"
    file.write_text(BOOK, encoding="utf-8")

    assert said(str(file)) == "1 created, 0 updated, 0 unchanged\n"
    assert said(str(file)) == "0 created, 0 updated, 1 unchanged\n"


def test_it_reads_standard_input_as_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    book = json.dumps({"accounts": [{"label": "主帳戶", "market": "binance"}]}, ensure_ascii=False)
    piped = SimpleNamespace(buffer=io.BytesIO(book.encode()))
    monkeypatch.setattr("sys.stdin", piped)

    said("-")

    assert ExchangeAccount.objects.get().label == "主帳戶"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "$: is no JSON: Expecting value: line 1 column 1 (char 0)"),
        (b"\xff", "$: is not UTF-8: byte 0 cannot be read"),
        (b'{"accounts": [{"label": "main"}]}', "$.accounts[0].market: is missing"),
    ],
)
def test_a_bad_book_is_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    file = tmp_path / "book.json"
    file.write_bytes(data)

    assert refusal(str(file)) == message


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "none.json"

    assert refusal(str(file)) == f"{file} cannot be read: No such file or directory."


def test_a_folder_is_no_book(tmp_path: Path) -> None:
    assert refusal(str(tmp_path)) == f"{tmp_path} cannot be read: Is a directory."


def test_a_name_that_no_file_can_have_is_one_line() -> None:
    assert refusal("a\0b").endswith("cannot be read: embedded null byte.")
