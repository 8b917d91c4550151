"""Causes injected into the stored state of an account: whether the product names them from what the database knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum
from random import Random

from django.db import transaction

from portfolios.amounts import exact_mul, exact_sum, plain
from portfolios.models import Discrepancy, ExchangeAccount, Order, Portfolio
from portfolios.models.choices import Verdict
from portfolios.services.attribution import attribute_open
from providers.reports import FlowKind, FlowStatus, OrderSide, OrderStatus
from tests.builders import (
    NOON,
    make_account,
    make_balance,
    make_discrepancy,
    make_fill,
    make_flow,
    make_order,
    make_portfolio,
)

D = Decimal
Residuals = dict[tuple[str, str], Decimal]
CENT, LAST = D("0.01"), D("0.00000001")
SYMBOLS = {"BTC/USDT": 50_000, "ETH/USDT": 3_000, "SOL/USDT": 150}


class Told(StrEnum):
    NAMED = "named"
    AMBIGUOUS = "ambiguous"
    UNEXPLAINED = "unexplained"
    WRONG = "wrong"


@dataclass
class Stage:
    """An account at which much is in doubt, and what its balances differ by."""

    pick: Random
    account: ExchangeAccount
    portfolio: Portfolio
    paid_in: str
    residuals: Residuals = field(default_factory=dict)

    @classmethod
    def drawn(cls, seed: int) -> Stage:
        pick = Random(seed)  # noqa: S311 - no secret
        account = make_account(label=f"injected {seed}", baseline_at=NOON - timedelta(days=1))
        stage = cls(pick, account, make_portfolio(account), pick.choice(["USDT", "base", "BNB"]))
        for symbol in SYMBOLS:
            stage.fill(stage.order(symbol, status=OrderStatus.CLOSED), is_told=True)
        for _number in range(pick.randint(1, 4)):
            stage.doubtful()
        for _number in range(pick.randint(0, 2)):
            stage.flow()
        return stage

    def symbol(self) -> str:
        return self.pick.choice(list(SYMBOLS))

    def order(self, symbol: str, *, is_external: bool = False, **row: object) -> Order:
        price = D(SYMBOLS[symbol]) + self.pick.randint(-5_000, 5_000) * CENT
        amount = D(self.pick.randint(100, 99_999)) / 100_000
        side = self.pick.choice(list(OrderSide))
        owner = self.account if is_external else self.portfolio
        return make_order(owner, symbol=symbol, side=side, price=price, amount=amount, **row)

    def doubtful(self) -> Order:
        """Make an order that the exchange denies, or that was taken as lapsed."""
        is_external = self.pick.random() < 0.3
        status = self.pick.choice([OrderStatus.OPEN, OrderStatus.LAPSED])
        return self.order(self.symbol(), is_external=is_external, status=status, missing_since=NOON)

    def fee(self, order: Order, amount: Decimal) -> tuple[str, Decimal]:
        """Charge as exchanges do: what is beyond the eighth decimal is cut off."""
        cost = exact_mul(amount, order.price or D(0))
        base, rate = amount, D("0.001")
        asset = order.base if self.paid_in == "base" else self.paid_in
        if asset == "BNB":
            base, rate = cost, D("0.00075") / D(self.pick.randint(590, 610))
        elif asset == "USDT":
            base = cost
        return asset, (base * rate).quantize(LAST, rounding=ROUND_DOWN)

    def fill(self, order: Order, *, is_told: bool) -> tuple[str, Decimal]:
        """Store a fill of all of `order`, and tell its fee here in any case."""
        asset, fee = self.fee(order, order.amount)
        make_fill(
            order,
            side=order.side,
            price=order.price,
            amount=order.amount,
            cost=exact_mul(order.amount, order.price or D(0)),
            fees=[{"asset": asset, "amount": plain(fee)}] if is_told else [],
        )
        return asset, fee

    def flow(self) -> tuple[int, str, Decimal]:
        amount = D(self.pick.randint(1, 10**9)) * LAST * 1_000
        asset = self.pick.choice(["USDT", "BTC", "ETH"])
        status = self.pick.choice([FlowStatus.PENDING, ""])
        flow = make_flow(
            self.account, kind=FlowKind.DEPOSIT, asset=asset, amount=amount, status=status
        )
        return flow.pk, asset, amount

    def move(self, asset: str, amount: Decimal, wallet: str = "spot") -> None:
        known = self.residuals.get((wallet, asset), D(0))
        self.residuals[wallet, asset] = exact_sum((known, amount))


def missed_fill(stage: Stage) -> str:
    """Let an order be filled in part, with a fee, and nobody tell."""
    order = stage.doubtful()
    steps = int(order.amount * 100_000)
    amount = D(stage.pick.randint(1, steps)) / 100_000
    sign = 1 if order.side == OrderSide.BUY else -1
    stage.move(order.base, sign * amount)
    stage.move("USDT", -sign * exact_mul(amount, order.price or D(0)))
    asset, fee = stage.fee(order, amount)
    stage.move(asset, -fee)
    return f"order:{order.pk}"


def untold_fee(stage: Stage) -> str:
    order = stage.order(stage.symbol(), status=OrderStatus.CLOSED)
    asset, fee = stage.fill(order, is_told=False)
    stage.move(asset, -fee)
    return f"fee:{order.symbol}:{order.fills.get().pk}"


def early_deposit(stage: Stage) -> str:
    """Let a deposit that is recorded, but not as done, be there already."""
    pk, asset, amount = stage.flow()
    stage.move(asset, amount)
    return f"flow:{pk}"


def wallet_transfer(stage: Stage) -> str:
    asset = stage.pick.choice(["USDT", "BTC"])
    amount = D(stage.pick.randint(1, 10**8)) * LAST
    stage.move(asset, -amount)
    stage.move(asset, amount, "funding")
    return f"transfer:spot:funding:{asset}"


def account_transfer(stage: Stage) -> str:
    """Let another account record what it sent here, and this one not."""
    amount = D(stage.pick.randint(1, 10**8)) * LAST
    other = make_account(label=f"other of {stage.account.label}")
    flow = make_flow(other, kind=FlowKind.WITHDRAWAL, asset="BTC", amount=-amount)
    stage.move("BTC", amount)
    return f"transfer:account {other.pk}:flow:{flow.pk}"


CAUSES: tuple[Callable[[Stage], str], ...] = (
    missed_fill,
    missed_fill,
    untold_fee,
    early_deposit,
    wallet_transfer,
    account_transfer,
)


def told(seed: int) -> tuple[str, Told]:
    """Inject one cause and tell what is said of it; the database is left as it was."""
    with transaction.atomic():
        stage = Stage.drawn(seed)
        cause = stage.pick.choice(CAUSES)
        key = cause(stage)
        _store(stage)
        attribute_open(stage.account, NOON)
        said = [_said(row.attribution, key) for row in stage.account.discrepancies.all()]
        transaction.set_rollback(True)
    worst = max(said, key=list(Told).index)
    return cause.__name__.replace("_", " "), worst


def _store(stage: Stage) -> None:
    for asset in ("BTC", "ETH", "SOL", "USDT", "BNB"):
        if not stage.residuals.get(("spot", asset)):
            make_balance(stage.account, asset=asset)
    for (wallet, asset), by in stage.residuals.items():
        if by:
            make_balance(
                stage.account, wallet=wallet, asset=asset, residual=by, verdict=Verdict.DIFFERS
            )
            make_discrepancy(
                stage.account,
                key=f"balance:{wallet}:{asset}",
                code=Discrepancy.Code.BALANCE_SHORT,
                wallet=wallet,
                asset=asset,
                difference=by,
                low=by,
                high=by,
            )


def _said(attribution: dict[str, object], key: str) -> Told:
    explanations = attribution["explanations"]
    assert isinstance(explanations, list)
    found = [
        any(part["key"] == key or part["key"].startswith(f"{key}:") for part in parts)
        for parts in explanations
    ]
    if not found:
        return Told.UNEXPLAINED
    if len(found) == 1:
        return Told.NAMED if found[0] else Told.WRONG
    return Told.AMBIGUOUS if any(found) else Told.WRONG
