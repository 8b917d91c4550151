"""The pages of an installation in processes of their own, and a program that presses "Sync now" there."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.house.processes import Running, free_port, running
from tests.processes.installation import Installation, wait_until
from tests.processes.test_qcluster import open_files

MAKE_TOKEN = """
from portfolios.services.api_tokens import make_token
print(make_token("presses", ["sync"])[1])
"""
# What a request needs from its acceptance to its first write.
TO_WRITE = 0.3


@dataclass
class Press:
    """A program that presses; `status` is 0 where nobody answered."""

    port: int
    token: str
    status: int = 0

    @contextmanager
    def under_way(self, web: Running) -> Iterator[None]:
        """Be in the midst of it inside, and at its end afterwards."""
        thread = threading.Thread(target=self.ask)
        thread.start()
        wait_until(lambda: bool(answering(self.port, web.descendants())), 10)
        time.sleep(TO_WRITE)
        yield
        thread.join()

    def ask(self) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            words = {"Authorization": f"Bearer {self.token}"}
            connection.request("POST", "/api/v1/accounts/main/sync", headers=words)
            self.status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            self.status = 0  # whoever was to answer was killed
        finally:
            connection.close()
        return self.status


@contextmanager
def serving(installed: Installation) -> Iterator[tuple[Running, int]]:
    """Start the web server as `up` does; yield it and its port once it has all its processes."""
    port = free_port()
    command = installed.command(
        *("-m", "gunicorn", "--config", "python:possync_site.server", "possync_site.wsgi")
    )
    with running(command, {**installed.environment, "PORT": str(port)}) as web:
        wait_until(lambda: len(web.descendants()) == 2, 30)
        yield web, port


def answering(port: int, pids: set[int]) -> list[int]:
    """Those of `pids` that have accepted a connection to `port` of this machine."""
    local = f":{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    accepted = {f"socket:[{row[9]}]" for row in rows if row[1].endswith(local) and row[3] == "01"}
    return [pid for pid in pids if accepted & open_files(pid)]
