from __future__ import annotations

from decimal import Decimal
from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _

from portfolios.amounts import difference
from portfolios.fields import AmountField
from portfolios.models.account import ExchangeAccount
from portfolios.models.choices import order_sides, order_statuses, order_types
from portfolios.models.portfolio import Portfolio
from providers.reports import OrderStatus, OrderType

OPEN_STATUSES: Final = (OrderStatus.CREATED, OrderStatus.OPEN)
TRIGGER_TYPES: Final = (OrderType.STOP, OrderType.STOP_LIMIT)


class Order(models.Model):
    """An order of the books, or one seen at the exchange that no portfolio claims (`external`)."""

    account = models.ForeignKey(
        ExchangeAccount, models.PROTECT, related_name="orders", verbose_name=_("account")
    )
    portfolio = models.ForeignKey(
        Portfolio,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="orders",
        verbose_name=_("portfolio"),
    )
    external = models.BooleanField(_("external"), default=False)
    # Of a portfolio that is one: no exchange knows the order, and its ids are none of an exchange's.
    is_backtest = models.BooleanField(default=False, editable=False)
    # Whether a person took it from its portfolio: no rule gives it away again.
    is_released = models.BooleanField(default=False, editable=False)
    # Text: ids have leading zeros, letters and more digits than an integer holds.
    external_id = models.CharField(_("exchange id"), max_length=128, blank=True)
    client_order_id = models.CharField(_("client id"), max_length=128, blank=True)
    symbol = models.CharField(_("symbol"), max_length=64)
    side = models.CharField(_("side"), max_length=4, choices=order_sides)
    type = models.CharField(_("type"), max_length=10, choices=order_types, blank=True)
    status = models.CharField(_("status"), max_length=10, choices=order_statuses)
    raw_status = models.CharField(max_length=64, blank=True, editable=False)
    price = AmountField(_("price"), null=True, blank=True)
    average = AmountField(_("average"), null=True, blank=True)
    amount = AmountField(_("amount"))
    filled = AmountField(_("filled"), default=Decimal(0))
    # Quote units that changed hands for `filled`, as the exchange reports them.
    cost = AmountField(null=True, blank=True, editable=False)
    fees = models.JSONField(default=list, editable=False)  # [{"asset": …, "amount": "…"}]
    # What was filled before the books took the order over; never booked.
    opening_filled = AmountField(default=Decimal(0), editable=False)
    opening_cost = AmountField(default=Decimal(0), editable=False)
    # How many more syncs ask for the order's fills, which do not add up to `filled` yet.
    fills_wanted = models.PositiveSmallIntegerField(default=0, editable=False)
    # The row as its book gave it: an equal one may be imported again, another one is refused.
    book_values = models.JSONField(default=dict, editable=False)
    # Since when the exchange, asked for this order, has not known it, and the looks that proved its absence: the last
    # of them by a clock that nobody sets.
    missing_since = models.DateTimeField(null=True, editable=False)
    strikes = models.PositiveSmallIntegerField(default=0, editable=False)
    last_strike_at = models.DateTimeField(null=True, editable=False)
    # Why nothing is applied to it any more: its ids, or what they name, contradict each other.
    frozen_because = models.CharField(max_length=200, blank=True, editable=False)
    joined_at = models.DateTimeField(auto_now_add=True)
    # Whether the account had its baseline then: what the order had moved before is in the unassigned part.
    joined_after_baseline = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(_("created"), null=True)
    updated_at = models.DateTimeField(_("updated"), null=True)
    # Whether amount and price are those that the order ended with.
    has_final_terms = models.BooleanField(default=False, editable=False)

    class Meta:
        ordering = ["created_at", "pk"]
        verbose_name = _("order")
        verbose_name_plural = _("orders")
        constraints = [
            # Some exchanges number the orders of each symbol anew.
            models.UniqueConstraint(
                fields=["account", "symbol", "external_id"],
                condition=~models.Q(external_id="") & models.Q(is_backtest=False),
                name="order_external_id_unique_in_symbol",
            ),
            models.UniqueConstraint(
                fields=["portfolio", "symbol", "external_id"],
                condition=~models.Q(external_id="") & models.Q(is_backtest=True),
                name="order_id_unique_in_backtest",
            ),
            models.CheckConstraint(
                condition=~models.Q(external_id="") | ~models.Q(client_order_id=""),
                name="order_has_an_id",
            ),
        ]
        indexes = [
            models.Index(fields=["account", "status"], name="order_account_status"),
            # By which a person looks for one, not knowing its account.
            models.Index(fields=["external_id"], name="order_external_id"),
            models.Index(fields=["client_order_id"], name="order_client_order_id"),
            models.Index(fields=["account", "fills_wanted"], name="order_account_wanted"),
            models.Index(fields=["account", "symbol"], name="order_account_symbol"),
            models.Index(fields=["account", "external_id"], name="order_account_external_id"),
            models.Index(fields=["account", "client_order_id"], name="order_account_client_id"),
            models.Index(fields=["account", "updated_at"], name="order_account_updated"),
            models.Index(fields=["account", "-created_at", "-id"], name="order_account_newest"),
            models.Index(fields=["portfolio", "-created_at", "-id"], name="order_portfolio_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.amount} {self.symbol}"

    @property
    def is_open(self) -> bool:
        return not OrderStatus(self.status).is_terminal

    @property
    def is_trigger(self) -> bool:
        return self.type in TRIGGER_TYPES

    @property
    def is_filled_unconfirmed(self) -> bool:
        """Whether all of it is filled although the exchange has not said that it ended."""
        return self.is_open and self.filled >= self.amount

    @property
    def times_changed(self) -> int:
        """How often it was amended or a fill of it undone, whether or not all that was replaced is still kept."""
        return max((version.number for version in self.versions.all()), default=0)

    @property
    def remaining(self) -> Decimal:
        return max(difference(self.amount, self.filled), Decimal(0))

    @property
    def base(self) -> str:
        return self.symbol.split("/", 1)[0]

    @property
    def quote(self) -> str:
        return self.symbol.partition("/")[2].partition(":")[0]


class OrderVersion(models.Model):
    """The terms of an order before they were amended at the exchange; the order itself has the newest.

    `filled` and `average` only where a fill was taken back: what the order said before.
    """

    order = models.ForeignKey(
        Order, models.CASCADE, related_name="versions", verbose_name=_("order")
    )
    number = models.PositiveIntegerField(_("version"))
    price = AmountField(_("price"), null=True)
    amount = AmountField(_("amount"))
    filled = AmountField(_("filled"), null=True)
    average = AmountField(_("average"), null=True)
    run = models.ForeignKey("portfolios.SyncRun", models.SET_NULL, null=True, verbose_name=_("run"))
    replaced_at = models.DateTimeField(_("replaced"))

    class Meta:
        ordering = ["order", "number"]
        verbose_name = _("order version")
        verbose_name_plural = _("order versions")
        constraints = [
            models.UniqueConstraint(fields=["order", "number"], name="order_version_unique")
        ]

    def __str__(self) -> str:
        return f"{self.order} v{self.number}"


class Fill(models.Model):
    """One execution, as the exchange reported it, of an order or, if `order` is None, of one that is not known.

    Never changed, but that a database trigger lets in what was not told at first: the fees and the order, once each.
    """

    account = models.ForeignKey(
        ExchangeAccount, models.PROTECT, related_name="fills", verbose_name=_("account")
    )
    order = models.ForeignKey(
        Order, models.PROTECT, null=True, blank=True, related_name="fills", verbose_name=_("order")
    )
    order_external_id = models.CharField(_("exchange id of the order"), max_length=128, blank=True)
    external_id = models.CharField(_("exchange id"), max_length=128)
    symbol = models.CharField(_("symbol"), max_length=64)
    side = models.CharField(_("side"), max_length=4, choices=order_sides)
    price = AmountField(_("price"))
    amount = AmountField(_("amount"))
    cost = AmountField(_("cost"))
    fees = models.JSONField(_("fees"), default=list)
    executed_at = models.DateTimeField(_("executed"), null=True)
    # The fill that this one, of the opposite amounts, takes back: the exchange has undone it, as a person says.
    undoes = models.OneToOneField(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="undone_by",
        verbose_name=_("takes back"),
    )

    class Meta:
        ordering = ["executed_at", "pk"]
        verbose_name = _("fill")
        verbose_name_plural = _("fills")
        constraints = [
            # Trade ids are unique within a symbol only (which names the kind of market too), and two own orders that
            # met share one.
            models.UniqueConstraint(
                fields=["account", "symbol", "side", "external_id"], name="fill_unique_in_account"
            )
        ]
        indexes = [
            models.Index(fields=["account", "executed_at"], name="fill_account_executed"),
            models.Index(fields=["external_id"], name="fill_external_id"),
            models.Index(fields=["account", "order"], name="fill_account_order"),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.amount} {self.symbol}"

    @property
    def is_undone(self) -> bool:
        """Whether it is taken back, and that is not; read with `undone_by`."""
        times, fill = 0, self.undoing
        while fill is not None:
            times, fill = times + 1, fill.undoing
        return times % 2 == 1

    @property
    def undoing(self) -> Fill | None:
        """What takes it back, should that be taken back itself too."""
        return getattr(self, "undone_by", None)


class ClaimRule(models.Model):
    """Gives orders that nobody booked to a portfolio: those of a client id prefix, of a symbol, or all.

    The longest prefix that fits comes first, then the symbol, then all.
    """

    class Kind(models.TextChoices):
        CLIENT_PREFIX = "client_prefix", _("Client id begins with")
        SYMBOL = "symbol", _("Symbol is")
        ALL = "all", _("All orders")

    account = models.ForeignKey(
        ExchangeAccount, models.CASCADE, related_name="claim_rules", verbose_name=_("account")
    )
    portfolio = models.ForeignKey(
        Portfolio, models.CASCADE, related_name="claim_rules", verbose_name=_("portfolio")
    )
    kind = models.CharField(_("kind"), max_length=13, choices=Kind)
    value = models.CharField(_("value"), max_length=128, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["account", "kind", "value"]
        verbose_name = _("claim rule")
        verbose_name_plural = _("claim rules")
        constraints = [
            models.UniqueConstraint(
                fields=["account", "kind", "value"], name="claim_rule_unique_in_account"
            ),
            models.CheckConstraint(
                condition=models.Q(kind="all", value="")
                | (~models.Q(kind="all") & ~models.Q(value="")),
                name="claim_rule_has_its_value",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.value}".strip()
