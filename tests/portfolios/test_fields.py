from __future__ import annotations

import decimal
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from django import forms
from django.core import serializers
from django.core.exceptions import FieldError, ValidationError
from django.db import IntegrityError, connection, models, transaction
from django.db.models import F, Max, Sum
from django.db.models.functions import Coalesce, Greatest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoDbBlocker

from portfolios.fields import AmountField, AmountFormField
from portfolios.models import LegContent
from tests.builders import make_account

pytestmark = pytest.mark.django_db


class Holding(models.Model):
    amount = AmountField("amount", default=Decimal(0))
    cost = AmountField(null=True, blank=True)

    objects: ClassVar[models.Manager[Holding]] = models.Manager()

    class Meta:
        app_label = "test_fields"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(cost__negative=False), name="holding_cost_is_not_negative"
            )
        ]

    def __str__(self) -> str:
        return f"{self.amount}"


class HoldingForm(forms.ModelForm[Holding]):
    class Meta:
        model = Holding
        fields = ["amount", "cost"]


@pytest.fixture(scope="module", autouse=True)
def holding_table(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    # Outside of a transaction, which SQLite asks for when tables are made.
    with django_db_blocker.unblock():
        with connection.schema_editor() as editor:
            editor.create_model(Holding)
        yield
        with connection.schema_editor() as editor:
            editor.delete_model(Holding)


def stored(value: Decimal | str | int) -> Decimal:
    return Holding.objects.get(pk=Holding.objects.create(amount=value).pk).amount


AMOUNTS = st.builds(
    lambda digits, decimals: Decimal(digits).scaleb(-decimals, decimal.Context(prec=100)),
    st.integers(-(10**72) + 1, 10**72 - 1),
    st.integers(0, 36),
)


@given(AMOUNTS)
@settings(deadline=None)
@example(Decimal("12345678901234.567890123456789"))
@example(Decimal("1e-15"))
@example(Decimal("99999999.99999999"))
@example(Decimal("284578000.00000004"))
@example(Decimal("0.1"))
@example(Decimal("1e71"))
@example(Decimal("-1e-36"))
def test_amount_comes_back_to_the_last_digit(value: Decimal) -> None:
    back = stored(value)

    assert type(back) is Decimal
    assert back == value
    assert Holding.objects.filter(amount=value).exists()


@given(AMOUNTS)
@settings(deadline=None)
def test_amount_comes_back_in_whatever_context_a_library_left(value: Decimal) -> None:
    hostile = decimal.Context(prec=3, rounding=decimal.ROUND_UP, traps=[decimal.Inexact])
    with decimal.localcontext(hostile):
        back = stored(value)

    assert back == value


@pytest.mark.parametrize("spelling", ["1.50", "1.5", "+01.500", "15e-1", " 1.5 "])
def test_amount_is_found_by_any_spelling_of_it(spelling: str) -> None:
    Holding.objects.create(amount=Decimal("1.50"))

    assert Holding.objects.filter(amount=spelling).count() == 1
    assert Holding.objects.filter(amount__in=[spelling, 7]).count() == 1


@pytest.mark.parametrize("zero", ["-0", "0.000", "0e-30", "-0e5"])
def test_every_zero_is_the_same_zero(zero: str) -> None:
    Holding.objects.create(amount=Decimal(zero))

    assert str(Holding.objects.get(amount=0).amount) == "0"


def test_unknown_is_not_zero() -> None:
    Holding.objects.create(cost=None)

    assert Holding.objects.get(cost__isnull=True).cost is None
    assert not Holding.objects.filter(cost=0).exists()


@pytest.mark.parametrize("value", [0.1, True, b"1", [1]])
def test_what_is_no_exact_number_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=type(value).__name__):
        Holding.objects.create(amount=value)


def test_a_float_is_refused_in_a_lookup() -> None:
    wrong: Any = 0.1
    with pytest.raises(TypeError, match="float"):
        Holding.objects.filter(amount=wrong).exists()


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "-inf", "", "1,5", "1_0", "1e-37", "1e72", "9" * 73]
)
def test_what_an_amount_cannot_be_is_refused_by_name(value: str) -> None:
    with pytest.raises(ValidationError, match=f"“{value}” is no number"):
        Holding.objects.create(amount=value)


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity")])
def test_a_number_that_is_not_finite_is_refused(value: Decimal) -> None:
    with pytest.raises(ValidationError, match="is no number"):
        Holding(amount=value).full_clean()


@pytest.mark.parametrize("lookup", ["gt", "gte", "lt", "lte", "range", "contains", "startswith"])
def test_a_lookup_that_would_compare_text_is_refused(lookup: str) -> None:
    with pytest.raises(FieldError, match=f"test_fields.Holding.amount cannot .* {lookup!r}"):
        Holding.objects.filter(**{f"amount__{lookup}": 1}).exists()


@pytest.mark.parametrize(
    "expression", [Sum("amount"), Max("amount"), Greatest("amount", "cost")], ids=repr
)
def test_a_number_that_the_database_calculated_is_refused(
    expression: models.Func,
) -> None:
    Holding.objects.create(amount=1, cost=2)

    with pytest.raises(TypeError, match="use exact_sum"):
        list(Holding.objects.values("pk").annotate(result=expression))


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL calculates exactly")
def test_a_float_that_came_out_of_a_subquery_is_refused() -> None:
    Holding.objects.create(amount=1)
    total = Holding.objects.order_by().values("cost").annotate(total=Sum("amount")).values("total")

    with pytest.raises(TypeError, match="use exact_sum"):
        list(Holding.objects.annotate(total=models.Subquery(total)))


def test_an_update_that_the_database_would_calculate_is_refused() -> None:
    increased: Any = F("amount") + Decimal(1)

    with pytest.raises(FieldError, match="cannot be calculated by the database"):
        Holding.objects.update(amount=increased)


def test_an_update_may_copy_an_amount() -> None:
    copied: Any = F("amount")
    Holding.objects.create(amount="0.1234567890123456789")

    Holding.objects.update(cost=copied)

    assert Holding.objects.get().cost == Decimal("0.1234567890123456789")


def test_a_query_may_replace_unknown() -> None:
    Holding.objects.create(amount="0.1234567890123456789")

    known = Holding.objects.annotate(known=Coalesce("cost", "amount")).values_list("known")

    assert list(known) == [(Decimal("0.1234567890123456789"),)]


def test_many_rows_are_updated_exactly() -> None:
    rows = Holding.objects.bulk_create([Holding(amount=1), Holding(amount=2, cost=3)])
    for row, value in zip(rows, ["1e-36", "12345678901234.567890123456789"], strict=True):
        row.amount = Decimal(value)
        row.cost = None

    Holding.objects.bulk_update(rows, ["amount", "cost"])

    assert list(Holding.objects.order_by("pk").values_list("amount", "cost")) == [
        (Decimal("1e-36"), None),
        (Decimal("12345678901234.567890123456789"), None),
    ]


def test_negative_amounts_are_found() -> None:
    for value in ("-0.1", "-0", "0", "0.1", "-12"):
        Holding.objects.create(amount=Decimal(value))

    assert {x.amount for x in Holding.objects.filter(amount__negative=True)} == {
        Decimal("-0.1"),
        Decimal(-12),
    }
    assert Holding.objects.filter(amount__negative=False).count() == 3


def test_the_database_can_hold_an_amount_to_not_negative() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Holding.objects.create(cost="-0.1")

    Holding.objects.create(cost=None)
    assert Holding.objects.create(cost="0.1").cost


def test_dump_and_load_keep_every_digit() -> None:
    value = Decimal("-12345678901234.567890123456789000001")
    field = Holding._meta.get_field("amount")

    (dumped,) = json.loads(serializers.serialize("json", [Holding(amount=value)]))

    assert field.to_python(dumped["fields"]["amount"]) == value
    assert field.to_python(dumped["fields"]["cost"]) is None


def test_dump_as_text_is_in_plain_notation() -> None:
    row = Holding(amount=Decimal("1E-15"))

    assert Holding._meta.get_field("amount").value_to_string(row) == "0.000000000000001"


def test_migrations_can_write_the_field_down() -> None:
    field = Holding._meta.get_field("cost")

    _, path, args, kwargs = field.deconstruct()

    assert (path, args, kwargs) == (
        "portfolios.fields.AmountField",
        [],
        {"null": True, "blank": True},
    )


def test_form_reads_amounts_exactly() -> None:
    form = HoldingForm({"amount": " 12345678901234.567890123456789 ", "cost": ""})

    assert form.is_valid()
    assert form.cleaned_data == {
        "amount": Decimal("12345678901234.567890123456789"),
        "cost": None,
    }


@pytest.mark.parametrize("text", ["", "1,5", "NaN", "1e-37", "<b>"])
def test_form_refuses_what_is_no_amount(text: str) -> None:
    form = HoldingForm({"amount": text})

    assert not form.is_valid()
    assert list(form.errors) == ["amount"]


def test_form_shows_plain_notation() -> None:
    form = HoldingForm(instance=Holding(amount=Decimal("1E-15"), cost=Decimal("1E+3")))

    assert 'value="0.000000000000001"' in str(form["amount"])
    assert 'value="1000"' in str(form["cost"])


def test_form_sees_no_change_in_another_spelling() -> None:
    assert not AmountFormField().has_changed(Decimal("1.5"), "1.50")
    assert AmountFormField().has_changed(Decimal("1.5"), "1.51")


def test_form_shows_again_what_could_not_be_read() -> None:
    assert 'value="1,5"' in str(HoldingForm({"amount": "1,5"})["amount"])


# --- packed JSON ----------------------------------------------------------------------------------

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=20,
)


@pytest.fixture(scope="module")
def packed(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[LegContent]:
    with django_db_blocker.unblock(), transaction.atomic():
        yield LegContent.objects.create(account=make_account(), digest="packed", rows=[])
        transaction.set_rollback(True)


@given(value=JSON_VALUES)
@example(value="half a character: \ud800, and nothing: \x00")
def test_packed_json_comes_back_as_it_was(packed: LegContent, value: Any) -> None:
    LegContent.objects.filter(pk=packed.pk).update(rows=[value])

    assert LegContent.objects.get(pk=packed.pk).rows == [value]


@pytest.mark.django_db
def test_packed_json_takes_a_tenth_of_its_room() -> None:
    rows = [{"external_id": str(number), "symbol": "ADA/EUR"} for number in range(2000)]
    LegContent.objects.create(account=make_account(), digest="large", rows=rows)

    with connection.cursor() as cursor:
        cursor.execute("SELECT length(rows) FROM portfolios_legcontent")
        (stored,) = cursor.fetchone()
    assert stored * 10 < len(json.dumps(rows))


@pytest.mark.django_db
def test_packed_json_is_not_looked_into() -> None:
    with pytest.raises(FieldError, match="packed"):
        LegContent.objects.filter(rows=[]).exists()


@pytest.mark.django_db
def test_a_dump_has_the_json_itself_and_loads_it() -> None:
    content = LegContent.objects.create(account=make_account(), digest="x", rows=[{"a": "1"}])
    dumped = serializers.serialize("json", [content])
    LegContent.objects.all().delete()

    [loaded] = serializers.deserialize("json", dumped)
    loaded.save()

    assert json.loads(dumped)[0]["fields"]["rows"] == [{"a": "1"}]
    assert LegContent.objects.get().rows == [{"a": "1"}]
