"""A scripted exchange over real HTTP, and what kraken, okx and bybit say of an account."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: str


@dataclass(frozen=True)
class Answer:
    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Route = Answer | Callable[[Received], Answer]


def json_answer(document: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(json.dumps(document).encode(), status, headers)


class StubExchange:
    """Answers each path as `routes` says, and remembers what it was sent."""

    def __init__(self, routes: dict[str, Route]) -> None:
        self.routes = routes
        self.received: list[Received] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def paths(self) -> list[str]:
        return [received.path for received in self.received]

    def __enter__(self) -> StubExchange:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, received: Received) -> Answer:
        self.received.append(received)
        route = self.routes.get(received.path, json_answer({"no": "route"}, 404))
        return route if isinstance(route, Answer) else route(received)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body in one packet: else the kernel waits 40 ms for an acknowledgement.
            wbufsize = -1

            def do_GET(self) -> None:
                url = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(url.query).items()}
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                received = Received(self.command, url.path, query, dict(self.headers), body)
                answer = stub._answer(received)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            do_POST = do_GET  # noqa: N815 - http.server's name

            def log_message(self, *_: object) -> None:
                pass

        return Handler


KRAKEN: dict[str, Route] = {
    "/0/public/Assets": json_answer(
        {
            "error": [],
            "result": {
                "XXBT": {"altname": "XBT", "decimals": 10, "display_decimals": 5},
                "ZUSD": {"altname": "USD", "decimals": 4, "display_decimals": 2},
            },
        }
    ),
    "/0/public/AssetPairs": json_answer(
        {
            "error": [],
            "result": {
                "XXBTZUSD": {
                    "altname": "XBTUSD",
                    "wsname": "XBT/USD",
                    "base": "XXBT",
                    "quote": "ZUSD",
                    "pair_decimals": 1,
                    "lot_decimals": 8,
                    "status": "online",
                }
            },
        }
    ),
    "/0/private/OpenOrders": json_answer({"error": [], "result": {"open": {}}}),
    "/0/private/BalanceEx": json_answer(
        {"error": [], "result": {"XXBT": {"balance": "1.5", "hold_trade": "0.5"}}}
    ),
}

OKX: dict[str, Route] = {
    "/api/v5/public/instruments": json_answer(
        {
            "code": "0",
            "data": [
                {
                    "instType": "SPOT",
                    "instId": "BTC-USDT",
                    "baseCcy": "BTC",
                    "quoteCcy": "USDT",
                    "tickSz": "0.1",
                    "lotSz": "0.00000001",
                    "minSz": "0.00001",
                    "state": "live",
                }
            ],
        }
    ),
    "/api/v5/trade/orders-pending": json_answer({"code": "0", "data": []}),
    "/api/v5/account/balance": json_answer(
        {
            "code": "0",
            "data": [
                {
                    "details": [
                        {"ccy": "BTC", "eq": "1.5", "availBal": "1", "frozenBal": "0.5"},
                    ]
                }
            ],
        }
    ),
}

BYBIT: dict[str, Route] = {
    "/v5/market/instruments-info": json_answer(
        {
            "retCode": 0,
            "result": {
                "category": "spot",
                "list": [
                    {
                        "symbol": "BTCUSDT",
                        "baseCoin": "BTC",
                        "quoteCoin": "USDT",
                        "status": "Trading",
                        "lotSizeFilter": {"basePrecision": "0.000001", "quotePrecision": "0.01"},
                        "priceFilter": {"tickSize": "0.01"},
                    }
                ],
            },
        }
    ),
    "/v5/user/query-api": json_answer({"retCode": 0, "result": {"unified": 0, "uta": 1}}),
    "/v5/account/info": json_answer({"retCode": 0, "result": {"unifiedMarginStatus": 6}}),
    "/v5/order/realtime": json_answer(
        {"retCode": 0, "result": {"category": "spot", "list": [], "nextPageCursor": ""}}
    ),
    "/v5/account/wallet-balance": json_answer(
        {
            "retCode": 0,
            "result": {
                "list": [
                    {
                        "accountType": "UNIFIED",
                        "coin": [{"coin": "BTC", "walletBalance": "1.5", "locked": "0.5"}],
                    }
                ]
            },
        }
    ),
}


GATE: dict[str, Route] = {
    "/api/v4/spot/currencies": json_answer([{"currency": "BTC"}, {"currency": "USDT"}]),
    "/api/v4/spot/currency_pairs": json_answer(
        [{"id": "BTC_USDT", "base": "BTC", "quote": "USDT", "trade_status": "tradable"}]
    ),
    "/api/v4/margin/currency_pairs": json_answer([]),
    "/api/v4/account/detail": json_answer({"user_id": 1, "key": {"mode": 1}}),
    "/api/v4/spot/open_orders": json_answer([]),
    "/api/v4/spot/accounts": json_answer([{"currency": "BTC", "available": "1", "locked": "0.5"}]),
}


def okx_order(number: int, **changes: str) -> dict[str, str]:
    return {
        "instId": "BTC-USDT",
        "instType": "SPOT",
        "ordId": str(10_000 + number),
        "clOrdId": "",
        "px": "50000.5",
        "sz": "0.01",
        "accFillSz": "0",
        "avgPx": "",
        "side": "buy",
        "ordType": "limit",
        "state": "live",
        "cTime": str(1_790_000_000_000 + number),
        "uTime": str(1_790_000_000_000 + number),
        **changes,
    }


def bybit_order(number: int) -> dict[str, str]:
    return {
        "symbol": "BTCUSDT",
        "orderId": str(1_700_000_000_000_000_000 + number),
        "price": "50000.5",
        "qty": "0.01",
        "cumExecQty": "0",
        "leavesQty": "0.01",
        "cumExecValue": "0",
        "avgPrice": "",
        "side": "Buy",
        "orderType": "Limit",
        "orderStatus": "New",
        "createdTime": str(1_790_000_000_000 + number),
        "updatedTime": str(1_790_000_000_000 + number),
    }
