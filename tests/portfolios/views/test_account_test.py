from __future__ import annotations

from django.test import Client
from django_q.models import OrmQ

from portfolios.models import SyncRun
from tests.builders import make_account
from tests.portfolios.views.pages import text_of


def test_it_queues_a_test_and_no_sync(client: Client) -> None:
    account = make_account()

    client.post(f"/accounts/{account.pk}/test/")

    assert [task.func() for task in OrmQ.objects.all()] == ["portfolios.tasks.test_connection"]
    assert not SyncRun.objects.exists()


def test_it_says_where_the_result_appears(client: Client) -> None:
    account = make_account(label="main")

    response = client.post(f"/accounts/{account.pk}/test/", follow=True)

    assert "Testing the connection of main; the credential shows the result." in text_of(response)
