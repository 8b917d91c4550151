"""Orders that wait for a price, at a market that lists them apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from providers.reports import Depth, KnownOrder, Leg, LegKind, LegStatus, OrderReport, Snapshot
from tests.providers.accounts import (
    fetch,
    leg_of,
    legs_of,
    make_known,
    make_provider,
    make_request,
)
from tests.providers.stub_exchange import (
    OKX,
    Answer,
    Received,
    Route,
    StubExchange,
    json_answer,
    okx_order,
)
from tests.providers.test_other_markets import CREDENTIALS

LIST = "/api/v5/trade/orders-algo-pending"
ONE = "/api/v5/trade/order-algo"
PLAIN = "/api/v5/trade/order"
UNKNOWN = json_answer({"code": "51603", "msg": "Order does not exist", "data": []})


def algo(number: int, **changes: str) -> dict[str, str]:
    row = okx_order(number, ordType="trigger", triggerPx="60000", ordPx="60001", **changes)
    return {**row, "algoId": row["ordId"], "ordId": "", "actualSz": ""}


def listing(*numbers: int, kind: str = "trigger") -> Route:
    """List trigger orders of one kind, newest first."""

    def page(received: Received) -> Answer:
        before = int(received.query.get("after", 10**9))
        told = numbers if received.query["ordType"] == kind else ()
        rows = (algo(number) for number in sorted(told, reverse=True))
        found = [row for row in rows if int(row["algoId"]) < before][:100]
        return json_answer({"code": "0", "data": found})

    return page


def trigger(number: int, **facts: Any) -> KnownOrder:
    made = datetime.now(UTC) - timedelta(hours=1)
    facts = {"is_trigger": True, "created_at": made, **facts}
    return make_known(10_000 + number, **facts)


def sync(routes: dict[str, Route], *orders: KnownOrder, **facts: Any) -> tuple[Snapshot, list[str]]:
    with StubExchange({**OKX, ONE: UNKNOWN, PLAIN: UNKNOWN, **routes}) as stub:
        request = make_request(
            stub.url,
            **{
                "market": "okx",
                "credentials": CREDENTIALS["okx"],
                "known_orders": orders,
                **facts,
            },
        )
        return fetch(make_provider(), request), stub.paths()


def ids(leg: Leg) -> list[str]:
    return [row.external_id for row in leg.rows if isinstance(row, OrderReport)]


def test_a_trigger_order_of_the_books_has_the_list_of_them_read() -> None:
    snapshot, paths = sync({LIST: listing(1)}, trigger(1))

    assert ids(leg_of(snapshot, LegKind.TRIGGER_ORDERS)) == ["10001"]
    assert not legs_of(snapshot, LegKind.ORDER)
    assert ONE not in paths
    assert PLAIN not in paths


def test_without_a_trigger_order_a_cheap_look_leaves_the_list_alone() -> None:
    assert LIST not in sync({LIST: listing(1)})[1]


def test_a_full_look_reads_the_list() -> None:
    snapshot, _ = sync({LIST: listing(1)}, depth=Depth.FULL)

    assert ids(leg_of(snapshot, LegKind.TRIGGER_ORDERS)) == ["10001"]


def test_a_trigger_order_in_neither_list_is_asked_for_both_ways() -> None:
    answer = json_answer({"code": "0", "data": [okx_order(1, state="filled", accFillSz="0.01")]})

    snapshot, paths = sync({LIST: listing(), PLAIN: answer}, trigger(1))

    assert ids(leg_of(snapshot, LegKind.ORDER)) == ["10001"]
    assert [path for path in paths if path in (ONE, PLAIN)] == [ONE, PLAIN]


@pytest.mark.parametrize(
    "failed", [Answer(b"down", 503), json_answer({"code": "0", "data": None}), Answer(b"")]
)
def test_without_the_list_no_trigger_order_is_asked_for(failed: Answer) -> None:
    snapshot, paths = sync({LIST: failed}, trigger(1))

    assert leg_of(snapshot, LegKind.TRIGGER_ORDERS).status is LegStatus.FAILED
    assert not legs_of(snapshot, LegKind.ORDER)
    assert not legs_of(snapshot, LegKind.ENDED_ORDERS)
    assert ONE not in paths


def test_a_full_page_of_trigger_orders_is_followed_by_the_next() -> None:
    leg = leg_of(sync({LIST: listing(*range(120))}, trigger(1))[0], LegKind.TRIGGER_ORDERS)

    assert (len(leg.rows), leg.complete, leg.pages) == (120, True, 3)


def test_a_stop_order_of_okx_is_listed_apart_from_its_triggers() -> None:
    snapshot, _ = sync({LIST: listing(1, kind="conditional,oco")}, trigger(1))

    assert ids(leg_of(snapshot, LegKind.TRIGGER_ORDERS)) == ["10001"]
    assert not legs_of(snapshot, LegKind.ORDER)


def test_an_order_that_is_listed_as_a_trigger_is_open_whatever_the_books_call_it() -> None:
    snapshot, _ = sync({LIST: listing(1)}, trigger(1, is_trigger=False), depth=Depth.FULL)

    assert not legs_of(snapshot, LegKind.ORDER)


def test_the_end_of_a_denied_trigger_order_may_be_listed_apart() -> None:
    history = json_answer({"code": "0", "data": []})
    routes = {LIST: listing(), "/api/v5/trade/orders-history": history}

    leg = leg_of(sync(routes, trigger(1))[0], LegKind.ENDED_ORDERS)

    assert (leg.status, leg.complete) == (LegStatus.OBSERVED, False)
    assert leg.why_incomplete == "trigger orders that ended are listed apart"
