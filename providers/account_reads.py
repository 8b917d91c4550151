"""What can be read of an account: lists of orders, single orders, balances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from providers.connection import Connection
from providers.errors import (
    CapabilityMissing,
    OrderUnknown,
    UnexpectedReport,
)
from providers.mapping import (
    Raw,
    Refused,
    Reports,
    balance_reports,
    most_advanced,
    order_report,
    order_told,
    sorted_out,
)
from providers.market_options import BALANCE_PARAMS, BY_CLIENT_ID, TRIGGER_LISTS
from providers.order_search import OrderSearch, asked_for, name_of
from providers.paging import (
    Listed,
    Paging,
    Params,
    open_orders_paging,
    read_list,
    trigger_orders_paging,
)
from providers.readings import Reading
from providers.reports import SPOT, KnownOrder, OrderReport
from providers.shapes import BARE_LIST_OF_BALANCES

_TRIGGER: Params = {"trigger": True}


class AccountReads:
    def __init__(self, connection: Connection, search: OrderSearch | None = None) -> None:
        self._connection = connection
        self._market = connection.market
        self._search = search or OrderSearch(connection)

    async def open_orders(self, symbol: str = "") -> Reading:
        """Read all open orders, or those of `symbol`."""
        return await self._listed_orders(symbol, open_orders_paging(self._market), ({},))

    async def trigger_orders(self, symbol: str = "") -> Reading:
        """Read the orders that wait for a price, where they are a list of their own."""
        kinds = TRIGGER_LISTS.get(self._market.id, ({},))
        lists = [{**_TRIGGER, **kind} for kind in kinds]
        return await self._listed_orders(symbol, trigger_orders_paging(self._market), lists)

    def can_ask_for(self, known: KnownOrder) -> bool:
        """Whether the order has an id, or a client id by which its market can be asked."""
        return bool(known.external_id) or self._search.way_to(known) is not None

    async def order(self, known: KnownOrder) -> OrderReport:
        """Read one order by its id or, if it has none yet, by its client id.

        Raises
        ------
        OrderUnknown
            If the exchange says that it has none of that id.
        """
        try:
            report = await self._order(known)
        except OrderUnknown as e:
            raise OrderUnknown(
                f"External order not found for order {name_of(known)} at market "
                f"{self._market.id}. It stays as it is in the books.",
                kind=e.kind,
            ) from None
        except UnexpectedReport as e:
            message = f"{self._market.id}: order {name_of(known)}: {e}"
            raise UnexpectedReport(message, kind=e.kind) from None
        return self._checked(report, known)

    async def balances(self, wallet: str = SPOT) -> Reading:
        """Read every asset of a wallet."""
        self._connection.require("fetchBalance", "get_balance")
        params = dict(BALANCE_PARAMS.get(self._market.id, {}))
        if wallet != SPOT:
            params["type"] = wallet
        raw = await self._connection.read("fetch_balance", params)
        if not isinstance(raw, Mapping) or self._is_suspect(raw):
            raise UnexpectedReport(
                f"{self._market.id} answered with nothing where balances are documented."
            )
        reports = balance_reports(raw, wallet)
        return Reading(reports.rows, 1, "; ".join(reports.problems), reports.problems)

    def _is_suspect(self, raw: Raw) -> bool:
        return not raw.get("info", True) and self._market.id not in BARE_LIST_OF_BALANCES

    async def _listed_orders(self, symbol: str, paging: Paging, lists: Sequence[Params]) -> Reading:
        self._connection.require("fetchOpenOrders", "get_open_orders")
        symbols: set[str | None] = set()
        found = await self._read_lists(symbol, paging, lists, symbols)
        if await self._connection.learns_new_symbols(symbols):
            found = await self._read_lists(symbol, paging, lists, symbols)
        return _reading(found, sorted_out(found.copies))

    async def _read_lists(
        self, symbol: str, paging: Paging, lists: Sequence[Params], symbols: set[str | None]
    ) -> Listed:
        """Read all pages of all lists; adds to `symbols` what they name."""
        read = self._connection.read
        parts: list[Listed] = []

        def keep(row: Raw) -> OrderReport | Refused:
            symbols.add(row.get("symbol"))
            return order_told(row)

        for own in lists:

            async def fetch(
                _: int | None, limit: int | None, params: Params, own: Params = own
            ) -> Any:
                sent = {**own, **params}
                return await read("fetch_open_orders", symbol or None, None, limit, sent)

            parts.append(await read_list(fetch, paging, keep=keep))
        pages = tuple(page for part in parts for page in part.pages)
        return Listed(pages, "; ".join(filter(None, (part.why_incomplete for part in parts))))

    async def _order(self, known: KnownOrder) -> OrderReport:
        if not known.external_id:
            raw = await self._search.by_client_id(known)
        elif self._market.capabilities["fetchOrder"]:
            raw = await self._raw_order(known)
        else:
            return await self._order_from_lists(known)
        return order_report(asked_for(raw, known))

    async def _raw_order(self, known: KnownOrder) -> Any:
        read, market, symbol = self._connection.read, self._market, known.symbol or None
        if known.is_trigger and market.has_trigger_orders_apart and market.reads_trigger_order:
            try:
                return await read("fetch_order", known.external_id, symbol, dict(_TRIGGER))
            except OrderUnknown:  # once its price was reached it is an order like any other
                pass
        return await read("fetch_order", known.external_id, symbol)

    async def _order_from_lists(self, known: KnownOrder) -> OrderReport:
        if not self._search.has_lists:
            self._connection.require("fetchOrder", "get_order")
        reading = await self._search.find(known)
        for row in reading.rows:
            if isinstance(row, OrderReport):
                return row
        if not reading.why_incomplete:
            raise OrderUnknown("No list of the exchange has it.")
        raise CapabilityMissing(
            f"Market service {self._market.id} does not support functionality get_order, and "
            f"order {known.external_id} is not among the latest that it lists."
        )

    def _checked(self, report: OrderReport, known: KnownOrder) -> OrderReport:
        """Refuse another order than the one that was asked for."""
        asked, told = known.external_id, report.external_id
        if not asked:
            way = BY_CLIENT_ID[self._market.id]
            asked, told = known.client_order_id, report.client_order_id
            if told == way.prefix + asked:
                told = asked
            report = replace(report, client_order_id=told)
        if asked != told:
            raise UnexpectedReport(
                f"{self._market.id} was asked for order {name_of(known)} and answered with "
                f"{told or report.external_id}."
            )
        return report


def _reading(found: Listed, reports: Reports[OrderReport]) -> Reading:
    return Reading(
        most_advanced(reports.rows),
        len(found.pages),
        "; ".join(filter(None, (found.why_incomplete, *reports.problems))),
        reports.problems,
        None if found.why_incomplete else reports.hidden_ids,
    )
