"""What may be in the queue: JSON that names a task of ours and ids. Everything else is thrown away unread."""

from __future__ import annotations

import json
import pickle
import zlib
from typing import Any

import pytest
from django.core import signing as django_signing
from django_q.conf import Conf
from django_q.core_signing import TimestampSigner
from django_q.models import OrmQ
from django_q.signing import BadSignature, SignedPackage
from django_q.tasks import async_task

from portfolios.models import SyncRun
from portfolios.tasks import enqueue_sync
from tests.builders import make_account

pytestmark = pytest.mark.django_db

A_TASK: dict[str, Any] = {
    "id": "0123456789abcdef",
    "name": "sync_accounts",
    "func": "portfolios.tasks.sync_accounts",
    "args": [[7]],
    "kwargs": {},
    "started": "2026-11-22T12:00:00+00:00",
}


def payload(content: bytes) -> str:
    """Sign anything with the real key, as somebody could who has stolen it."""
    text = django_signing.b64_encode(content).decode()
    return sign(text)


def sign(text: str) -> str:
    return str(TimestampSigner(key=Conf.SECRET_KEY, salt=Conf.PREFIX).sign(text))


def test_a_payload_is_json_with_ids_only() -> None:
    run = enqueue_sync(make_account(), SyncRun.Trigger.MANUAL)

    signed = OrmQ.objects.get().payload.split(":")[0]
    task = json.loads(django_signing.b64_decode(signed.encode()))
    assert (task["func"], task["args"], task["kwargs"]) == (
        "portfolios.tasks.sync_accounts",
        [[run.pk]],
        {},
    )
    assert task["save"] is False


@pytest.mark.parametrize(
    ("function", "options"),
    [
        ("os.system", {}),
        ("portfolios.tasks.use_json_payloads", {}),
        ("portfolios.tasks.sync_accounts", {"hook": "os.system"}),
        ("portfolios.tasks.sync_accounts", {"timeout": 9999}),
        ("portfolios.tasks.sync_accounts", {"cached": True}),
        ("portfolios.tasks.sync_accounts", {"command": "true"}),
    ],
)
def test_what_is_no_task_of_ours_is_not_queued(function: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Refused to queue"):
        async_task(function, **options)

    assert not OrmQ.objects.exists()


def test_an_object_is_not_queued() -> None:
    with pytest.raises(TypeError, match="Refused to queue a ExchangeAccount"):
        async_task("portfolios.tasks.sync_accounts", make_account())


class Exploit:
    """Runs when it is unpickled."""

    happened: list[str] = []

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return Exploit.happened.append, ("executed",)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(pickle.dumps(A_TASK), id="a pickle of a good task"),
        pytest.param(pickle.dumps(Exploit()), id="a pickle that runs something"),
        pytest.param(json.dumps(A_TASK | {"func": "os.system"}).encode(), id="another function"),
        pytest.param(json.dumps(A_TASK | {"hook": "os.system"}).encode(), id="an unknown key"),
        pytest.param(json.dumps(A_TASK | {"save": True}).encode(), id="a result to be kept"),
        pytest.param(json.dumps(A_TASK | {"kwargs": {"x": 1}}).encode(), id="named arguments"),
        pytest.param(json.dumps(A_TASK | {"args": ["7"]}).encode(), id="text for an id"),
        pytest.param(json.dumps(A_TASK | {"args": [[True]]}).encode(), id="a flag for an id"),
        pytest.param(json.dumps(A_TASK | {"args": None}).encode(), id="no arguments"),
        pytest.param(json.dumps(A_TASK | {"func": ["a"]}).encode(), id="a list for a function"),
        pytest.param(json.dumps(A_TASK | {"started": 5}).encode(), id="no time"),
        pytest.param(json.dumps(A_TASK | {"args": [[7] * 9000]}).encode(), id="too long"),
        pytest.param(b"[" * 15_000, id="too deep"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"null", id="null"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(b"", id="empty"),
    ],
)
def test_a_signed_payload_that_is_no_task_of_ours_is_thrown_away_and_not_run(
    content: bytes,
) -> None:
    Exploit.happened.clear()

    with pytest.raises(BadSignature):
        SignedPackage.loads(payload(content))

    assert Exploit.happened == []


@pytest.mark.parametrize("text", [".AAAA", "A", ".", "é"])
def test_a_signed_payload_that_cannot_be_unpacked_is_thrown_away(text: str) -> None:
    signed = sign(text)

    with pytest.raises(BadSignature):
        SignedPackage.loads(signed)


@pytest.mark.parametrize("text", ["", "garbage", "a:b:c"])
def test_an_unsigned_payload_is_thrown_away(text: str) -> None:
    with pytest.raises(BadSignature):
        SignedPackage.loads(text)


def test_a_payload_whose_signature_is_cut_is_thrown_away() -> None:
    with pytest.raises(BadSignature):
        SignedPackage.loads(payload(json.dumps(A_TASK).encode())[:-1])


def test_a_packed_task_of_ours_is_read() -> None:
    packed = b"." + django_signing.b64_encode(zlib.compress(json.dumps(A_TASK).encode()))
    signed = sign(packed.decode())

    assert SignedPackage.loads(signed)["args"] == ([7],)
