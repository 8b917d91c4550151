"""A number that an exchange writes arrives digit by digit: from its HTTP body through the database to the page.

One that is beyond the limits costs its own row, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Context

import pytest
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, example, given, settings

from portfolios.models import ExchangeAccount, Incident, SyncRun
from portfolios.selectors.listing import PER_PAGE
from portfolios.selectors.report import full_report
from portfolios.services.book import import_book
from portfolios.services.manual_sync import sync_now
from tests.desk import KEY, SECRET
from tests.hypothesis_profiles import CASES_OF_A_LAW, LAW_TIMEOUT, Pick, picks
from tests.portfolios.views.pages import shown
from tests.providers.stub_exchange import Answer, Received, StubExchange, json_answer

pytestmark = pytest.mark.timeout(LAW_TIMEOUT)

MAX_DIGITS, MAX_DECIMALS = 72, 36
ENDLESS = Context(prec=10_000)
# Numbers of one body: each is a case.
BATCH = 100


@dataclass(frozen=True)
class Written:
    """A number as JSON carries it."""

    token: str

    @property
    def plain(self) -> str:
        """The same number as a person writes it: no exponent, no zeros that say nothing, no sign of zero."""
        number = ENDLESS.create_decimal(self.token.strip('"'))
        text = f"{number:f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
        return "0" if not number else text

    @property
    def fits(self) -> bool:
        whole, _, decimals = self.plain.lstrip("-").partition(".")
        digits = len(whole.lstrip("0")) + len(decimals)
        return digits <= MAX_DIGITS and len(decimals) <= MAX_DECIMALS

    @property
    def is_everyday(self) -> bool:
        """Whether it has at most 36 digits before the point and 18 after it."""
        whole, _, decimals = self.plain.lstrip("-").partition(".")
        return len(whole) <= 36 and len(decimals) <= 18


SIGNS = ("", "-")
EXPONENTS = ("", "", "", "e0", "e-18", "E+5", "e30", "e-30", "E-40", "e60", "e999")


def written(pick: Pick) -> Written:
    whole = pick.randrange(10 ** pick.randint(1, 40))
    decimals = "".join(pick.choices("0123456789", k=pick.randint(0, 20)))
    fraction = f".{decimals}" if decimals else ""
    token = f"{pick.choice(SIGNS)}{whole}{fraction}{pick.choice(EXPONENTS)}"
    return Written(f'"{token}"' if pick.random() < 0.5 else token)


def batch(pick: Pick) -> list[Written]:
    return [written(pick) for _ in range(BATCH)]


batches = picks.map(batch)
HARD = [
    *(
        "0",
        "-0",
        "0.0",
        "-0.000",
        "1e-18",
        "-1E-18",
        "1e-36",
        "1e71",
        '"1e71"',
        "123456789012345678",
    ),
    *("0.1", "0.30000000000000004", "9007199254740993", "1.7976931348623157e308", "5e-324"),
    f"{'9' * 18}.{'9' * 18}",
    f'"{"9" * 36}.{"9" * 36}"',
    f'"-{"1" * 36}.{"0" * 35}1"',
    f"{'1' * 73}",
    f"0.{'0' * 36}1",
    f"1.{'0' * 60}",
    "7" * 5000,
]
many = settings(
    max_examples=max(CASES_OF_A_LAW // BATCH, 5),
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.large_base_example,
        HealthCheck.data_too_large,
    ],
)


SYMBOL = {
    "symbol": "ADAEUR",
    "baseAsset": "ADA",
    "quoteAsset": "EUR",
    "status": "TRADING",
    "isSpotTradingAllowed": True,
    "permissions": ["SPOT"],
    "filters": [],
}


class NumberExchange(StubExchange):
    """A binance that holds as much of A0, A1, ... as it is told to write."""

    def __init__(self) -> None:
        super().__init__(
            {
                "/api/v3/exchangeInfo": json_answer({"symbols": [SYMBOL]}),
                "/api/v3/openOrders": self._orders,
                "/api/v3/account": self._account,
            }
        )
        self.held: Sequence[Written] = ()
        self.ordered: Sequence[Written] = ()

    def _account(self, _received: Received) -> Answer:
        # No JSON writer: it would write the numbers its own way.
        rows = (
            f'{{"asset": "A{n}", "free": {number.token}, "locked": "0"}}'
            for n, number in enumerate(self.held)
        )
        return Answer(f'{{"balances": [{", ".join(rows)}]}}'.encode())

    def _orders(self, _received: Received) -> Answer:
        rows = (
            f'{{"symbol": "ADAEUR", "orderId": {n}, "side": "BUY", "type": "LIMIT", "status": "NEW", '
            f'"price": {number.token}, "origQty": "1", "executedQty": "0"}}'
            for n, number in enumerate(self.ordered, start=1)
        )
        return Answer(f"[{', '.join(rows)}]".encode())


@pytest.fixture
def exchange(db: None) -> Iterator[NumberExchange]:
    exchange = NumberExchange()
    with exchange:
        account = {
            "label": "numbers",
            "market": "binance",
            "credential": {"apiKey": KEY, "secret": SECRET},
            "endpoint": exchange.url,
        }
        import_book({"accounts": [account]})
        yield exchange


@contextmanager
def synced(
    exchange: NumberExchange, held: Sequence[Written] = (), ordered: Sequence[Written] = ()
) -> Iterator[SyncRun]:
    """Sync while the exchange holds `held` and lists orders of `ordered`; nothing of it is kept."""
    exchange.held, exchange.ordered = held, ordered
    with transaction.atomic():
        [run] = sync_now(ExchangeAccount.objects.all())
        yield run
        transaction.set_rollback(True)


def expected(held: Sequence[Written]) -> dict[str, str]:
    """Name what is to be shown: all that fits and is not nothing."""
    return {
        f"A{n}": number.plain
        for n, number in enumerate(held)
        if number.fits and number.plain != "0"
    }


def reported() -> dict[str, str]:
    """Read the balances out of the report as another program would."""
    rows = json.loads(json.dumps(full_report()))["balances"]
    assert all(row["free"] == row["total"] for row in rows)
    return {row["asset"]: row["total"] for row in rows}


@many
@given(batches)
@example([Written(token) for token in HARD if Written(token).fits])
def test_a_number_within_the_limits_arrives_digit_by_digit(
    exchange: NumberExchange, admin_client: Client, held: list[Written]
) -> None:
    held = [number for number in held if number.fits]
    with synced(exchange, held) as run:
        url = run.account.get_absolute_url()
        pages = [
            shown(admin_client, f"{url}?page={number + 1}")
            for number in range(1 + len(expected(held)) // PER_PAGE)
        ]
        assert run.status == SyncRun.Status.SUCCEEDED
        assert reported() == expected(held)
        for asset, number in expected(held).items():
            told = f" {asset} spot Verified {number} {number} {number} 0 0 "
            assert any(told in page for page in pages), told


@many
@given(batches)
@example([Written(token) for token in HARD])
def test_a_number_beyond_the_limits_costs_its_own_row_alone(
    exchange: NumberExchange, held: list[Written]
) -> None:
    refused = [f"A{n}" for n, number in enumerate(held) if not number.fits]
    with synced(exchange, held) as run:
        assert reported() == expected(held)
        assert run.status == (SyncRun.Status.PARTIAL if refused else SyncRun.Status.SUCCEEDED)
        told = list(Incident.objects.values_list("operation", "message"))
        assert [operation for operation, _message in told] == ["fetch.balances"] * bool(refused)
        assert all(refused[0] in message for _operation, message in told)
        assert not any(KEY in message or SECRET in message for _operation, message in told)


@many
@given(batches)
@example([Written(token) for token in HARD])
def test_the_price_of_an_order_arrives_digit_by_digit_or_costs_that_order_alone(
    exchange: NumberExchange, ordered: list[Written]
) -> None:
    # What many orders lock together has to fit as well. A price of zero is how binance says that there is none.
    ordered = [x for x in ordered if x.plain != "0" and (x.is_everyday or not x.fits)]
    told = {str(n): number for n, number in enumerate(ordered, start=1)}
    taken = {name: x.plain for name, x in told.items() if x.fits and x.plain[0] != "-"}
    with synced(exchange, ordered=ordered) as run:
        rows = json.loads(json.dumps(full_report()))["orders"]
        assert {row["external_id"]: row["price"] for row in rows} == taken
        is_whole = len(taken) == len(ordered)
        assert run.status == (SyncRun.Status.SUCCEEDED if is_whole else SyncRun.Status.PARTIAL)
