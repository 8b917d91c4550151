"""What markets answer where they are asked for flows, as documented, and the reports that have to come of it.

Each `payloads/flows/<market>.json` is written by hand, as in `market_payloads`. Beside every raw row of ``deposits``,
``withdrawals``, ``ledger`` and so on is its report with what is unknown left out, or null if it is none of ours.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

from providers import catalogue
from providers.budgets import Pacing
from providers.ccxt_client import HardenedExchange, make_exchange
from providers.connection import Connector, Memory
from providers.corrections.flows import movement_row
from providers.credentials import Credentials
from providers.flow_lists import flow_lists
from providers.flow_reads import FlowReads
from providers.flows import flow_reports
from providers.mapping import Reports
from providers.readings import Reading
from providers.reports import FeeReport, FlowKind, FlowReport, FlowSource, FlowStatus
from providers.symbols import Site, Symbols
from tests.providers.accounts import AT_ONCE, make_request
from tests.providers.stub_exchange import Answer, Route, StubExchange

FOLDER: Final = Path(__file__).with_name("payloads") / "flows"
MARKETS: Final = tuple(sorted(path.stem for path in FOLDER.glob("*.json")))

Document = dict[str, Any]
T = TypeVar("T")

# Marks a number without quotes, so that each of its digits is sent.
_BARE: Final = "bare number "


class FlowPayloads:
    def __init__(self, market: str, text: str) -> None:
        self.market = market
        self._told: Document = HardenedExchange.on_json_response(text)
        self._sent: Document = json.loads(text, parse_float=lambda digits: f"{_BARE}{digits}")

    @property
    def sources(self) -> tuple[FlowSource, ...]:
        return tuple(source for source in FlowSource if source in self._told)

    @property
    def since(self) -> datetime:
        return datetime.fromisoformat(self._told["since"])

    @property
    def until(self) -> datetime:
        return datetime.fromisoformat(self._told["until"])

    def cases(self, source: FlowSource) -> list[Document]:
        """Tell raw rows, as ccxt's parser gets them, and their reports."""
        return [{**case, "raw": _row(case)} for case in self._told[source]]

    def expected(self, source: FlowSource) -> list[FlowReport]:
        reports = (case["report"] for case in self._told[source])
        return [_expected(source, report) for report in reports if report is not None]

    @cached_property
    def _exchange(self) -> HardenedExchange:
        return self.exchange()

    def exchange(self) -> HardenedExchange:
        """Make the market's real class, which knows the assets of the payloads."""
        exchange = make_exchange(catalogue.market(self.market), None, Credentials())
        ids = self._told.get("ids", {})
        currencies = {code: {"id": id_, "code": code} for id_, code in ids.items()}
        exchange.set_markets([], currencies)
        exchange.options.update(self._told.get("options", {}))
        return exchange

    def told(self, source: FlowSource, raw: Any) -> Reports[FlowReport]:
        """Tell one raw row of a list that ccxt's own class parses."""
        exchange = self._exchange
        (listed, *_) = flow_lists(catalogue.market(self.market))[source]
        if listed.rows_at:
            rows = [movement_row(self.market, source, raw)]
        elif source is FlowSource.LEDGER:
            rows = exchange.parse_ledger([raw])
        else:
            kind = {} if "type" in raw else {"type": source.value.removesuffix("s")}
            rows = exchange.parse_transactions([{**raw, **kind}])
        return flow_reports(self.market, source, rows)

    def read(self, source: FlowSource) -> Reading:
        with StubExchange(self._routes()) as stub:
            return run_reads(
                stub.url,
                self.market,
                lambda reads: reads.read(source, self.since, self.until),
                holder=self.exchange(),
                credentials=Credentials(
                    self._told.get("credentials", {"apiKey": "k", "secret": "c2VjcmV0"})
                ),
            )

    def _routes(self) -> dict[str, Route]:
        return {
            path: Answer(self._text(answer).encode())
            for path, answer in self._sent["routes"].items()
        }

    def _text(self, answer: Any) -> str:
        text = json.dumps(answer)
        for source in self.sources:
            cases = self._sent[source]
            keyed: Any = {case["key"]: case["raw"] for case in cases if "key" in case}
            rows = keyed or [case["raw"] for case in cases]
            text = text.replace(f'"${source}"', json.dumps(rows))
        return re.sub(f'"{_BARE}([^"]*)"', r"\1", text)


@cache
def flow_payloads(market: str) -> FlowPayloads:
    return FlowPayloads(market, (FOLDER / f"{market}.json").read_text(encoding="utf-8"))


def run_reads(
    url: str,
    market: str,
    use: Callable[[FlowReads], Awaitable[T]],
    *,
    holder: HardenedExchange | None = None,
    credentials: Credentials | None = None,
) -> T:
    """Read flows of `market` at `url`; the symbols are those of `holder`, or are read from there."""

    async def main() -> T:
        site = Site(catalogue.market(market), sandbox=False, endpoint=url)
        memory = Memory(None)
        if holder is not None:
            memory.symbols.keep(site, Symbols(holder, holder.options, time.time()))
        connector = Connector(memory, AT_ONCE, Pacing())
        request = make_request(url, market=market)
        if credentials is not None:
            request = make_request(url, market=market, credentials=credentials)
        connection = connector.connect(site, request)
        try:
            await connection.learn_symbols()
            return await use(FlowReads(connection))
        finally:
            await connection.close()
            await connector.close()

    return asyncio.run(main())


def _expected(source: FlowSource, report: Document) -> FlowReport:
    return FlowReport(
        source=source,
        external_id=report["external_id"],
        kind=FlowKind(report["kind"]),
        asset=report["asset"],
        amount=Decimal(report["amount"]),
        status=FlowStatus(status) if (status := report.get("status", "done")) else None,
        fees=tuple(FeeReport(asset, Decimal(amount)) for asset, amount in report.get("fees", ())),
        raw_kind=report["raw_kind"],
        raw_status=report.get("raw_status", ""),
        occurred_at=_moment(report, "occurred_at"),
        settled_at=_moment(report, "settled_at"),
    )


def _row(case: Document) -> Any:
    return {**case["raw"], "id": case["key"]} if "key" in case else case["raw"]


def _moment(report: Document, name: str) -> datetime | None:
    return datetime.fromisoformat(report[name]) if name in report else None
