from __future__ import annotations

import asyncio
import http.client
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connections
from django.utils.translation import gettext as _

from portfolios import tasks
from portfolios.management import first_start
from portfolios.management.first_start import ADMIN, LOOPBACK
from portfolios.management.supervisor import Service, Supervisor
from portfolios.models import ExchangeAccount, SyncRun
from portfolios.services import demo
from providers.errors import OperationalException

# The practice exchange's first choice lies this far above the web's port.
DEMO_PORT_DISTANCE: Final = 1000
SECONDS_TO_ANSWER: Final = 60
# What syncs have to end in order, and what is left then to end the rest: who presses Ctrl-C waits for it.
DRAIN_SECONDS: Final = 5
SECONDS_TO_END: Final = 2


class Command(BaseCommand):
    help = _("Sets up and runs web, workers and practice exchange until Ctrl-C.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._run()
        except KeyboardInterrupt:
            raise CommandError(_("Stopped before it had started."), returncode=130) from None

    def _run(self) -> None:
        with first_start.data_folder_held(settings.DATA_DIR):
            port = _port()
            first_start.require_free_port(port, _("Stop what listens there, or set PORT."))
            demo_port = self._demo_port(port)
            first_start.prepare(self._say)
            connections.close_all()
            asyncio.run(self._serve(port, demo_port))

    def _demo_port(self, port: int) -> int | None:
        if not settings.POSSYNC_DEMO:
            return None
        wished = (port + DEMO_PORT_DISTANCE) % 65_536
        demo_port = first_start.lasting_port(_demo_folder() / "port", wished)
        first_start.require_free_port(
            demo_port,
            _("The practice exchange needs it: stop what listens there, or set POSSYNC_DEMO=0."),
        )
        return demo_port

    async def _serve(self, port: int, demo_port: int | None) -> None:
        supervisor = Supervisor(
            services=_services(demo_port),
            folder=settings.BASE_DIR,
            environment={
                **os.environ,
                "PORT": str(port),
                "PYTHONUNBUFFERED": "1",
                "POSSYNC_DRAIN_SECONDS": str(_drain_seconds()),
            },
            say=self._say,
        )
        await supervisor.run(lambda: self._greet(port, demo_port))

    async def _greet(self, port: int, demo_port: int | None) -> None:
        try:
            if demo_port is not None:
                await self._open_demo(demo_port)
            await _in_thread(_queue_first_syncs)
        except (DatabaseError, OperationalException) as e:
            # The pages still work, and the schedule syncs what is due.
            self._say(_("The first syncs could not be queued: %(reason)s") % {"reason": e})
        if await _happens(lambda: _answers(port, "/healthz")):
            self._say(
                _("PosSync is at http://127.0.0.1:%(port)d/ - log in as %(user)s. Ctrl-C ends it.")
                % {"port": port, "user": ADMIN}
            )
        else:
            self._say(_("The web server does not answer; its lines above say why."))

    async def _open_demo(self, demo_port: int) -> None:
        if await _happens(lambda: first_start.listens(demo_port)):
            await _in_thread(demo.ensure_demo, f"http://{LOOPBACK}:{demo_port}")
        else:
            self._say(_("The practice exchange does not answer; its lines above say why."))

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _port() -> int:
    text = os.environ.get("PORT", "8000")
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        raise CommandError(
            _("PORT must be a number from 1 to 65535, was %(text)s.") % {"text": text}
        )
    return int(text)


def _demo_folder() -> Path:
    return Path(settings.DATA_DIR) / "demo"


def _drain_seconds() -> int:
    """Seconds as they were set, though Ctrl-C takes longer then."""
    is_set = "POSSYNC_DRAIN_SECONDS" in os.environ
    return settings.POSSYNC_DRAIN_SECONDS if is_set else DRAIN_SECONDS


def _services(demo_port: int | None) -> list[Service]:
    manage = (sys.executable, str(settings.BASE_DIR / "manage.py"))
    gunicorn = (sys.executable, "-m", "gunicorn", "--config", "python:possync_site.server")
    services = [
        Service("web", (*gunicorn, "possync_site.wsgi")),
        Service("worker", (*manage, "worker"), grace=_drain_seconds() + SECONDS_TO_END),
    ]
    if demo_port is not None:
        state = str(_demo_folder() / "exchange.json")
        options = ("--host", LOOPBACK, "--port", str(demo_port), "--state", state)
        services.append(Service("exchange", (*manage, "sandbox_exchange", *options)))
    return services


def _queue_first_syncs() -> None:
    tasks.enqueue_syncs(ExchangeAccount.objects.filter(paused=False), SyncRun.Trigger.START)


async def _happens(condition: Callable[[], bool]) -> bool:
    """Wait until `condition` holds, for `SECONDS_TO_ANSWER` at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(SECONDS_TO_ANSWER):
            while not await asyncio.to_thread(condition):
                await asyncio.sleep(0.1)
            return True
    return False


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", path)
        # In production the answer may be the way to https.
        return connection.getresponse().status < http.HTTPStatus.BAD_REQUEST
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


async def _in_thread(work: Callable[..., object], *args: object) -> None:
    def and_close() -> None:
        try:
            work(*args)
        finally:
            connections.close_all()

    await asyncio.to_thread(and_close)
