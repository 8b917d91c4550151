"""How far the wall clock of this host was set since it was first read: that is no time that has passed."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Final

from django.utils import timezone

from portfolios.models import HostClock

# Linux makes it anew at every boot; containers of one host share it, as they share the clock.
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
# Less than this is the reading of two clocks one after the other, or the correction of one by small steps.
_LEAST_SET: Final = timedelta(seconds=1)


def uptime() -> float:
    """Seconds since this host was started, the time it slept included; nobody can set them."""
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return time.monotonic()
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """Name the boot of this host; empty where hosts do not tell."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def clock_was_set() -> timedelta:
    """Tell by how much the wall clock was set forward since this boot was first seen; negative if back.

    Zero where hosts do not name their boots: there the wall clock is all that there is.
    """
    boot = boot_id()
    if not boot:
        return timedelta(0)
    began = timezone.now() - timedelta(seconds=uptime())
    clock, _ = HostClock.objects.get_or_create(boot=boot, defaults={"began_at": began})
    was_set = began - clock.began_at
    return was_set if abs(was_set) >= _LEAST_SET else timedelta(0)
