"""Planted secrets are found nowhere: not in database, logs, pages, tasks, exports or representations."""

from __future__ import annotations

import base64
import html
import json
import logging
import logging.config
import re
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web
from django.apps import apps
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django_q.models import OrmQ
from django_q.signing import SignedPackage
from pytest_django.fixtures import Settings

from portfolios.admin import credentials as credentials_admin
from portfolios.models import ExchangeAccount, MarketCredential, SyncRun
from portfolios.services.book import import_book
from portfolios.services.connection_test import execute_connection_test
from portfolios.services.credentials import opened_credentials, store_credential
from portfolios.services.manual_sync import sync_now
from portfolios.services.providers import provider_lookup, user_providers
from portfolios.services.snapshot_requests import snapshot_request
from portfolios.tasks import enqueue_connection_test, enqueue_sync
from providers.sandbox.engine import Engine
from providers.sandbox.faults import Fault, FaultKind
from providers.sandbox.server import SandboxServer
from tests.builders import make_incident
from tests.canaries import canary, hits, spellings
from tests.processes.installation import Installation

ADD_CREDENTIAL = "/admin/portfolios/marketcredential/add/"
PEM = (
    f"-----BEGIN PRIVATE KEY-----\n{canary('pem', plain=True)}MIIB\nabc=\n-----END PRIVATE KEY-----"
)
SECRETS: Mapping[str, str] = {
    "key of the book": canary("bookkey", plain=True),
    "secret of the book": canary("booksecret"),
    "passphrase of the book": canary("passphrase"),
    "private key of the book": canary("pem", plain=True),
    "key from the admin": canary("adminkey", plain=True),
    "secret from the admin": canary("adminsecret"),
    "secret that was refused": canary("refused"),
    "key from the environment": canary("envkey", plain=True),
    "secret from the environment": canary("envsecret"),
    "wrong secret": canary("wrong"),
    "password of the user": canary("userpassword"),
}
# The page that logs out ends the crawl; static files are not made of anything stored.
# Of the forms for a new connection, one a market, one stands for all.
NOT_CRAWLED = re.compile(r"/logout/|/static/|^/admin/jsi18n|^/connect/new/(?!binance/)")


class Scene:
    """An installation with three accounts, each with its secrets from elsewhere, and whatever can go wrong."""

    def __init__(self, server: SandboxServer, client: Client) -> None:
        self.server = server
        self.client = client
        self.said: dict[str, str] = {}
        for origin in ("book", "admin", "env"):
            key, secret = canary(f"{origin}key", plain=True), canary(f"{origin}secret")
            server.engine.add_account(key, secret)
            server.engine.deposit(key, "USDT", "1000")

    def plant(self) -> None:
        credential = {
            "apiKey": SECRETS["key of the book"],
            "secret": SECRETS["secret of the book"],
            "password": SECRETS["passphrase of the book"],
            "privateKey": PEM,
        }
        import_book({"accounts": [self._row("book") | {"credential": credential}]})
        import_book({"accounts": [self._row("admin"), self._row("environment")]})
        account = ExchangeAccount.objects.get(label="admin")
        self._enter("refused form", account.pk, secret=SECRETS["secret that was refused"])
        refused = {"label": "admin", "apiKey": SECRETS["key from the admin"]}
        refused["secret"] = SECRETS["secret that was refused"]
        self.note("refused connection", self.client.post("/connect/new/binance/", refused))
        self._enter(
            "accepted form",
            account.pk,
            apiKey=SECRETS["key from the admin"],
            secret=SECRETS["secret from the admin"],
        )

    def _row(self, label: str) -> dict[str, Any]:
        return {"label": label, "market": "binance", "endpoint": self.server.url}

    def _enter(self, name: str, account: int, **secrets: str) -> None:
        self.note(name, self.client.post(ADD_CREDENTIAL, {"account": account, **secrets}))

    def note(self, name: str, response: Any) -> None:
        headers = "\n".join(f"{key}: {value}" for key, value in response.headers.items())
        self.said[name] = f"{headers}\n{body_of(response)}"

    def sync(self) -> list[SyncRun]:
        return sync_now(ExchangeAccount.objects.all())

    def sync_in_trouble(self, kind: FaultKind) -> None:
        self.server.faults[:] = [Fault(kind, size=40_000_000)]
        sync_now([ExchangeAccount.objects.get(label="book")])
        self.server.faults.clear()

    def sync_with_an_exchange_that_repeats_keys(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for account in ExchangeAccount.objects.all():
            key = opened_credentials(account)["apiKey"].reveal()
            refused = {"code": -2015, "msg": f"Invalid API-key {key}, see /keys?key={quote(key)}"}
            answer = partial(web.json_response, refused, status=401)
            self.server.faults[:] = [Fault(FaultKind.EXPIRED_KEY)]
            with monkeypatch.context() as patch:
                patch.setattr(self.server.dialect, "refusal", lambda _kind, answer=answer: answer())
                sync_now([account])
                execute_connection_test(account.pk)
        self.server.faults.clear()

    def sync_with_a_wrong_secret(self) -> None:
        account = ExchangeAccount.objects.get(label="admin")
        store_credential(account, {"secret": SECRETS["wrong secret"]})
        self.sync()
        execute_connection_test(account.pk)
        store_credential(account, {"secret": SECRETS["secret from the admin"]})

    def sync_with_a_locked_credential(self) -> None:
        credential = MarketCredential.objects.get(account__label="book")
        sealed = dict(credential.sealed)
        credential.sealed = sealed | {"secret": sealed["apiKey"]}
        credential.save()
        self.sync()
        execute_connection_test(credential.account_id)
        credential.sealed = sealed
        credential.save()

    def test_connections(self) -> None:
        for account in ExchangeAccount.objects.all():
            execute_connection_test(account.pk)
            enqueue_connection_test(account)
            enqueue_sync(account, SyncRun.Trigger.MANUAL)

    def break_pages(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the form that has just been given secrets fail, with and without Django's page for developers."""
        account = ExchangeAccount.objects.create(**self._row("broken"))

        def break_off(_account: ExchangeAccount, values: Mapping[str, str]) -> None:
            entered = dict(values)
            raise OSError(f"the disk is full after {len(entered)} values")

        with monkeypatch.context() as patch:
            patch.setattr(credentials_admin, "store_credential", break_off)
            for debug in (False, True):
                settings.DEBUG = debug
                self._enter(
                    f"page of an error, debug {debug}",
                    account.pk,
                    apiKey=SECRETS["key from the admin"],
                    secret=SECRETS["secret from the admin"],
                )
            settings.DEBUG = False

    def crawl(self, until: str = "") -> None:
        """Visit every page that a superuser can reach from the overview and the admin, or those up to one."""
        waiting, seen = deque(["/", "/admin/", ADD_CREDENTIAL]), set[str]()
        while waiting and until not in seen:
            path = waiting.popleft()
            if path in seen or NOT_CRAWLED.search(path):
                continue
            seen.add(path)
            response = self.client.get(path)
            self.note(f"page {path}", response)
            links = re.findall(r'(?:href|src|hx-get|action)="(/[^"?#]*)', body_of(response))
            waiting += [html.unescape(link) for link in links]

    def everything(self) -> dict[str, str]:
        return {**self.said, **commands(), **stored(), **queue(), **representations()}


def body_of(response: Any) -> str:
    content = b"".join(response) if response.streaming else response.content
    return bytes(content).decode(errors="replace")


def commands() -> dict[str, str]:
    return {
        "export_book": output_of("export_book"),
        "report": output_of("report", "--format", "json"),
        "report as text": output_of("report"),
        "dumpdata": output_of("dumpdata", "--exclude", "contenttypes"),
        "sync": output_of("sync", "--all"),
        "sync as JSON": output_of("sync", "--format", "json"),
    }


def output_of(*words: str) -> str:
    out, err = StringIO(), StringIO()
    with suppress(SystemExit):
        call_command(*words, stdout=out, stderr=err)
    return out.getvalue() + err.getvalue()


def stored() -> dict[str, str]:
    """Every row as text, and on SQLite also every byte, freed pages included."""
    texts = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - the database's own names
            texts[f"table {table}"] = repr(cursor.fetchall())
    if isinstance(connection.connection, sqlite3.Connection):
        texts["database"] = connection.connection.serialize().decode("latin-1")
        texts["database as UTF-8"] = connection.connection.serialize().decode(errors="replace")
    return texts


def queue() -> dict[str, str]:
    rows = OrmQ.objects.all()
    assert rows, "nothing was queued, so nothing could be looked for"
    return {f"task {row.pk}": repr(SignedPackage.loads(row.payload)) for row in rows}


def representations() -> dict[str, str]:
    objects = [
        row
        for model in apps.get_app_config("portfolios").get_models()
        for row in model._default_manager.all()[:50]
    ]
    account = ExchangeAccount.objects.get(label="book")
    secrets = opened_credentials(account)
    values: list[object] = [
        *objects,
        snapshot_request(account),
        secrets,
        dict(secrets),
        list(secrets.values()),
        provider_lookup().for_market("binance"),
    ]
    return {
        "representations": "\n".join(f"{value!r} {value!s} {value:}" for value in values),
        "variables": "\n".join(repr(vars(row)) for row in objects),
    }


@contextmanager
def logged(into: StringIO) -> Iterator[None]:
    """Write the product's log, from DEBUG on, `into` a text."""
    config = json.loads(json.dumps(django_settings.LOGGING, default=lambda _object: None))
    config["formatters"] = django_settings.LOGGING["formatters"]
    config["handlers"]["stderr"]["stream"] = into
    config["root"]["level"] = "DEBUG"
    before = logging.root.handlers[:], logging.root.level
    logging.config.dictConfig(config)
    try:
        yield
    finally:
        logging.root.handlers[:], level = before
        logging.root.setLevel(level)


@pytest.fixture
def scene(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    sandbox: SandboxServer,
    client: Client,
    django_user_model: Any,
) -> Iterator[Scene]:
    settings.POSSYNC_PORTFOLIO_PROVIDERS = ["tests.portfolios.services.reads.ImpatientProvider"]
    settings.POSSYNC_SYNC_DEADLINE = 1
    user_providers.cache_clear()
    provider_lookup.cache_clear()
    monkeypatch.setenv("BINANCE_API_KEY", SECRETS["key from the environment"])
    monkeypatch.setenv("BINANCE_SECRET_KEY", SECRETS["secret from the environment"])
    password = SECRETS["password of the user"]
    django_user_model.objects.create_superuser("admin", password=password)
    client.raise_request_exception = False
    made = Scene(sandbox, client)
    made.note("log-in", client.post("/login/", {"username": "admin", "password": password}))
    yield made
    user_providers.cache_clear()
    provider_lookup.cache_clear()


@pytest.mark.django_db
def test_planted_secrets_are_found_nowhere(
    scene: Scene, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = StringIO()
    with logged(log):
        scene.plant()
        statuses = {run.account.label: run.status for run in scene.sync()}
        for kind in FaultKind:
            scene.sync_in_trouble(kind)
        scene.sync_with_an_exchange_that_repeats_keys(monkeypatch)
        scene.sync_with_a_wrong_secret()
        scene.sync_with_a_locked_credential()
        scene.test_connections()
        scene.break_pages(settings, monkeypatch)
        scene.crawl()
        sinks = scene.everything() | {"log": log.getvalue()}

    # The secrets were real, and really used.
    assert statuses == dict.fromkeys(("book", "admin", "environment"), "succeeded")
    assert len(scene.said) > 60
    assert hits(sinks, {**SECRETS, **own_keys()}) == []


def own_keys() -> dict[str, str]:
    """Return the installation's own secrets: what signs sessions, and what seals credentials."""
    sealing = django_settings.POSSYNC_CREDENTIAL_KEY_FILE.read_text().split(":")[-1].strip()
    return {"signing key": django_settings.SECRET_KEY, "sealing key": sealing}


def test_the_scenes_log_is_written() -> None:
    log = StringIO()
    with logged(log):
        logging.getLogger("portfolios").debug("a line for developers")

    assert "a line for developers" in log.getvalue()


@pytest.mark.django_db
def test_a_secret_in_a_message_would_be_found_on_a_page_in_the_database_and_in_every_export(
    scene: Scene,
) -> None:
    scene.plant()
    scene.test_connections()
    make_incident(ExchangeAccount.objects.first(), message=SECRETS["secret of the book"])

    scene.crawl(until="/exceptions/")

    found = hits(scene.everything(), SECRETS)
    wanted = ["page /exceptions/", "report", "dumpdata", "table portfolios_incident"]
    assert [x for x in wanted if f"secret of the book in {x}" not in found] == []


@pytest.mark.parametrize("secret", SECRETS.values(), ids=list(SECRETS))
def test_every_spelling_of_a_secret_would_be_found(secret: str) -> None:
    sinks = {
        str(number): f"before{spelling}after" for number, spelling in enumerate(spellings(secret))
    }

    assert hits(sinks, {"secret": secret}) == [f"secret in {number}" for number in sinks]


@pytest.mark.parametrize(
    "write",
    [
        lambda text: base64.b64encode(f"user:{text}:end".encode()).decode(),
        lambda text: base64.urlsafe_b64encode(f"x{text}".encode()).decode(),
        lambda text: json.dumps({"a": [text]}),
        lambda text: f"https://exchange.example/?apiKey={quote(text)}",
        lambda text: text.encode().hex().upper(),
    ],
)
def test_a_secret_inside_something_else_would_be_found(write: Callable[[str], str]) -> None:
    assert hits({"sink": write(canary("inside"))}, {"secret": canary("inside")}) == [
        "secret in sink"
    ]


@pytest.mark.processes
def test_planted_secrets_are_in_no_file_of_an_installation_and_in_no_output(tmp_path: Path) -> None:
    engine = Engine()
    engine.add_account(SECRETS["key of the book"], SECRETS["secret of the book"])
    engine.deposit(SECRETS["key of the book"], "USDT", "1000")
    with SandboxServer(engine) as server:
        installation = Installation(tmp_path, server)
        credential = {
            "apiKey": SECRETS["key of the book"],
            "secret": SECRETS["secret of the book"],
            "password": SECRETS["passphrase of the book"],
            "privateKey": PEM,
        }
        account = {"label": "main", "market": "binance", "endpoint": server.url}
        book = json.dumps({"accounts": [account | {"credential": credential}]})
        done = [
            installation.run("manage.py", "migrate"),
            installation.run("manage.py", "import_book", "-", given=book),
            installation.run("manage.py", "sync", "--format", "json"),
        ]

    assert json.loads(done[-1].stdout)[0]["status"] == "succeeded"
    files = {path.name: path for path in tmp_path.rglob("*") if path.is_file()}
    assert {"possync.sqlite3", "credentials.key"} <= files.keys()
    sinks = {name: path.read_bytes().decode("latin-1") for name, path in files.items()}
    sinks |= {
        f"{x} as UTF-8": y.encode("latin-1").decode(errors="replace") for x, y in sinks.items()
    }
    output = "".join(x.stdout + x.stderr for x in done)
    assert hits({**sinks, "output": output}, SECRETS) == []
