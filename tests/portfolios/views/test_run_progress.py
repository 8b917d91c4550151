from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from portfolios.models import SyncRun, WorkerBeat
from tests.builders import make_discrepancy, make_run
from tests.portfolios.views.pages import html_of, text_of


def running(**kwargs: Any) -> SyncRun:
    return make_run(status=SyncRun.Status.RUNNING, stage=SyncRun.Stage.FETCHING, **kwargs)


def progress_url(run: SyncRun) -> str:
    return f"/runs/{run.pk}/progress/"


def test_it_shows_how_far_the_run_is(client: Client) -> None:
    page = client.get(progress_url(running(progress_done=7, progress_total=19)))

    assert re.search(r'<progress\s+max="19"\s+value="7"', html_of(page))
    assert "7 of 19" in text_of(page)


def test_it_marks_the_stage_that_is_worked_on(client: Client) -> None:
    page = html_of(client.get(progress_url(running())))

    steps = re.findall(r'class="(step-\w+)"', page)
    assert steps == ["step-done", "step-now", "step-next", "step-next"]


def test_an_unknown_number_of_reads_is_not_shown_as_zero(client: Client) -> None:
    page = html_of(client.get(progress_url(running())))

    assert "<progress" in page
    assert "value=" not in page


def test_it_is_asked_for_again_while_the_run_is_open(client: Client) -> None:
    assert 'hx-trigger="every 1s"' in html_of(client.get(progress_url(running())))


def test_it_is_not_asked_for_again_once_the_run_is_over(client: Client) -> None:
    run = make_run(orders_checked=4, orders_changed=1, http_requests=6)

    page = client.get(progress_url(run))

    assert "every 1s" not in html_of(page)
    assert "4 orders checked, 1 changed, 6 requests" in text_of(page)
    assert f'href="/runs/{run.pk}/"' in html_of(page)


def test_nothing_new_is_an_empty_answer(client: Client) -> None:
    run = running(progress_done=3, progress_total=9)
    seen = re.search(r'progress/(\?seen=[^"]+)"', html_of(client.get(progress_url(run))))
    assert seen is not None

    response = client.get(progress_url(run) + seen[1])

    assert response.status_code == 204


def test_something_new_is_answered(client: Client) -> None:
    run = running(progress_done=3, progress_total=9)

    response = client.get(progress_url(run) + "?seen=running-fetching-2-9-0-1")

    assert response.status_code == 200


def test_a_result_brings_the_page_up_to_date_that_it_is_shown_in(client: Client) -> None:
    run = make_run()
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/portfolios/1/?a=b"}

    page = html_of(client.get(progress_url(run), headers=headers))

    assert 'hx-get="/portfolios/1/?a=b"' in page


def test_a_page_of_another_site_is_never_asked_for(client: Client) -> None:
    run = make_run()
    headers = {"HX-Request": "true", "HX-Current-URL": "http://evil.example/"}

    page = html_of(client.get(progress_url(run), headers=headers))

    assert "hx-get" not in page
    assert "evil" not in page


def test_a_failed_run_says_why(client: Client) -> None:
    run = make_run(status=SyncRun.Status.FAILED, message="binance is in maintenance.")

    page = text_of(client.get(progress_url(run)))

    assert "Failed" in page
    assert "binance is in maintenance." in page


@pytest.mark.parametrize(
    ("status", "words"),
    [("succeeded", "Done"), ("partial", "Done with warnings"), ("failed", "Failed")],
)
def test_it_ends_in_one_of_three_ways(client: Client, status: str, words: str) -> None:
    page = text_of(client.get(progress_url(make_run(status=status))))

    assert page.startswith(f"{words} Sync of ")


def test_it_says_what_is_being_read(client: Client) -> None:
    run = running(progress_of="order", progress_done=3, progress_total=9)

    assert "Stage 2 of 4 · Order: 3 of 9" in text_of(client.get(progress_url(run)))


def test_a_good_end_does_not_hide_what_is_open(client: Client) -> None:
    run = make_run()
    make_discrepancy(run.account)

    page = client.get(progress_url(run))

    assert "1 discrepancy of this account is open" in text_of(page)
    assert f'href="/discrepancies/?account={run.account_id}&amp;state=OPEN"' in html_of(page)


def test_it_warns_if_no_worker_is_there(client: Client) -> None:
    page = text_of(client.get(progress_url(make_run(status=SyncRun.Status.QUEUED))))

    assert "No worker has given a sign of life lately." in page


def test_it_does_not_warn_if_a_worker_is_there(client: Client) -> None:
    WorkerBeat.objects.create(name="dispatch", beat_at=timezone.now())

    page = text_of(client.get(progress_url(make_run(status=SyncRun.Status.QUEUED))))

    assert "sign of life" not in page
