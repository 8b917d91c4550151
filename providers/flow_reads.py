"""Reading an account's flows: window by window, each whole by the market's own rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from providers.connection import Connection
from providers.corrections.flows import movement_row
from providers.errors import CapabilityMissing, NotServed, OperationalException, WriteRefused
from providers.flow_lists import FlowList, dialect_of, flow_lists, is_before
from providers.flows import flow_reports
from providers.mapping import Raw
from providers.paging import MAX_PAGES, Page, Params, cursor_in, nowhere, read_list, rows_of
from providers.readings import Reading
from providers.reports import FlowReport, FlowSource
from providers.windows import SECOND, milliseconds, whole_second, windows


@dataclass(slots=True)
class _Window:
    source: FlowSource
    since: datetime
    until: datetime
    rows: list[Raw] = field(default_factory=list)
    pages: int = 0
    why_incomplete: str = ""
    is_too_long: bool = False


@dataclass(slots=True)
class _Gathered:
    """What the windows brought so far.

    `until` is the end of the last window before which none lacks anything.
    """

    rows: dict[tuple[str, str], FlowReport] = field(default_factory=dict)
    pages: int = 0
    whys: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    until: datetime | None = None

    def reading(self, since: datetime, error: OperationalException | None = None) -> Reading:
        whys = [*dict.fromkeys(self.whys), *self.problems]
        if error is not None:
            whys.append(str(error))
        return Reading(
            tuple(self.rows.values()),
            self.pages,
            "; ".join(whys),
            tuple(self.problems),
            since=since if self.until else None,
            until=self.until,
            error=error,
        )


class FlowReads:
    """Reads deposits, withdrawals and ledgers of the spot wallet."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._market = connection.market
        self._dialect = dialect_of(connection.market)

    def sources(self, *, also_seldom: bool = False) -> tuple[FlowSource, ...]:
        """List the sources that the market has, which together tell every movement once; empty if it has none.

        Parameters
        ----------
        also_seldom : bool
            Whether those that seldom tell anything are wanted, too.
        """
        found = flow_lists(self._market)
        return tuple(source for source in found if also_seldom or not source.is_seldom)

    async def read(self, source: FlowSource, since: datetime, until: datetime) -> Reading:
        """Read every flow of the time from `since` to `until`, by the exchange's clock.

        Rows of another time may be among them. What breaks the read off after the first window is its `error`.

        Raises
        ------
        CapabilityMissing
            If the market, or this site of it, has no such list.
        OperationalException
            If the first window cannot be read.
        """
        lists = flow_lists(self._market).get(source, ())
        if not lists:
            raise self._missing(source)
        gathered = _Gathered()
        todo = [*windows(since, until, lists[0].window_seconds)][::-1]
        while todo:
            start, end = todo.pop()
            try:
                window = await self._window(lists, _Window(source, start, end))
            except OperationalException as e:
                if not gathered.pages:
                    raise
                return gathered.reading(since, e)
            if window.is_too_long and lists[0].until and end - start > 2 * SECOND:
                middle = whole_second(start + (end - start) / 2)
                todo += [(middle, end), (start, middle)]
                gathered.pages += window.pages
            else:
                self._add(gathered, window)
        return gathered.reading(since)

    def _add(self, gathered: _Gathered, window: _Window) -> None:
        is_whole = not window.why_incomplete
        reports = flow_reports(self._market.id, window.source, window.rows, is_whole=is_whole)
        # Rows at the border of two windows come with both.
        gathered.rows |= {(row.external_id, row.asset): row for row in reports.rows}
        gathered.pages += window.pages
        gathered.problems += reports.problems
        if not is_whole:
            gathered.whys.append(window.why_incomplete)
        if not gathered.whys and not gathered.problems:
            gathered.until = window.until

    async def _window(self, lists: Sequence[FlowList], window: _Window) -> _Window:
        for listed in lists:
            if listed.by_account:
                await self._read_by_account(listed, window)
            else:
                await self._read_pages(listed, window, {})
        return window

    async def _read_by_account(self, listed: FlowList, window: _Window) -> None:
        accounts = rows_of(await self._connection.read("fetch_accounts"))
        if cursor_in(Page(1, accounts, 0), "cursor"):
            window.why_incomplete = f"more than {len(accounts)} parts of the account are listed"
        for account in accounts:
            await self._read_pages(listed, window, {"account_id": account.get("id")})

    async def _read_pages(self, listed: FlowList, window: _Window, of_part: Params) -> None:
        params = {**listed.params(window.since, window.until), **of_part}

        async def fetch(_: int | None, __: int | None, turn: Params) -> Any:
            return await self._page(listed, window, {**params, **turn})

        found = await read_list(fetch, listed.paging(window.since))
        window.pages += len(found.pages)
        window.rows += [row for row in found.rows if not _is_too_old(listed, row, window.since)]
        window.why_incomplete = window.why_incomplete or found.why_incomplete
        has_no_more = len(found.pages) == MAX_PAGES or listed.next_page is nowhere
        window.is_too_long |= bool(found.why_incomplete) and has_no_more

    async def _page(self, listed: FlowList, window: _Window, params: Params) -> Any:
        asked: tuple[Any, ...] = (params,)
        if not listed.rows_at:
            since = milliseconds(window.since) if listed.takes_since else None
            asked = (None, since, None, params)
        try:
            answer = await self._connection.read(listed.method, *asked)
        except NotServed as e:
            raise self._missing(window.source, " at this site", e.kind) from None
        except WriteRefused as e:
            raise self._missing(window.source, " by a request that only reads", e.kind) from None
        if not listed.rows_at:
            return answer
        if listed.rows_at != ".":
            answer = answer.get(listed.rows_at) if isinstance(answer, Mapping) else None
        return [movement_row(self._dialect, window.source, row) for row in rows_of(answer)]

    def _missing(self, source: FlowSource, where: str = "", kind: str = "") -> CapabilityMissing:
        return CapabilityMissing(
            f"Market service {self._market.id} does not support functionality get_{source}{where}",
            kind=kind,
        )


def _is_too_old(listed: FlowList, row: Raw, since: datetime) -> bool:
    return listed.knows_no_time and is_before(row, since)
