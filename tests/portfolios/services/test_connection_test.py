from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from portfolios.models import (
    ExchangeAccount,
    Incident,
    MarketCredential,
    Order,
    Position,
    SyncRun,
)
from portfolios.services import connection_test
from portfolios.services.connection_test import execute_connection_test, note_test_asked
from portfolios.services.credentials import store_credential
from portfolios.services.leases import key_held
from portfolios.services.runs import claim_run, open_run, waiting_for_the_key_of
from providers.fetching import test_connection as ask_exchange
from providers.reports import ConnectionReport
from providers.sandbox.faults import Fault, FaultKind
from tests.desk import KEY, SECRET, Desk

State = MarketCredential.State


def after_a_test(desk: Desk) -> MarketCredential:
    execute_connection_test(desk.account.pk)
    return MarketCredential.objects.get(account=desk.account)


def test_f56_a_key_that_is_accepted_says_how_much_was_read(desk: Desk) -> None:
    desk.deposit("EUR", "10")
    desk.deposit("ADA", "5")

    credential = after_a_test(desk)

    assert credential.state == State.ACCEPTED
    assert credential.state_detail.startswith("Balances read: 2 assets. The exchange's clock is ")


def test_f56_only_reads_are_asked_of_the_exchange(desk: Desk) -> None:
    after_a_test(desk)

    assert desk.requests()
    assert all(request.startswith("GET ") for request in desk.requests())
    assert not any("order" in request.lower() for request in desk.requests())


def test_f56_nothing_is_stored_but_the_credentials_state(desk: Desk) -> None:
    desk.deposit("EUR", "10")
    set_at = MarketCredential.objects.get().set_at

    credential = after_a_test(desk)

    assert credential.set_at == set_at
    assert credential.tested_at is not None
    stored = (SyncRun, Incident, Order, Position)
    assert not any(model.objects.exists() for model in stored)


def test_f56_a_key_that_is_refused_says_so(desk: Desk) -> None:
    other = Desk(
        desk.server, label="other", credential={"apiKey": "no-such-key", "secret": "no-such-secret"}
    )

    credential = after_a_test(other)

    assert credential.state == State.REJECTED
    assert "Invalid API-key" in credential.state_detail
    assert "no-such" not in credential.state_detail


def test_a_key_that_is_stored_during_a_test_is_not_judged_by_the_old_ones_answer(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask_meanwhile(*args: Any) -> ConnectionReport:
        report = ask_exchange(*args)
        store_credential(desk.account, {"apiKey": "another-key", "secret": "another-secret"})
        return report

    monkeypatch.setattr(connection_test, "test_connection", ask_meanwhile)

    credential = after_a_test(desk)

    assert (credential.state, credential.findings) == (State.UNTESTED, {})


def test_f56_an_exchange_that_does_not_answer_says_nothing_about_the_key(desk: Desk) -> None:
    desk.server.faults.append(Fault(FaultKind.HTML_OK))

    credential = after_a_test(desk)

    assert credential.state == State.UNTESTED
    assert credential.state_detail


def test_f56_secrets_of_the_environment_are_tested_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    MarketCredential.objects.all().delete()
    monkeypatch.setenv("BINANCE_API_KEY", KEY)
    monkeypatch.setenv("BINANCE_SECRET_KEY", SECRET)

    assert after_a_test(desk).state == State.ACCEPTED


def test_f56_a_credential_that_cannot_be_opened_is_locked(desk: Desk) -> None:
    MarketCredential.objects.update(sealed={"apiKey": "changed", "secret": "changed"})

    credential = after_a_test(desk)

    assert (credential.state, desk.requests()) == (State.LOCKED, [])


def test_f56_a_market_that_nobody_serves_says_nothing_about_the_key(desk: Desk) -> None:
    account = desk.account
    MarketCredential.objects.all().delete()
    account.market = "gone"
    account.save()

    credential = after_a_test(desk)

    assert credential.state == State.UNTESTED
    assert credential.state_detail.startswith("No portfolio provider found for market gone.")


def test_what_was_learned_is_kept_as_plain_values(desk: Desk) -> None:
    desk.deposit("EUR", "10")

    findings = after_a_test(desk).findings

    assert (findings["assets"], findings["rights"]["trades"]) == (1, False)
    assert float(findings["clock_offset"]) == pytest.approx(0, abs=3)


def test_a_failure_leaves_its_class_and_forgets_what_was_learned(desk: Desk) -> None:
    after_a_test(desk)
    desk.engine.change_key(KEY, enabled=False)

    findings = after_a_test(desk).findings

    assert findings["category"] == "auth"
    assert "assets" not in findings


def test_a_test_that_is_over_is_waited_for_no_longer(desk: Desk) -> None:
    note_test_asked(desk.account)

    assert after_a_test(desk).test_asked_at is None


def test_a_key_that_a_sync_uses_is_left_alone_and_that_is_said(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = after_a_test(desk)
    run = claim_run(open_run(desk.account, SyncRun.Trigger.CLI)[0].pk)
    monkeypatch.setattr(connection_test, "WAIT", 0)
    desk.server.requests.clear()
    note_test_asked(desk.account)

    credential = after_a_test(desk)

    assert run is not None
    assert desk.requests() == []
    assert (credential.state, credential.tested_at) == (State.ACCEPTED, known.tested_at)
    assert credential.findings == {**known.findings, "was_busy": True}
    assert credential.test_asked_at is None
    assert desk.account.lease_fence == run.fence


def test_a_key_of_which_the_lease_lapses_is_waited_for(desk: Desk) -> None:
    other = Desk(desk.server, label="other")
    lapses = timezone.now() + timedelta(seconds=0.1)
    ExchangeAccount.objects.filter(pk=other.account.pk).update(lease_expires_at=lapses)

    assert "was_busy" not in after_a_test(desk).findings
    assert desk.account.lease_expires_at is None


def test_no_sync_begins_with_a_key_that_is_tested(desk: Desk) -> None:
    other = Desk(desk.server, label="other")
    runs = [open_run(x.account, SyncRun.Trigger.CLI)[0].pk for x in (desk, other)]

    with key_held(desk.account.pk, 60) as is_ours:
        assert is_ours
        assert [claim_run(run) for run in runs] == [None, None]

    assert waiting_for_the_key_of(desk.account.pk) == runs
    assert claim_run(runs[0]) is not None
