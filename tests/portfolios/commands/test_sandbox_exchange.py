from __future__ import annotations

import http.client
import io
import json
import signal
import socket
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.portfolios.commands.command_line import Manage


def test_it_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    process = Manage(tmp_path / "data", tmp_path).start("sandbox_exchange", "--port", "0")
    assert process.stdout is not None
    line = process.stdout.readline()
    url = line.removeprefix("The practice exchange is at ").strip()

    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.request("GET", "/api/v3/ping")
    answer = json.load(connection.getresponse())
    connection.close()
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=30)

    assert answer == {}
    assert url.startswith("http://127.0.0.1:")
    assert (process.returncode, err) == (0, "")
    assert (tmp_path / "data/demo/exchange.json").exists()


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_a_port_that_is_none_is_one_line(port: str) -> None:
    with pytest.raises(CommandError, match=r"^--port must be a number from 0 to 65535, was "):
        call_command("sandbox_exchange", f"--port={port}")


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(CommandError, match=f"Expected port {port} of 127.0.0.1 to be free"):
            call_command("sandbox_exchange", "--port", port, "--state", str(tmp_path / "x.json"))


def test_a_state_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")

    with pytest.raises(CommandError) as refused:
        call_command("sandbox_exchange", state=tmp_path / "file" / "exchange.json", port=0)

    assert "file" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_state_that_is_damaged_is_one_line(tmp_path: Path) -> None:
    state = tmp_path / "exchange.json"
    state.write_text("{", encoding="utf-8")

    with pytest.raises(CommandError, match=r"exchange\.json") as refused:
        call_command("sandbox_exchange", state=state, port=0, stdout=io.StringIO())

    assert "\n" not in str(refused.value)
