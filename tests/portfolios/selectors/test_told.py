from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import translation

from portfolios.selectors.told import told

ROOT = Path(__file__).resolve().parents[3]
# Where sentences are written that are stored: why something differs, was not read, or is not proved.
STORED = ("cause", "why_incomplete")


@pytest.fixture
def chinese() -> Iterator[None]:
    with translation.override("zh-hans"):
        yield


def test_in_the_language_that_is_stored_a_text_stays_as_it_is() -> None:
    assert told("used not reported") == "used not reported"


@pytest.mark.usefixtures("chinese")
@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ("", ""),
        ("used not reported", "未报告冻结"),
        ("is order 42 of the exchange", "就是交易所的订单 42"),
        ("deposit on its way", "充值在途中"),
        ("binance did not answer in time.", "binance 没有及时应答。"),
        (
            "not believed: no order is listed, 7 were open",
            "未予采信: 没有列出任何订单，之前有 7 个挂单",
        ),
        ("BTC Provisional, ETH Not verifiable", "BTC 暂定, ETH 无法核实"),
        ("open_orders BTC/USDT (and 2 more): broken off", "挂单 BTC/USDT（另有 2 个）: 中途中断"),
    ],
)
def test_a_stored_sentence_is_said_in_the_readers_language(stored: str, said: str) -> None:
    assert told(stored) == said


@pytest.mark.usefixtures("chinese")
@pytest.mark.parametrize(
    "words", ["binance: Timestamp for this request is outside of the recvWindow.", "Error 42; try"]
)
def test_an_exchanges_own_words_stay_as_they_are(words: str) -> None:
    assert told(words) == words


@pytest.mark.usefixtures("chinese")
def test_every_sentence_that_the_code_stores_is_known() -> None:
    written = dict(_written())

    assert len(written) > 10
    assert {text: where for text, where in written.items() if told(text) == text} == {}


def _written() -> Iterator[tuple[str, str]]:
    """Give the sentences of the code that are stored, a number in the place of each name."""
    for room in ("portfolios/services", "portfolios/reconciliation", "providers"):
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.keyword) and node.arg in STORED:
                    text = _text(node.value)
                    if len(re.findall("[a-z]{2,}", text)) > 2:
                        yield text, path.name


def _text(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(part) or "7" for part in parts)
        case ast.Call(args=[ast.Constant(value=str(text))]):
            return text
    return ""
