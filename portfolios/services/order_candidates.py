"""What orders may have done unseen: filled by more than was told, or charged a fee that was not told."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from django.db.models import Q
from django.utils.translation import gettext as _

from portfolios.amounts import exact, exact_mul, exact_sum, plain, ratio_of
from portfolios.models import Discrepancy, ExchangeAccount, Fill, Order, Portfolio, StoredLeg
from portfolios.reconciliation.attribution import Candidate, CandidateKind, Part
from portfolios.reconciliation.verdicts import quantum_of
from portfolios.services.candidates import MOST, Scope, Suspect, always
from portfolios.services.ledger import stored_fees
from portfolios.services.traded_symbols import traded_symbols
from providers.mapping import base_and_quote
from providers.reports import LegKind, LegStatus, OrderSide, OrderStatus

# What says that nobody knows how much of an order was filled.
_DOUBTS: Final = (
    Discrepancy.Code.ORDER_MISSING_AT_VENUE,
    Discrepancy.Code.ORDER_RETENTION_EXPIRED,
    Discrepancy.Code.ORDER_UNACKED,
    Discrepancy.Code.ORDER_FILLED_UNKNOWN,
)
_OPEN: Final = (OrderStatus.CREATED, OrderStatus.OPEN)
# Fees are rounded to what the exchange writes; a rate has fewer digits than that leaves.
_RATE_STEP: Final = Decimal("1e-6")
# A maker's and a taker's.
_MOST_RATES: Final = 2
_LOOKED_AT: Final = 200
# So far a third asset's price may have moved since fees were paid in it.
_MOVED: Final = Decimal(2)
_SHOWN: Final = 5
_WIDE: Final = Context(prec=80)
# More fills than these are thought of all together only.
_FEW: Final = 8


def order_suspects(scope: Scope) -> list[Suspect]:
    """Give all that orders may have moved beyond what was told."""
    symbols = _symbols(scope)
    if not symbols:
        return []
    trades = Trades(scope.account, symbols)
    found = [
        suspect
        for order in _doubtful_orders(scope.account, symbols)
        for suspect in _fills_of(scope, order, trades)
    ]
    return [*found, *_untold_fees(scope, symbols, trades)]


def _symbols(scope: Scope) -> list[str]:
    """List the symbols of the account whose trades move what is to be explained, or pay fees in it."""
    assets = {asset for wallet, asset in scope.standing if wallet == scope.wallet}
    traded = traded_symbols(scope.account)
    traded |= set(scope.account.fills.filter(order=None).values_list("symbol", flat=True))
    if any(fee_asset in assets for fee_asset in _third_assets(scope.account)):
        return sorted(traded)
    return sorted(symbol for symbol in traded if assets & set(base_and_quote(symbol)))


def _third_assets(account: ExchangeAccount) -> set[str]:
    """Tell in what the newest fills paid fees that is neither their base nor their quote."""
    paid = account.fills.exclude(fees=[]).order_by("-pk").values_list("symbol", "fees")
    return {
        fee.asset
        for symbol, fees in paid[:_LOOKED_AT]
        for fee in stored_fees(fees)
        if fee.asset not in base_and_quote(symbol)
    }


class Trades:
    """What the newest fills of an account tell: which fees it pays, in what amounts it trades."""

    def __init__(self, account: ExchangeAccount, symbols: Sequence[str]) -> None:
        own: defaultdict[tuple[str, str], Counter[Decimal]] = defaultdict(Counter)
        third: defaultdict[tuple[str, str], list[Decimal]] = defaultdict(list)
        fills = account.fills.filter(symbol__in=symbols).exclude(fees=[]).order_by("-pk")
        for fill in fills[:_LOOKED_AT]:
            base, quote = base_and_quote(fill.symbol)
            for fee in stored_fees(fill.fees):
                of = fill.amount if fee.asset == base else fill.cost
                if not of:
                    continue
                rate = ratio_of(fee.amount, Decimal(1), of)
                if fee.asset in (base, quote):
                    own[fill.symbol, fee.asset][_rounded(rate, _RATE_STEP)] += 1
                elif rate > 0:
                    third[quote, fee.asset].append(rate)
        self._own, self._third = own, third
        self._amounts: defaultdict[str, list[Decimal]] = defaultdict(list)
        newest = account.fills.filter(symbol__in=symbols).order_by("-pk")
        for symbol, amount in newest.values_list("symbol", "amount")[:_LOOKED_AT]:
            self._amounts[symbol].append(amount)

    def of(self, symbol: str) -> Iterator[tuple[str, Decimal]]:
        """Give the asset and the rate of fees paid in base (by amount) or quote (by cost)."""
        for traded, asset in sorted(self._own):
            if traded == symbol:
                for rate, _times in self._own[traded, asset].most_common(_MOST_RATES):
                    yield asset, rate

    def third(self, symbol: str) -> list[str]:
        own = base_and_quote(symbol)
        return sorted(asset for quote, asset in self._third if quote == own[1] and asset not in own)

    def step(self, symbol: str, more: Iterable[Decimal]) -> Decimal:
        """Find the smallest amount that the symbol was traded by, `more` among them."""
        return quantum_of([*self._amounts[symbol], *more]) or Decimal(1)

    def may_be(self, symbol: str, asset: str, fee: Decimal, cost: Decimal) -> bool:
        """Whether a fee in a third asset is about what others of the same quote paid, for each unit of cost."""
        rates = self._third[base_and_quote(symbol)[1], asset]
        least, most = exact_mul(cost, min(rates)), exact_mul(cost, max(rates))
        with exact():
            return fee > 0 and least <= fee * _MOVED and fee <= most * _MOVED


def _rounded(value: Decimal, unit: Decimal) -> Decimal:
    return value.quantize(unit, rounding=ROUND_HALF_EVEN, context=_WIDE)


# --- orders -------------------------------------------------------------------------------------


def _doubtful_orders(account: ExchangeAccount, symbols: Sequence[str]) -> list[Order]:
    """List the orders of which the exchange does not tell how much was filled."""
    live = account.discrepancies.filter(state__in=Discrepancy.LIVE, code__in=_DOUBTS)
    doubted = (
        Q(status=OrderStatus.LAPSED)
        | Q(status__in=_OPEN, missing_since__isnull=False)
        | Q(status__in=_OPEN, external_id__in=_unread(account))
        | Q(pk__in=live.filter(order__isnull=False).values("order"))
    )
    orders = account.orders.filter(doubted, symbol__in=symbols, price__isnull=False)
    real = orders.filter(is_backtest=False).order_by("-pk")
    return [order for order in real[:MOST] if order.remaining > 0]


def _unread(account: ExchangeAccount) -> list[str]:
    """List the ids of the orders that the newest run asked for in vain."""
    run = account.runs.order_by("-pk").first()
    failed = StoredLeg.objects.filter(run=run, kind=LegKind.ORDER, status=LegStatus.FAILED)
    return list(failed.exclude(subject="").values_list("subject", flat=True))


def _fills_of(scope: Scope, order: Order, trades: Trades) -> Iterator[Suspect]:
    """Give what `order` moved if more of it was filled: without a fee, and with one as the account pays."""
    price = order.price or Decimal(0)
    sign = Decimal(1) if order.side == OrderSide.BUY else Decimal(-1)
    base, quote = (scope.wallet, order.base), (scope.wallet, order.quote)
    vector = {base: sign, quote: exact_mul(sign, price).copy_negate()}
    step = _step(scope, order, trades)
    yield _filled(order, vector, step)
    for asset, rate in trades.of(order.symbol):
        charged = rate if asset == order.base else exact_mul(rate, price)
        with_fee = dict(vector)
        with exact():
            with_fee[scope.wallet, asset] -= charged
        fee = _("a fee of %(rate)s in %(asset)s") % {"rate": plain(rate), "asset": asset}
        yield _filled(order, with_fee, step, fee=fee, name=f":{plain(rate)} {asset}")
    yield from _filled_with_third(scope, order, price, trades)


def _filled(
    order: Order,
    vector: Mapping[tuple[str, str], Decimal],
    step: Decimal,
    *,
    fee: str = "",
    name: str = "",
) -> Suspect:
    kind = CandidateKind.ORDER if order.portfolio_id else CandidateKind.EXTERNAL_ORDER
    candidate = Candidate(
        f"order:{order.pk}{name}", kind, vector, _evidence(order, fee), order.remaining, step
    )

    def words(part: Part) -> str:
        return _order_words(order, part.low, part.high)

    return Suspect(candidate, words, is_computed=bool(fee), subject=f"order:{order.pk}")


def _filled_with_third(
    scope: Scope, order: Order, price: Decimal, trades: Trades
) -> Iterator[Suspect]:
    """Give the fill that all of the difference in its base would be, with a fee in a third asset that differs too."""
    base, quote = (scope.wallet, order.base), (scope.wallet, order.quote)
    moved, paid = scope.exactly(base), scope.exactly(quote)
    if not moved or not paid or (moved > 0) != (order.side == OrderSide.BUY):
        return
    amount, cost = moved.copy_abs(), exact_mul(moved.copy_abs(), price)
    if amount > order.remaining or paid.copy_abs() != cost:
        return
    for asset in trades.third(order.symbol):
        fee = (scope.exactly((scope.wallet, asset)) or Decimal(0)).copy_negate()
        if trades.may_be(order.symbol, asset, fee, cost):
            text = _("a fee of %(amount)s %(asset)s") % {"amount": plain(fee), "asset": asset}
            kind = CandidateKind.ORDER if order.portfolio_id else CandidateKind.EXTERNAL_ORDER
            vector = {base: moved, quote: paid, (scope.wallet, asset): fee.copy_negate()}
            key = f"order:{order.pk}:in {asset}"
            candidate = Candidate(key, kind, vector, _evidence(order, text))
            text = _order_words(order, amount, amount)
            yield Suspect(candidate, always(text), subject=f"order:{order.pk}")


def _order_words(order: Order, low: Decimal, high: Decimal) -> str:
    amount = plain(low) if low == high else f"{plain(low)}-{plain(high)}"
    return _("order %(id)s (%(side)s %(symbol)s) was filled by %(amount)s %(asset)s unseen") % {
        "id": order.external_id or order.client_order_id,
        "side": order.side,
        "symbol": order.symbol,
        "amount": amount,
        "asset": order.base,
    }


def _evidence(order: Order, fee: str) -> tuple[str, ...]:
    known = _("%(status)s in the books, %(remaining)s %(asset)s not filled, price %(price)s") % {
        "status": order.status,
        "remaining": plain(order.remaining),
        "asset": order.base,
        "price": plain(order.price or Decimal(0)),
    }
    denied = _("the exchange has not known it since %(time)s UTC")
    since = (
        [denied % {"time": f"{order.missing_since:%Y-%m-%d %H:%M}"}] if order.missing_since else []
    )
    return (known, *since, *([fee] if fee else []))


def _step(scope: Scope, order: Order, trades: Trades) -> Decimal:
    """Tell in what steps the order may have been filled, as far as what is missing of its base shows it."""
    residual = scope.exactly((scope.wallet, order.base))
    if residual is None:
        residual = scope.quanta.get(order.base, Decimal(0))
    return trades.step(order.symbol, (order.amount, order.remaining, residual))


# --- fees ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Charged:
    """Fills of one symbol without a fee, and what they may have been charged."""

    symbol: str
    fills: tuple[Fill, ...]

    @property
    def name(self) -> str:
        return f"{self.symbol}:{'+'.join(str(fill.pk) for fill in self.fills)}"

    @property
    def cost(self) -> Decimal:
        return exact_sum(fill.cost for fill in self.fills)

    @property
    def amount(self) -> Decimal:
        return exact_sum(fill.amount for fill in self.fills)


def _untold_fees(scope: Scope, symbols: Sequence[str], trades: Trades) -> Iterator[Suspect]:
    """Give the fees of fills that were told without one, as the account's other fills paid them."""
    since = scope.account.baseline_at or scope.since
    fills = scope.account.fills.filter(
        Q(order=None) | Q(order__fees=[]),
        Q(executed_at=None) | Q(executed_at__gt=since),
        fees=[],
        symbol__in=symbols,
    ).exclude(order__portfolio__mode=Portfolio.Mode.BACKTEST)
    by_symbol: defaultdict[str, list[Fill]] = defaultdict(list)
    for fill in fills.order_by("-pk")[:MOST]:
        by_symbol[fill.symbol].append(fill)
    for symbol, of_symbol in sorted(by_symbol.items()):
        groups = [[fill] for fill in of_symbol] if len(of_symbol) <= _FEW else []
        if len(of_symbol) > 1:
            groups.append(of_symbol)
        for group in groups:
            yield from _fees_of(scope, _Charged(symbol, tuple(group)), trades)


def _fees_of(scope: Scope, charged: _Charged, trades: Trades) -> Iterator[Suspect]:
    base, _quote = base_and_quote(charged.symbol)
    for asset, rate in trades.of(charged.symbol):
        due = exact_mul(rate, charged.amount if asset == base else charged.cost)
        quantum = scope.quanta.get(asset)
        if quantum is not None:
            due = _rounded(due, quantum)
        yield _fee(scope, charged, asset, due, name=plain(rate), is_computed=True)
    for asset in trades.third(charged.symbol):
        due = (scope.exactly((scope.wallet, asset)) or Decimal(0)).copy_negate()
        if trades.may_be(charged.symbol, asset, due, charged.cost):
            yield _fee(scope, charged, asset, due, name="", is_computed=False)


def _fee(
    scope: Scope, charged: _Charged, asset: str, due: Decimal, *, name: str, is_computed: bool
) -> Suspect:
    candidate = Candidate(
        f"fee:{charged.name}:{asset}:{name}",
        CandidateKind.FEE,
        {(scope.wallet, asset): due.copy_negate()},
        _named(charged.fills),
    )
    text = _("a fee of %(amount)s %(asset)s on %(symbol)s, which was not told") % {
        "amount": plain(due),
        "asset": asset,
        "symbol": charged.symbol,
    }
    return Suspect(candidate, always(text), is_computed=is_computed)


def _named(fills: Iterable[Fill]) -> tuple[str, ...]:
    """Name the newest fills."""
    words = _("fill %(id)s, %(side)s %(amount)s %(symbol)s without a fee")
    return tuple(
        words
        % {
            "id": fill.external_id,
            "side": fill.side,
            "amount": plain(fill.amount),
            "symbol": fill.symbol,
        }
        for fill in list(fills)[:_SHOWN]
    )
