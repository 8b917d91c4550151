"""What two dozen markets answer, as documented, and the reports that have to come of it.

Each `payloads/<market>.json` is written by hand: `routes` are whole answers, in which ``"$open"`` and ``"$fills"``
stand for the raw rows of those names; beside every raw row is its report, with what is unknown left out.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from providers import catalogue
from providers.ccxt_client import HardenedExchange, make_exchange
from providers.credentials import Credentials
from providers.reports import (
    BalanceReport,
    FeeReport,
    FillReport,
    OrderReport,
    OrderSide,
    OrderStatus,
    OrderType,
    Snapshot,
)
from providers.symbols import Site, Symbols
from tests.providers.accounts import fetch, make_known, make_provider, make_request
from tests.providers.stub_exchange import Answer, Received, Route, StubExchange

FOLDER = Path(__file__).with_name("payloads")
MARKETS = tuple(sorted(path.stem for path in FOLDER.glob("*.json")))

Document = dict[str, Any]

# Marks a number without quotes, so that each of its digits is sent.
_BARE = "bare number "


@dataclass(frozen=True)
class Case:
    """A raw row as ccxt's parser gets it, and the report that has to come of it."""

    raw: Any
    report: Document

    @property
    def id(self) -> str:
        return str(self.report["external_id"])


class Payloads:
    def __init__(self, market: str, text: str) -> None:
        self.market = market
        self._told: Document = HardenedExchange.on_json_response(text)
        self._sent: Document = json.loads(text, parse_float=lambda digits: f"{_BARE}{digits}")

    @property
    def credentials(self) -> Credentials:
        return Credentials(self._told.get("credentials", {"apiKey": "k", "secret": "c2VjcmV0"}))

    @property
    def open(self) -> list[Case]:
        return self._cases("open")

    @property
    def ended(self) -> list[Case]:
        return self._cases("ended")

    @property
    def orders(self) -> list[Case]:
        return self.open + self.ended

    @property
    def fills(self) -> list[Case]:
        return self._cases("fills")

    @property
    def balances(self) -> dict[str, BalanceReport]:
        return {
            asset: BalanceReport(
                asset, _amount(row, "free"), _amount(row, "used"), _amount(row, "total")
            )
            for asset, row in self._told["balances"].items()
        }

    def snapshot(self) -> Snapshot:
        """Read the account over HTTP; it is known of each order that has fills."""
        known = {case.report["order_external_id"]: case.report["symbol"] for case in self.fills}
        with StubExchange(self._routes()) as stub:
            provider = make_provider()
            site = Site(catalogue.market(self.market), sandbox=False, endpoint=stub.url)
            holder = self.exchange()
            symbols = Symbols(holder, self._told.get("options", {}), time.time())
            provider._memory.symbols.keep(site, symbols)
            request = make_request(
                stub.url,
                market=self.market,
                credentials=self.credentials,
                known_orders=tuple(make_known(id_, symbol) for id_, symbol in known.items()),
                symbols=(self._told["symbols"][0][1],),
            )
            return fetch(provider, request)

    @property
    def routes(self) -> Document:
        return dict(self._told["routes"])

    @property
    def balance_answer(self) -> tuple[str, Any]:
        """Find the path of the answer that tells balances, and the answer."""
        answers = {path: answer for path, answer in self.routes.items() if "$" not in str(answer)}
        return next(reversed(answers.items())) if answers else next(iter(self.routes.items()))

    def exchange(self, *, with_keys: bool = False) -> HardenedExchange:
        """Make the market's real class, which knows the symbols of the payloads."""
        credentials = self.credentials if with_keys else Credentials()
        exchange = make_exchange(catalogue.market(self.market), None, credentials)
        ids = {code: id_ for id_, code in self._told.get("ids", {}).items()}
        symbols = [_symbol(exchange, ids, *row) for row in self._told["symbols"]]
        exchange.set_markets(symbols, self._currencies(symbols))
        exchange.options.update(self._told.get("options", {}))
        if self.market == "kraken":
            exchange.options["marketsByAltname"] = exchange.index_by(symbols, "altname")
        return exchange

    def _currencies(self, symbols: list[Document]) -> Document:
        codes = {code: code for row in symbols for code in (row["base"], row["quote"])}
        return {
            code: {"id": id_, "code": code, "precision": None, "valueScale": 8}
            for id_, code in {**codes, **self._told.get("ids", {})}.items()
        }

    def _cases(self, name: str) -> list[Case]:
        return [Case(_row(case), case["report"]) for case in self._told[name]]

    def _routes(self) -> dict[str, Route]:
        return {path: self._route(answer) for path, answer in self._sent["routes"].items()}

    def _route(self, document: Any) -> Route:
        if isinstance(document, dict) and "by" in document:
            answers = {key: self._answer(value) for key, value in document.items()}

            def by_type(received: Received) -> Answer:
                return answers[json.loads(received.body)[document["by"]]]

            return by_type
        return self._answer(document)

    def _answer(self, document: Any) -> Answer:
        text = json.dumps(document)
        for name in ("open", "fills"):
            text = text.replace(f'"${name}"', json.dumps(self._rows(name)))
        return Answer(re.sub(f'"{_BARE}([^"]*)"', r"\1", text).encode())

    def _rows(self, name: str) -> Any:
        cases = self._sent[name]
        by_key = {case["key"]: case["raw"] for case in cases if "key" in case}
        return by_key or [case["raw"] for case in cases]


@cache
def payloads(market: str) -> Payloads:
    return Payloads(market, (FOLDER / f"{market}.json").read_text(encoding="utf-8"))


def expected_order(report: Document) -> OrderReport:
    """Tell the report of which `report` leaves out what is unknown."""
    return OrderReport(
        external_id=report["external_id"],
        symbol=report["symbol"],
        side=OrderSide(report["side"]) if "side" in report else None,
        type=OrderType(report["type"]) if "type" in report else None,
        status=OrderStatus(report["status"]) if "status" in report else None,
        amount=_amount(report, "amount"),
        filled=_amount(report, "filled"),
        remaining=_amount(report, "remaining"),
        price=_amount(report, "price"),
        average=_amount(report, "average"),
        cost=_amount(report, "cost"),
        fees=_fees(report),
        client_order_id=report.get("client_order_id", ""),
        created_at=_moment(report, "created_at"),
        updated_at=_moment(report, "updated_at"),
    )


def expected_fill(report: Document) -> FillReport:
    return FillReport(
        external_id=report["external_id"],
        order_external_id=report["order_external_id"],
        symbol=report["symbol"],
        side=OrderSide(report["side"]),
        price=Decimal(report["price"]),
        amount=Decimal(report["amount"]),
        cost=Decimal(report["cost"]),
        fees=_fees(report),
        executed_at=_moment(report, "executed_at"),
    )


def _row(case: Document) -> Any:
    """Put a row as ccxt does before it parses it: with the key that it had, or in an object."""
    raw = case["raw"]
    if isinstance(raw, list):
        return {"result": raw}
    return {**raw, "id": case["key"]} if "key" in case else raw


def _symbol(
    exchange: HardenedExchange,
    ids: Document,
    id_: str,
    symbol: str,
    info: Document | None = None,
    extra: Document | None = None,
) -> Document:
    base, quote = symbol.split("/")
    facts = {
        "id": id_,
        "symbol": symbol,
        "base": base,
        "quote": quote,
        "type": "spot",
        "baseId": ids.get(base, base),
        "quoteId": ids.get(quote, quote),
        "info": info or {},
        **dict.fromkeys(("margin", "swap", "future", "option", "contract"), False),
        "spot": True,
        "active": True,
        **(extra or {}),
        **(info or {}),
    }
    told: Document = exchange.safe_market_structure(facts)
    return told


def _amount(report: Document, name: str) -> Decimal | None:
    return Decimal(report[name]) if name in report else None


def _fees(report: Document) -> tuple[FeeReport, ...]:
    return tuple(FeeReport(asset, Decimal(amount)) for asset, amount in report.get("fees", ()))


def _moment(report: Document, name: str) -> datetime | None:
    return datetime.fromisoformat(report[name]) if name in report else None
