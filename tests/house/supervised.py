"""Runs the supervisor over the shell commands given as arguments, ``name=command`` each."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from django.conf import settings

from portfolios.management.supervisor import Service, Supervisor


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def _started() -> None:
    _say("all started")


def main() -> None:
    settings.configure(USE_I18N=False)
    pairs = [argument.split("=", 1) for argument in sys.argv[1:]]
    supervisor = Supervisor(
        services=[Service(name, ("sh", "-c", command), grace=1) for name, command in pairs],
        folder=Path.cwd(),
        environment=os.environ,
        say=_say,
    )
    asyncio.run(supervisor.run(_started))


if __name__ == "__main__":
    main()
