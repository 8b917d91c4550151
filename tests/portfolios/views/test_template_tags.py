from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from portfolios.models import Discrepancy, Incident, MarketCredential, SyncRun
from portfolios.models.choices import AccountState, Health, Severity, Verdict
from portfolios.selectors.progress import Step
from portfolios.templatetags.amounts import amount, difference, places
from portfolios.templatetags.changes import marked
from portfolios.templatetags.runs import stage_bar
from portfolios.templatetags.states import DRAWINGS, LOOKS, chip, run_strip
from portfolios.templatetags.times import age, due, span
from portfolios.templatetags.traces import trace_parts
from providers.reports import LegStatus, OrderStatus


def text(html: str) -> str:
    return re.sub(r"<[^>]+>", "", html)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("0", "0"),
        ("1E-18", "0.000000000000000001"),
        ("1E+6", "1000000"),
        ("1234567890.10", "1234567890.1"),
        ("-1234.5", "-1234.5"),
        ("123456789012345678.123456789012345678", "123456789012345678.123456789012345678"),
    ],
)
def test_an_amount_is_shown_with_exactly_its_digits(value: str, written: str) -> None:
    assert text(amount(Decimal(value))) == written


def test_thousands_are_set_apart_without_a_character() -> None:
    assert '1<span class="g">234</span><span class="g">567</span>' in amount(Decimal(1234567))


def test_an_amount_that_is_not_reported_is_a_dash_that_says_so() -> None:
    assert 'title="not reported"' in amount(None)
    assert "0" not in text(amount(None))


def test_a_positive_difference_has_a_sign() -> None:
    assert text(difference(Decimal("0.5"))) == "+0.5"
    assert text(difference(Decimal("-0.5"))) == "-0.5"
    assert text(difference(Decimal(0))) == "0"


def test_a_column_is_as_wide_as_its_longest_fraction() -> None:
    values = ["1.5", "0.00000001", None, "1E+3"]
    rows = [type("Row", (), {"total": value and Decimal(value)}) for value in values]

    assert places(rows, "total") == 8


def test_an_amount_takes_the_width_of_its_column() -> None:
    assert 'class="frac f8"' in amount(Decimal("1.5"), 8)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.25, "250 ms"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (7200, "2 h")],
)
def test_a_span_is_written_in_its_largest_unit(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_an_age_names_the_exact_time_as_well() -> None:
    shown = age(timezone.now() - timedelta(minutes=3, seconds=5))

    assert text(shown) == "3 min ago"
    assert re.search(r'datetime="[\d-]+T[\d:]+Z" title="[\d-]+ [\d:]+ UTC"', shown)


def test_what_is_overdue_says_for_how_long() -> None:
    assert text(due(timezone.now() - timedelta(minutes=20, seconds=5))) == "due for 20 min"
    assert text(due(timezone.now() + timedelta(minutes=20, seconds=5))) == "in 20 min"


@pytest.mark.parametrize(
    "state",
    [
        *Health.values,
        *AccountState.values,
        *SyncRun.Status.values,
        *LegStatus,
        *Verdict.values,
        *Discrepancy.State.values,
        *Severity.values,
        *Incident.State.values,
        *MarketCredential.State.values,
        *OrderStatus,
    ],
)
def test_every_state_has_a_drawing_and_a_word(state: str) -> None:
    assert LOOKS[state].drawing in DRAWINGS
    assert text(chip(state)).strip()
    assert "<svg" in chip(state)


def test_a_state_that_is_not_known_is_not_mistaken_for_a_good_one() -> None:
    assert "Unknown" in chip("<b>new</b>")
    assert "tone-muted" in chip("<b>new</b>")


def test_a_strip_tells_its_runs_in_words() -> None:
    strip = run_strip(["succeeded", "failed", "succeeded"], 30)

    assert 'aria-label="Last 3 runs: 2 Succeeded, 1 Failed"' in strip
    # One beside the other, the newest at the right end; what went wrong stands taller.
    assert 'class="bar-succeeded" d="M189 20v-10h5v10zM203 20v-10h5v10z"' in strip
    assert 'class="bar-failed" d="M196 20v-20h5v20z"' in strip


def bar(began: float, ended: float | None, *, state: str = "done") -> str:
    """Draw a stage of a run of ten seconds; return place and width of its bar, of a thousand."""
    begin = timezone.now()
    began_at = begin + timedelta(seconds=began)
    ended_at = None if ended is None else begin + timedelta(seconds=ended)
    drawn = stage_bar(
        Step("Booking", state, began_at, ended_at), begin, begin + timedelta(seconds=10)
    )
    found = re.search(r'class="bar-\w+" x="(\d+)" y="0" width="(\d+)"', drawn)
    assert found is not None
    return f"{found[1]}+{found[2]}"


@pytest.mark.parametrize(
    ("began", "ended", "drawn"),
    [
        (0, 10, "0+1000"),
        (2.5, 7.5, "250+500"),
        (4, None, "400+600"),  # it goes on
        (10, 10, "996+4"),  # what took no time is still seen
        (-5, 5, "0+500"),  # by another clock
    ],
)
def test_a_stage_is_drawn_where_it_lies(began: float, ended: float | None, drawn: str) -> None:
    assert bar(began, ended) == drawn


def test_a_run_that_took_no_time_can_be_drawn() -> None:
    now = timezone.now()

    assert "<rect" in stage_bar(Step("Booking", "done", now, now), now, now)


def test_a_stage_that_was_not_reached_is_not_drawn() -> None:
    now = timezone.now()

    assert stage_bar(Step("Booking", "next"), now, now) == ""


@pytest.mark.parametrize(
    ("value", "other", "written"),
    [
        ("0.5", "0.51", "0.5<mark>0</mark>"),
        ("0.51", "0.5", "0.5<mark>1</mark>"),
        ("99.5", "100.5", "<mark>99</mark><mark>.5</mark>"),
        ("-1.5", "1.5", "<mark>-1</mark><mark>.5</mark>"),
        ("12", "13", "1<mark>2</mark>"),
        (
            "1234567.5",
            "1234967.5",
            '1<span class="g">234</span><span class="g"><mark>567</mark></span><mark>.5</mark>',
        ),
        (
            "-1234567",
            "-1239567",
            '-1<span class="g">23<mark>4</mark></span><span class="g"><mark>567</mark></span>',
        ),
    ],
)
def test_the_digits_are_marked_from_the_first_that_differs(
    value: str, other: str, written: str
) -> None:
    html = marked(Decimal(value), Decimal(other))

    assert html.startswith(f'<span class="amount">{written}</span><span class="sr">')


@pytest.mark.parametrize("other", [None, Decimal("0.5"), Decimal("0.50")])
def test_what_does_not_differ_is_not_marked(other: Decimal | None) -> None:
    assert marked(Decimal("0.5"), other) == amount(Decimal("0.5"))


def test_a_trace_keeps_every_line_and_folds_libraries() -> None:
    lines = [
        "Traceback (most recent call last):",
        '  File "portfolios/tasks.py", line 1, in run',
        "    work()",
        '  File "django/db/utils.py", line 2, in inner',
        "    return func()",
        '  File "sqlite3/base.py", line 3, in execute',
        "ValueError: x",
    ]

    parts = trace_parts("\n".join(lines))

    assert [part.frames for part in parts] == [0, 2, 0]
    assert "\n".join(part.text for part in parts).splitlines() == lines
