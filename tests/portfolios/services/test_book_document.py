from __future__ import annotations

import pytest

from portfolios.services.book import BookError, read_document


def refusal(data: bytes) -> str:
    with pytest.raises(BookError) as refused:
        read_document(data)
    return str(refused.value)


def test_it_reads_json() -> None:
    assert read_document(b'{"accounts": [{"interval_seconds": 60}]}') == {
        "accounts": [{"interval_seconds": 60}]
    }


def test_it_reads_a_text_that_begins_with_a_byte_order_mark() -> None:
    assert read_document(b"\xef\xbb\xbf{}") == {}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "$: is no JSON: Expecting value: line 1 column 1 (char 0)"),
        (b"{", "$: is no JSON: "),
        (b'{"accounts": []} x', "$: is no JSON: Extra data"),
        (b"\xff\xfe{", "$: is not UTF-8: byte 0 cannot be read"),
        (b"[" * 100_000, "$: is nested too deeply"),
        (b'{"a":' * 100_000, "$: is nested too deeply"),
        (b'{"positions": [{"amount": NaN}]}', "$: holds NaN, which is no JSON"),
        (b'{"positions": [{"amount": -Infinity}]}', "$: holds -Infinity, which is no JSON"),
        (b'{"interval_seconds": ' + b"9" * 5000 + b"}", "$: holds a number that is too long"),
        (b'{"a": 1, "a": 2}', "$: an object has the field 'a' twice"),
    ],
)
def test_it_says_in_one_line_why_it_cannot_be_read(data: bytes, message: str) -> None:
    said = refusal(data)

    assert said.startswith(message)
    assert "\n" not in said


def test_a_fraction_is_shown_by_the_digits_that_were_written() -> None:
    document = read_document(b'{"amount": 0.1000000000000000055511151231257827}')

    assert repr(document["amount"]) == "0.1000000000000000055511151231257827"
