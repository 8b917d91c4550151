"""A stand-in for an exchange that tells its open orders in pages.

The practice exchange tells all of them at once, as its markets do. This one tells kucoin's, 500 a page, and no more
than what a sync of an unchanged account asks for. Run as a program it serves for as long as its standard input is open.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from portfolios.management.benchmark_exchange import (
    AMOUNT,
    ASSETS,
    PRICE,
    BenchFailed,
    asset_name,
)
from providers.sandbox.server import LOOPBACK

PAGE: Final = 500


@contextmanager
def paged_exchange(orders: int) -> Iterator[str]:
    """Run it in another process, for one account with so many open orders; yields its URL."""
    command = [sys.executable, "-m", __name__, str(orders)]
    with subprocess.Popen(  # noqa: S603 - our own words
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        ears, mouth = process.stdin, process.stdout
        if ears is None or mouth is None:
            raise BenchFailed("The stand-in has no pipes.")
        try:
            url = mouth.readline().strip()
            if not url:
                raise BenchFailed("The stand-in did not start.")
            yield url
        finally:
            ears.close()


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    orders = 0

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        body = json.dumps({"code": "200000", "data": self._data(asked.path, asked.query)}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its parent's name
        """Say nothing."""

    def _data(self, path: str, query: str) -> Any:
        if path.endswith("/symbols"):
            return [_symbol(asset_name(number)) for number in range(ASSETS)]
        if path.endswith("/accounts"):
            return [_balance(asset_name(number), self.orders) for number in range(ASSETS)]
        if not path.endswith("/orders"):
            return []  # currencies and the kind of account: none told
        told = {name: values[0] for name, values in parse_qs(query).items()}
        page = int(told.get("currentPage", 1))
        numbers = range((page - 1) * PAGE, min(page * PAGE, self.orders))
        items = [_order(number) for number in numbers] if told.get("status") == "active" else []
        return {"currentPage": page, "pageSize": PAGE, "items": items}


def _symbol(asset: str) -> dict[str, Any]:
    return {
        "symbol": f"{asset}-USDT",
        "baseCurrency": asset,
        "quoteCurrency": "USDT",
        "baseMinSize": "0.001",
        "baseIncrement": "0.00000001",
        "quoteIncrement": "0.0001",
        "priceIncrement": "0.01",
        "enableTrading": True,
    }


def _balance(asset: str, orders: int) -> dict[str, Any]:
    held = AMOUNT * (orders // ASSETS)
    own = {"type": "trade", "available": "1", "holds": str(held), "balance": str(held + 1)}
    return {"id": asset, "currency": asset} | own


def _order(number: int) -> dict[str, Any]:
    return {
        "id": f"{number:024x}",
        "clientOid": f"paged-{number}",
        "symbol": f"{asset_name(number % ASSETS)}-USDT",
        "type": "limit",
        "side": "sell",
        "price": str(PRICE),
        "size": str(AMOUNT),
        "dealSize": "0",
        "dealFunds": "0",
        "fee": "0",
        "feeCurrency": "USDT",
        "isActive": True,
        "createdAt": 1_763_800_000_000 + number,
    }


def _serve(orders: int) -> None:
    _Answers.orders = orders
    with ThreadingHTTPServer((LOOPBACK, 0), _Answers) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        sys.stdout.write(f"http://{LOOPBACK}:{server.server_port}\n")
        sys.stdout.flush()
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
