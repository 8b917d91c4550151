from __future__ import annotations

from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from itertools import combinations, product
from typing import Any

import pytest
from django.core.exceptions import EmptyResultSet
from django.db import connections, transaction
from django.db.models import F, Q, QuerySet
from django.db.transaction import TransactionManagementError

from portfolios.models import ExchangeAccount, Fill, Flow, Order
from possync_site.databases import compiled_queries
from tests.builders import make_account, make_order, make_portfolio
from tests.databases.comparing import compared

NOW = datetime(2026, 11, 23, tzinfo=UTC)
CONDITIONS: tuple[Callable[[int, str], Q], ...] = (
    lambda number, _word: Q(pk=number),
    lambda number, _word: Q(account=number),
    lambda number, _word: Q(account_id__in=[number, number + 1]),
    lambda number, _word: Q(pk__in=range(number % 7)),
    lambda number, _word: Q(pk__gte=number) | Q(pk__lt=number - 10),
    lambda _number, word: Q(symbol=word),
    lambda _number, word: Q(symbol__startswith=word),
    lambda _number, word: Q(symbol__icontains=word),
    lambda _number, word: ~Q(symbol__in=[word, "ADA/EUR"]),
    lambda number, word: ~(Q(symbol=word) & Q(portfolio=number)),
    lambda number, _word: Q(portfolio__isnull=bool(number % 2)),
    lambda number, _word: Q(external=bool(number % 2)),
    lambda number, _word: Q(account__paused=bool(number % 2)),
    lambda _number, word: Q(account__label=word, portfolio__name=word),
    lambda number, _word: Q(fills__pk=number),
    lambda number, _word: ~Q(fills__pk=number),
    lambda _number, _word: Q(filled=F("amount")),
    lambda number, _word: Q(amount=number),
    lambda number, _word: Q(amount__negative=bool(number % 2)),
    lambda _number, word: Q(fees=[word] * len(word)),
    lambda _number, word: Q(pk__in=Order.objects.filter(symbol=word)),
    lambda number, _word: Q(updated_at__gt=NOW.replace(year=1000 + number % 2000)),
)
FORMS: tuple[Callable[[QuerySet[Any]], QuerySet[Any]], ...] = (
    lambda rows: rows,
    lambda rows: rows.order_by("symbol", "-pk"),
    lambda rows: rows.order_by("account__label"),
    lambda rows: rows.order_by(F("symbol").desc()),
    lambda rows: rows.order_by()[:1],
    lambda rows: rows[3:9],
    lambda rows: rows[4:9],
    lambda rows: rows.values("account"),
    lambda rows: rows.values("account_id"),
    lambda rows: rows.values(sign=F("symbol")),
    lambda rows: rows.select_related("portfolio"),
    lambda rows: rows.only("symbol", "amount"),
    lambda rows: rows.order_by("-symbol"),
    lambda rows: rows.order_by("account"),
    lambda rows: rows.select_for_update(of=("self",)),
    lambda rows: rows.select_for_update(),
    lambda rows: Fill.objects.filter(order__in=[1]),
    lambda rows: Flow.objects.filter(account__in=[1]),
    lambda rows: rows.distinct(),
    lambda rows: rows.select_related("account"),
    lambda rows: rows.select_related("account__credential", "portfolio"),
    lambda rows: rows.only("symbol"),
    lambda rows: rows.defer("symbol", "amount"),
    lambda rows: rows.values_list("symbol", "pk"),
    lambda rows: rows.values_list("pk", "symbol"),
    lambda rows: rows.values("pk", "symbol"),
    lambda rows: rows.values("symbol", "pk"),
    lambda rows: rows.values_list("account__label", flat=True),
    lambda rows: rows.values_list("account", "portfolio__name"),
    lambda rows: rows.reverse(),
)
VALUES = ((1, "a"), (2, "B%_\\é"), (-(2**62), ""))


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    vars(connections["default"]).pop("compiled_queries", None)


def kept() -> dict[Hashable, Any]:
    queries: dict[Hashable, Any] = vars(connections["default"])["compiled_queries"]
    return queries


def test_every_condition_in_every_form_is_what_django_makes_of_it(db: None) -> None:
    with compared() as taken:
        for values, condition, form in product(VALUES, CONDITIONS, FORMS):
            _compile(form(Order.objects.filter(condition(*values))))
    assert len(taken) > len(CONDITIONS) * len(FORMS)


def test_any_two_conditions_together_are_what_django_makes_of_them(db: None) -> None:
    with compared() as taken:
        for values, (first, second) in product(VALUES[:2], combinations(CONDITIONS, 2)):
            one, other = first(*values), second(*values)
            for both in (one & other, one | other, ~(one | other)):
                _compile(Order.objects.filter(both))
    assert len(taken) > len(CONDITIONS) ** 2 / 2


def _compile(rows: QuerySet[Any]) -> None:
    try:
        rows.query.get_compiler(using="default").as_sql()
    except EmptyResultSet:
        return


def test_a_query_of_other_values_is_not_compiled_again(db: None) -> None:
    make_account(label="first")
    second = make_account(label="second")
    assert ExchangeAccount.objects.filter(label="first").count() == 1
    with compared() as taken:
        [first] = ExchangeAccount.objects.filter(label="first")
        [found] = ExchangeAccount.objects.filter(label="second")
    assert found == second
    assert first.label == "first"
    assert len(taken) == 1


def test_rows_with_what_they_belong_to_are_made_as_the_first_time(db: None) -> None:
    order = make_order(make_portfolio(make_account(label="desk")), amount="1.50")
    for _time in range(2):
        [row] = Order.objects.filter(pk=order.pk).select_related("account", "portfolio")
        assert (row.account.label, row.portfolio, f"{row.amount:f}") == (
            "desk",
            order.portfolio,
            "1.5",
        )


def test_an_empty_list_finds_nothing_after_a_full_one(db: None) -> None:
    account = make_account()
    found = [list(ExchangeAccount.objects.filter(pk__in=keys)) for keys in ([account.pk], [], [0])]
    assert found == [[account], [], []]


def test_an_annotated_query_is_not_kept(db: None) -> None:
    list(ExchangeAccount.objects.annotate(name=F("label")))
    assert not vars(connections["default"]).get("compiled_queries")


def test_locking_outside_of_a_transaction_is_refused_after_it_was_right_inside(
    transactional_db: None,
) -> None:
    rows = ExchangeAccount.objects.select_for_update()
    with transaction.atomic():
        assert list(rows.all()) == []
    if connections["default"].features.has_select_for_update:
        with pytest.raises(TransactionManagementError):
            list(rows.all())


def test_no_more_is_kept_than_a_process_may_need(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_queries, "MOST_KEPT", 5)
    for length in range(1, 20):
        list(ExchangeAccount.objects.filter(pk__in=range(length)))
    assert 1 <= len(kept()) <= 5
