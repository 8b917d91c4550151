from __future__ import annotations

import pytest

from portfolios.models import Incident, MarketCredential, Order, Position, SyncRun
from portfolios.services.connection_test import execute_connection_test, note_test_asked
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
