"""Any past verdict can be reckoned again, to the last byte, whatever was booked since."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from portfolios.models import ExchangeAccount, JudgedContent, JudgedSnapshot
from portfolios.services.judged_contents import judgement_of, recomputed
from providers.reports import FlowStatus, Leg
from tests.kept import kept
from tests.portfolios.services.reads import (
    account_fills,
    balances,
    flows_leg,
    later,
    look,
    make_books,
    make_fill_report,
    make_flow_report,
    open_orders,
)

D = Decimal
pytestmark = pytest.mark.django_db


@kept
def account() -> ExchangeAccount:
    """Return an account whose reads may trail its trades by a minute; the alias is part of what it holds."""
    account = make_books(positions={"BTC": "2"}, lag_seconds=60)
    account.asset_rules.create(kind="alias", asset="LDBTC", counts_as="BTC")
    look(account, open_orders(), balances(EUR="1000", BTC="1", LDBTC="1"))
    return account


def see(account: ExchangeAccount, seconds: float, *lists: Leg, **held: str) -> JudgedSnapshot:
    whole: dict[str, Any] = {"EUR": "1000", "BTC": "1", "LDBTC": "1"}
    told = balances(**whole | held)
    legs = [open_orders(), told]
    look(account, *later(legs, seconds), *later(lists or [account_fills(), flows_leg()], seconds))
    return account.snapshots.latest("pk")


def assert_said_again(snapshot: JudgedSnapshot) -> None:
    snapshot.refresh_from_db()
    assert snapshot.content is not None
    assert json.dumps(recomputed(snapshot), sort_keys=True) == json.dumps(
        snapshot.content.rows, sort_keys=True
    )


def bought(at: datetime) -> Leg:
    return account_fills(make_fill_report("10", "2", order="", executed_at=at))


def test_what_agreed_is_said_again(account: ExchangeAccount) -> None:
    assert_said_again(see(account, 100))


def test_what_differed_is_said_again(account: ExchangeAccount) -> None:
    snapshot = see(account, 100, EUR="900", XYZ="5")
    see(account, 200, EUR="900", XYZ="5")

    assert_said_again(snapshot)


def test_what_is_not_settled_is_said_again(account: ExchangeAccount) -> None:
    snapshot = see(account, 100, EUR="900")

    assert snapshot.settled_at is None
    assert_said_again(snapshot)


def test_what_was_between_is_said_again_although_more_was_booked_since(
    account: ExchangeAccount,
) -> None:
    at = timezone.now()
    fills = bought(at + timedelta(seconds=290))
    snapshot = see(account, 300, fills, flows_leg(), EUR="980", ADA="10")
    see(account, 400, fills, flows_leg(), EUR="980", ADA="10")

    flow = make_flow_report("7", occurred_at=at + timedelta(seconds=295))
    see(account, 500, account_fills(), flows_leg(flow), EUR="987", ADA="10")

    snapshot.refresh_from_db()
    assert snapshot.content is not None
    assert snapshot.content.rows["spot"]["EUR"]["verdict"] == "CONSISTENT"
    assert_said_again(snapshot)


def test_what_was_on_its_way_is_said_again_once_it_has_come(account: ExchangeAccount) -> None:
    flow = make_flow_report("7", status=FlowStatus.PENDING, settled_at=None)
    snapshot = see(account, 100, account_fills(), flows_leg(flow), EUR="1007")
    see(account, 200, account_fills(), flows_leg(flow), EUR="1007")
    done = make_flow_report("7", settled_at=timezone.now() + timedelta(seconds=250))
    see(account, 300, account_fills(), flows_leg(done), EUR="1007")

    snapshot.refresh_from_db()
    assert snapshot.content is not None
    assert snapshot.content.rows["spot"]["EUR"]["verdict"] == "VERIFIED"
    assert_said_again(snapshot)


def test_what_the_baseline_may_be_wrong_by_is_said_again_once_it_is_settled(
    account: ExchangeAccount,
) -> None:
    assert account.baseline_at is not None
    fills = bought(account.baseline_at + timedelta(seconds=1))
    snapshot = see(account, 30, fills, flows_leg())
    see(account, 100, fills, flows_leg())

    assert account.baseline_settled_at is not None
    assert_said_again(snapshot)


def test_an_unchanged_account_says_the_same_bytes(account: ExchangeAccount) -> None:
    see(account, 100)
    stored = JudgedContent.objects.count()

    see(account, 400)

    assert JudgedContent.objects.count() == stored


def test_a_row_gives_back_what_was_judged(account: ExchangeAccount) -> None:
    see(account, 100, EUR="900")
    see(account, 200, EUR="900")

    content = account.snapshots.latest("pk").content
    assert content is not None
    found = judgement_of(content.rows["spot"]["EUR"])
    assert (found.verdict, found.low, found.high) == ("DIFFERS", D(-100), D(-100))
