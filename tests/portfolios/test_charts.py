from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest

from portfolios.charts import HEIGHT, WIDTH, Sample, share_chart, step_chart, thinned
from tests.builders import NOON

D = Decimal
END = NOON + timedelta(hours=4)


def after(hours: int, value: str | None) -> Sample:
    return Sample(NOON + timedelta(hours=hours), None if value is None else D(value))


def test_a_line_is_a_staircase_from_the_lowest_to_the_highest_value() -> None:
    chart = step_chart([[after(0, "1"), after(1, "3"), after(2, "2")]], END)

    assert chart is not None
    assert chart.lines == ("M0 160H150V0H300V80H600",)
    assert (chart.low, chart.high) == (D(1), D(3))


def test_what_is_not_known_is_a_gap_and_no_zero() -> None:
    chart = step_chart([[after(0, "1"), after(1, None), after(2, "2")]], END)

    assert chart is not None
    assert chart.lines == ("M0 160H150 M300 0H600",)
    assert chart.low == D(1)


def test_lines_share_their_axes() -> None:
    chart = step_chart([[after(0, "0")], [after(2, "10")]], END)

    assert chart is not None
    assert chart.lines == ("M0 160H600", "M300 0H600")


def test_what_never_changes_is_drawn_in_the_middle() -> None:
    chart = step_chart([[after(0, "5")]], END)

    assert chart is not None
    assert chart.lines == (f"M0 {HEIGHT // 2}H{WIDTH}",)


@pytest.mark.parametrize("samples", [[], [after(0, None)], [after(4, "1")]])
def test_nothing_is_drawn_of_what_is_not_known_or_takes_no_time(samples: list[Sample]) -> None:
    assert step_chart([samples], END) is None


def test_neighbours_of_36_digits_are_told_apart() -> None:
    low, high = "123456789012345678.123456789012345677", "123456789012345678.123456789012345678"

    chart = step_chart([[after(0, low), after(2, high)]], END)

    assert chart is not None
    assert chart.lines == ("M0 160H300V0H600",)


def test_bands_make_up_the_whole_and_touch() -> None:
    columns = [(NOON, {"A": D(3), "B": D(1)}), (NOON + timedelta(hours=2), {"A": D(1), "B": D(1)})]

    chart = share_chart(columns, ["A", "B"], END)

    assert chart is not None
    assert [band.path for band in chart.bands] == [
        "M0 0H300H600V80H300V120H0Z",
        "M0 120H300V80H600V160H300H0Z",
    ]


def test_a_third_is_drawn_to_a_tenth_of_a_pixel() -> None:
    chart = share_chart([(NOON, {"A": D(1), "B": D(2)})], ["A", "B"], END)

    assert chart is not None
    assert re.findall(r"V([\d.]+)", chart.bands[0].path) == ["53.3"]


def test_what_is_below_zero_has_no_share() -> None:
    chart = share_chart([(NOON, {"A": D(-5), "B": D(1)})], ["A", "B"], END)

    assert chart is not None
    assert chart.bands[0].path == "M0 0H600V0H0Z"


def test_where_nothing_has_a_share_is_a_gap() -> None:
    columns = [(NOON, {"A": D(0)}), (NOON + timedelta(hours=2), {"A": D(1)})]

    chart = share_chart(columns, ["A"], END)

    assert chart is not None
    assert chart.bands[0].path == "M300 0H600V160H300Z"


def test_a_band_too_thin_for_its_letter_has_none() -> None:
    chart = share_chart([(NOON, {"A": D(99), "B": D(1)})], ["A", "B"], END)

    assert chart is not None
    assert [(band.letter, band.middle) for band in chart.bands] == [("A", D("79.2")), ("B", None)]


@pytest.mark.parametrize("count", [1, 5, 6, 7, 1000])
def test_of_many_the_first_and_the_last_stay(count: int) -> None:
    kept = thinned(range(count), 5)

    assert len(kept) == min(count, 5)
    assert (kept[0], kept[-1]) == (0, count - 1)
