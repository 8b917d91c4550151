"""From ccxt's rows of deposits, withdrawals and ledgers to reports of flows; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final

from providers.corrections.flows import (
    CHANGE_CONTAINS_FEE,
    is_of_spot_wallet,
    ledger_fee,
    movement_word,
    signed_change,
)
from providers.corrections.rows import text
from providers.errors import UnexpectedReport
from providers.flow_kinds import is_of_trade, is_without_word, ledger_kind
from providers.mapping import (
    EXACT,
    MAX_ID,
    MAX_SYMBOL,
    Raw,
    Reports,
    content_id,
    exact,
    fee_sums,
    has_made_id,
    identifier,
    lower_word,
    numbered,
    refuse_emptied,
    refuse_unreadable,
    reports_of,
    shown,
    time_of,
)
from providers.reports import FeeReport, FlowKind, FlowReport, FlowSource, FlowStatus

_STATUSES: Final[Mapping[str, FlowStatus]] = {
    "pending": FlowStatus.PENDING,
    "processing": FlowStatus.PENDING,
    "ok": FlowStatus.DONE,
    "failed": FlowStatus.FAILED,
    "fail": FlowStatus.FAILED,
    "canceled": FlowStatus.FAILED,
    "cancelled": FlowStatus.FAILED,
    "rejected": FlowStatus.FAILED,
}
# Words that ccxt passes on as they are.
_STATUSES_OF_MARKETS: Final[Mapping[tuple[str, FlowSource], Mapping[str, FlowStatus]]] = {
    ("binance", FlowSource.DEPOSITS): {
        "2": FlowStatus.FAILED,  # rejected
        "7": FlowStatus.FAILED,  # wrong deposit
        "8": FlowStatus.PENDING,  # waits for its owner
    },
    ("coinbase", FlowSource.LEDGER): {
        "expired": FlowStatus.FAILED,
        "waiting_for_clearing": FlowStatus.PENDING,
        "waiting_for_signature": FlowStatus.PENDING,
    },
}
_OF_TRANSACTIONS: Final = (FlowSource.DEPOSITS, FlowSource.WITHDRAWALS)
# Lists of one kind.
_KINDS: Final = {
    FlowSource.REWARDS: FlowKind.REWARD,
    FlowSource.TRANSFERS: FlowKind.TRANSFER,
}
_TAKEN_FOR: Final = frozenset({"deposit", "withdrawal"})
# What exchanges call the time at which a movement was done; an update may come later.
_DONE_AT: Final = ("completeTime", "successTime", "successAt", "completedAt", "completed_at")


def flow_reports(
    market: str, source: FlowSource, raws: Iterable[Raw], *, is_whole: bool = True
) -> Reports[FlowReport]:
    """Tell the movements of the spot wallet among `raws`, which are ccxt's rows of one read.

    Parameters
    ----------
    is_whole : bool
        Whether `raws` is all that there is of its time. If not, rows without an id are left out: how many are equal
        cannot be told.
    """
    told = (raw for raw in raws if _is_told(market, source, raw))
    reports = reports_of(told, partial(_flow_report, market, source))
    rows = numbered(row for row in reports.rows if is_whole or not has_made_id(row.external_id))
    return replace(reports, rows=rows)


def _is_told(market: str, source: FlowSource, raw: Raw) -> bool:
    info = _info(raw)
    if source is FlowSource.LEDGER and is_of_trade(market, info):
        return False
    return is_of_spot_wallet(market, info)


def _flow_report(market: str, source: FlowSource, raw: Raw) -> FlowReport:
    refuse_unreadable(raw)
    refuse_emptied(raw)
    report = _transaction_report if source in _OF_TRANSACTIONS else _ledger_report
    flow = report(market, source, raw)
    if flow.external_id:
        return flow
    return replace(flow, external_id=_made_id(flow, raw))


def _transaction_report(market: str, source: FlowSource, raw: Raw) -> FlowReport:
    """Tell a row of the list of deposits or withdrawals: whose list it is says which way it went."""
    is_out = source is FlowSource.WITHDRAWALS
    amount = exact(raw.get("amount"))
    if amount is None or (amount < 0 and not is_out):
        raise UnexpectedReport(f"amount: expected a number that is not negative, was {amount}")
    kind = FlowKind.WITHDRAWAL if is_out else FlowKind.DEPOSIT
    if raw.get("type") in _TAKEN_FOR - {kind.value}:
        # Some of ccxt's parsers read amount and status by what they take the row for.
        raise UnexpectedReport(f"expected a {kind.value}, was taken for a {raw['type']}")
    status = _status(market, source, raw)
    return FlowReport(
        source=source,
        external_id=_id(raw),
        kind=kind,
        asset=identifier(raw.get("currency"), "currency", MAX_SYMBOL),
        amount=amount.copy_abs().copy_negate() if is_out and amount else amount,
        status=status,
        # A minus before it means that it was charged: nobody is paid for a withdrawal.
        fees=tuple(replace(fee, amount=fee.amount.copy_abs()) for fee in _fees(raw.get("fee"))),
        raw_kind=shown(raw.get("type")) or kind.value,
        raw_status=shown(raw.get("status")),
        occurred_at=time_of(raw.get("timestamp"), raw.get("datetime")),
        settled_at=_done_at(_info(raw)) if status is FlowStatus.DONE else None,
    )


def _ledger_report(market: str, source: FlowSource, raw: Raw) -> FlowReport:
    """Tell a row of a ledger, or of a list of one kind, which is written when a balance changes."""
    info = _info(raw)
    if source is FlowSource.LEDGER and is_without_word(market, info):
        raise UnexpectedReport("expected a word for what was moved")
    change = signed_change(market, info, raw)
    if change is None:
        raise UnexpectedReport("expected an amount and which way it went")
    asset = identifier(raw.get("currency"), "currency", MAX_SYMBOL)
    fees = _fees(ledger_fee(market, info, raw))
    status = _status(market, source, raw) if raw.get("status") else FlowStatus.DONE
    occurred_at = time_of(raw.get("timestamp"), raw.get("datetime"))
    return FlowReport(
        source=source,
        external_id=_id(raw),
        kind=_KINDS.get(source) or ledger_kind(market, info, is_out=change < 0),
        asset=asset,
        amount=_without_fees(change, asset, fees) if market in CHANGE_CONTAINS_FEE else change,
        status=status,
        fees=fees,
        raw_kind=shown(raw.get("type") if source in _KINDS else movement_word(info)),
        raw_status=shown(raw.get("status")),
        occurred_at=occurred_at,
        settled_at=occurred_at if status is FlowStatus.DONE else None,
    )


def _without_fees(change: Decimal, asset: str, fees: Iterable[FeeReport]) -> Decimal:
    for fee in fees:
        if fee.asset == asset:
            change = EXACT.add(change, fee.amount)
    return exact(change) or Decimal(0)


def _fees(fee: Any) -> tuple[FeeReport, ...]:
    sums = fee_sums([fee]) if isinstance(fee, Mapping) else {}
    return tuple(FeeReport(asset, amount) for asset, amount in sums.items() if amount)


def _status(market: str, source: FlowSource, raw: Raw) -> FlowStatus | None:
    word = lower_word(raw.get("status"))
    of_market = _STATUSES_OF_MARKETS.get((market, source), {})
    return of_market.get(word) or _STATUSES.get(word)


def _done_at(info: Raw) -> datetime | None:
    told = next((value for name in _DONE_AT if (value := text(info, name))), "")
    return time_of(told, None) if told.isdigit() else time_of(None, told)


def _id(raw: Raw) -> str:
    given = raw.get("id")
    return "" if given in (None, "") else identifier(given, "id", MAX_ID)


def _made_id(flow: FlowReport, raw: Raw) -> str:
    """Make an id of what never changes about a movement: a transfer on a chain keeps its hash, whatever its time."""
    place = raw.get("txid") or (flow.occurred_at and flow.occurred_at.isoformat())
    return content_id(
        flow.raw_kind, flow.asset, flow.amount, place, raw.get("address"), raw.get("tag")
    )


def _info(raw: Raw) -> Raw:
    info = raw.get("info")
    return info if isinstance(info, Mapping) else {}
